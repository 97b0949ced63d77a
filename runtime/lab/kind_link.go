package lab

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"net/url"
)

// link prints the share link of a server at address. It is written by hand and not by package link,
// so that the two check one another.
func (k Kind) link(name, address string, a account, cert certificate) string {
	link := url.URL{Host: address, Fragment: name}
	query := url.Values{}
	switch {
	case k.has("vmess"):
		return k.vmessLink(name, address, a)
	case k.has("vless"):
		link.Scheme, link.User = "vless", url.User(a.id)
		query.Set("encryption", "none")
		if k == VLESSEncryption {
			query.Set("encryption", "mlkem768x25519plus.native.0rtt."+a.public)
		}
	case k.has("trojan"):
		link.Scheme, link.User = "trojan", url.User(a.password)
	default:
		k.plainLink(&link, a, cert)
		return link.String()
	}
	k.streamQuery(query, a)
	k.securityQuery(query, a, cert)
	link.RawQuery = query.Encode()
	return link.String()
}

// plainLink completes the link of a protocol without transports of its own choice.
func (k Kind) plainLink(link *url.URL, a account, cert certificate) {
	query := url.Values{}
	switch {
	case k == Shadowsocks2022:
		link.Scheme, link.User = "ss", url.UserPassword(cipher2022, a.key)
	case k.has("shadowsocks"):
		link.Scheme = "ss"
		link.User = url.User(base64.RawURLEncoding.EncodeToString([]byte(cipher + ":" + a.password)))
		if k == ShadowsocksWS {
			query.Set("plugin", "v2ray-plugin;mode=websocket;mux=0;tls;host="+serverName+";path="+path)
			query.Set("pcs", cert.pin)
		}
	case k == SOCKS, k == HTTP, k == HTTPS:
		link.Scheme, link.User = string(k), url.UserPassword(a.user, a.password)
		if k == HTTPS {
			query.Set("sni", serverName)
			query.Set("pcs", cert.pin)
		}
	case k.has("hysteria2"):
		link.Scheme, link.User, link.Path = "hysteria2", url.User(a.password), "/"
		query.Set("sni", serverName)
		query.Set("pinSHA256", cert.pin)
		if k == Hysteria2Salted {
			query.Set("obfs", "salamander")
			query.Set("obfs-password", a.id)
		}
	case k == WireGuard:
		link.Scheme, link.User = "wireguard", url.User(a.peer)
		query.Set("publickey", a.public)
		query.Set("address", clientTunnel+"/32")
		query.Set("mtu", "1280")
	}
	link.RawQuery = query.Encode()
}

// securityQuery sets the parameters of TLS or REALITY.
func (k Kind) securityQuery(query url.Values, a account, cert certificate) {
	switch {
	case k.tls():
		query.Set("security", "tls")
		query.Set("sni", serverName)
		query.Set("pcs", cert.pin)
		if alpn := k.alpn(); alpn != "" {
			query.Set("alpn", alpn)
		}
	case k.has("reality"):
		query.Set("security", "reality")
		query.Set("sni", serverName)
		query.Set("fp", "chrome")
		query.Set("pbk", a.public)
		query.Set("sid", a.shortH)
		if k == VLESSReality {
			query.Set("flow", flow)
		}
	default:
		query.Set("security", "none")
	}
}

// streamQuery sets the parameters of the transport.
func (k Kind) streamQuery(query url.Values, a account) {
	query.Set("type", "tcp")
	switch {
	case k.has("ws"):
		query.Set("type", "ws")
		query.Set("path", path)
	case k.has("httpupgrade", "xhttp"):
		query.Set("type", "httpupgrade")
		if k.has("xhttp") {
			query.Set("type", "xhttp")
		}
		query.Set("path", path)
		query.Set("host", host)
	case k.has("grpc"):
		query.Set("type", "grpc")
		query.Set("serviceName", service)
	case k.has("kcp"):
		query.Set("type", "kcp")
		query.Set("headerType", "srtp")
		query.Set("seed", a.password)
	case k == VLESSHTTPHeader:
		query.Set("headerType", "http")
		query.Set("host", host)
		query.Set("path", path)
	case k == VLESSMux:
		query.Set("mux", "8")
	}
}

// vmessLink prints the JSON form of v2rayN, which VMess links have.
func (k Kind) vmessLink(name, address string, a account) string {
	host, port, _ := net.SplitHostPort(address)
	fields := map[string]string{
		"v": "2", "ps": name, "add": host, "port": port, "id": a.id, "aid": "0", "scy": "auto", "net": "tcp", "type": "none",
	}
	switch k {
	case VMessWS:
		fields["net"], fields["path"] = "ws", path
	case VMessKCP:
		fields["net"], fields["type"] = "kcp", "utp"
	}
	text, _ := json.Marshal(fields) // strings always can be
	return "vmess://" + base64.StdEncoding.EncodeToString(text)
}
