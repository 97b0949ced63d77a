package lab

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// object is a piece of the core's configuration.
type object map[string]any

// inbound makes the server's side of a kind.
func (k Kind) inbound(port int, a account, cert certificate, realityTarget string) (object, error) {
	if k != WireGuard && !slices.Contains(Kinds(), k) {
		return nil, fmt.Errorf("%q is no kind of server", k)
	}
	inbound := object{"listen": "127.0.0.1", "port": port}
	protocol, _, _ := strings.Cut(string(k), "-")
	switch protocol {
	case "hysteria2":
		protocol = "hysteria"
	case "https":
		protocol = "http"
	}
	inbound["protocol"] = protocol
	inbound["settings"] = k.settings(protocol, a)
	if k != WireGuard {
		inbound["streamSettings"] = k.stream(a, cert, realityTarget)
	}
	return inbound, nil
}

// settings are those of the proxy protocol.
func (k Kind) settings(protocol string, a account) object {
	switch protocol {
	case "vless":
		client := object{"id": a.id}
		if k == VLESSReality {
			client["flow"] = flow
		}
		decryption := "none"
		if k == VLESSEncryption {
			decryption = "mlkem768x25519plus.native.600s." + a.private
		}
		return object{"clients": []object{client}, "decryption": decryption}
	case "vmess":
		return object{"clients": []object{{"id": a.id}}}
	case "trojan":
		return object{"clients": []object{{"password": a.password}}}
	case "shadowsocks":
		if k == Shadowsocks2022 {
			return object{"method": cipher2022, "password": a.key, "network": "tcp,udp"}
		}
		return object{"method": cipher, "password": a.password, "network": "tcp,udp"}
	case "socks":
		return object{"auth": "password", "accounts": []object{{"user": a.user, "pass": a.password}}, "udp": true, "ip": "127.0.0.1"}
	case "hysteria":
		return object{"version": 2, "clients": []object{{"auth": a.password}}}
	case "wireguard":
		return object{
			"secretKey": a.private, "address": []string{serverTunnel},
			"peers": []object{{"publicKey": a.peerPublic, "allowedIPs": []string{clientTunnel + "/32"}}},
		}
	default: // http
		return object{"accounts": []object{{"user": a.user, "pass": a.password}}}
	}
}

// stream is the transport and its security.
func (k Kind) stream(a account, cert certificate, realityTarget string) object {
	stream := object{"network": "raw"}
	switch {
	case k.has("ws"):
		stream["network"], stream["wsSettings"] = "ws", object{"path": path}
	case k.has("httpupgrade"):
		stream["network"], stream["httpupgradeSettings"] = "httpupgrade", object{"path": path, "host": host}
	case k.has("grpc"):
		stream["network"], stream["grpcSettings"] = "grpc", object{"serviceName": service}
	case k.has("xhttp"):
		stream["network"], stream["xhttpSettings"] = "xhttp", object{"path": path, "host": host}
	case k == VLESSKCP:
		stream["network"] = "kcp"
		stream["finalmask"] = object{"udp": []object{{"type": "header-srtp"}, {"type": "mkcp-aes128gcm", "settings": object{"password": a.password}}}}
	case k == VMessKCP:
		stream["network"] = "kcp"
		stream["finalmask"] = object{"udp": []object{{"type": "header-utp"}, {"type": "mkcp-original"}}}
	case k.has("hysteria2"):
		stream["network"], stream["hysteriaSettings"] = "hysteria", object{"version": 2}
		if k == Hysteria2Salted {
			stream["finalmask"] = object{"udp": []object{{"type": "salamander", "settings": object{"password": a.id}}}}
		}
	case k == VLESSHTTPHeader:
		stream["rawSettings"] = object{"header": object{"type": "http", "request": object{"path": []string{path}}}}
	}
	switch {
	case k.tls():
		tls := object{"certificates": []object{{"certificate": cert.chain, "key": cert.key}}}
		if alpn := k.alpn(); alpn != "" {
			tls["alpn"] = []string{alpn}
		}
		stream["security"], stream["tlsSettings"] = "tls", tls
	case k.has("reality"):
		stream["security"] = "reality"
		stream["realitySettings"] = object{
			"target": realityTarget, "serverNames": []string{serverName},
			"privateKey": a.private, "shortIds": []string{a.shortH},
		}
	}
	return stream
}

// config makes the whole configuration of a server that goes out from the address exit. The log of
// one that has no TCP port tells when it is ready.
func (k Kind) config(port int, a account, cert certificate, realityTarget, exit string) ([]byte, error) {
	inbound, err := k.inbound(port, a, cert, realityTarget)
	if err != nil {
		return nil, err
	}
	level := "none"
	if k.datagrams() {
		level = "warning"
	}
	const remote = "remote"
	return json.Marshal(object{
		"log": object{"loglevel": level, "access": "none"},
		"policy": object{"levels": object{"0": object{
			"handshake": 60, "connIdle": 24 * 60 * 60, "uplinkOnly": 0, "downlinkOnly": 5,
		}}},
		"inbounds": []object{inbound},
		"outbounds": []object{
			{"protocol": "freedom", "sendThrough": exit, "settings": object{}},
			{"protocol": "freedom", "sendThrough": exit, "tag": remote, "settings": object{"redirect": "127.0.0.1:0"}},
		},
		"routing": object{"rules": []object{{"ip": []string{RemoteHost}, "outboundTag": remote}}},
	})
}
