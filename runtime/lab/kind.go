package lab

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Kind is the protocol, transport and security of a server.
type Kind string

// The kinds of servers.
const (
	VLESS        Kind = "vless"         // over TCP, no encryption: the cheapest
	VLESSTLS     Kind = "vless-tls"     // over TCP with TLS
	VLESSReality Kind = "vless-reality" // over TCP with REALITY and the vision flow
	VLESSWS      Kind = "vless-ws"      // over WebSocket
	VLESSWSTLS   Kind = "vless-ws-tls"  // over WebSocket with TLS
	VMess        Kind = "vmess"
	VMessWS      Kind = "vmess-ws"
	Trojan       Kind = "trojan" // with TLS
	Shadowsocks  Kind = "shadowsocks"
	SOCKS        Kind = "socks"
	HTTP         Kind = "http" // carries no UDP
)

// Kinds lists all of them.
func Kinds() []Kind {
	return []Kind{VLESS, VLESSTLS, VLESSReality, VLESSWS, VLESSWSTLS, VMess, VMessWS, Trojan, Shadowsocks, SOCKS, HTTP}
}

// UDP reports whether servers of this kind carry UDP.
func (k Kind) UDP() bool { return k != HTTP }

// ServerFirst reports whether a server can greet a client that stays silent, as
// in SSH or SMTP. The core's HTTP outbound cannot: it sends its CONNECT together
// with the client's first bytes, and waits for those. It also loses what arrives
// together with the answer to its CONNECT, as a greeting may.
func (k Kind) ServerFirst() bool { return k != HTTP }

const (
	flow   = "xtls-rprx-vision"
	path   = "/lab"
	cipher = "aes-128-gcm"
)

// account is what a server and its clients share.
type account struct {
	id, user, password      string
	private, public, shortH string // REALITY
}

func newAccount() (account, error) {
	private, public, err := newX25519()
	if err != nil {
		return account{}, err
	}
	var short [8]byte
	_, _ = rand.Read(short[:]) // never fails, see crypto/rand
	return account{
		id: uuid.NewString(), user: "lab", password: rand.Text(),
		private: private, public: public, shortH: hex.EncodeToString(short[:]),
	}, nil
}

// object is a piece of the core's configuration.
type object map[string]any

// inbound makes the server's side of a kind.
func (k Kind) inbound(port int, a account, cert certificate, realityTarget string) (object, error) {
	var settings object
	stream := object{"network": "raw"}
	switch k {
	case VLESS, VLESSTLS, VLESSWS, VLESSWSTLS, VLESSReality:
		client := object{"id": a.id}
		if k == VLESSReality {
			client["flow"] = flow
		}
		settings = object{"clients": []object{client}, "decryption": "none"}
	case VMess, VMessWS:
		settings = object{"clients": []object{{"id": a.id}}}
	case Trojan:
		settings = object{"clients": []object{{"password": a.password}}}
	case Shadowsocks:
		settings = object{"method": cipher, "password": a.password, "network": "tcp,udp"}
	case SOCKS:
		settings = object{"auth": "password", "accounts": []object{{"user": a.user, "pass": a.password}}, "udp": true, "ip": "127.0.0.1"}
	case HTTP:
		settings = object{"accounts": []object{{"user": a.user, "pass": a.password}}}
	default:
		return nil, fmt.Errorf("%q is no kind of server", k)
	}
	if k.webSocket() {
		stream["network"] = "ws"
		stream["wsSettings"] = object{"path": path}
	}
	if k.tls() {
		stream["security"] = "tls"
		stream["tlsSettings"] = object{"certificates": []object{{"certificate": cert.chain, "key": cert.key}}}
	}
	if k == VLESSReality {
		stream["security"] = "reality"
		stream["realitySettings"] = object{
			"target": realityTarget, "serverNames": []string{serverName},
			"privateKey": a.private, "shortIds": []string{a.shortH},
		}
	}
	protocol, _, _ := strings.Cut(string(k), "-")
	return object{
		"listen": "127.0.0.1", "port": port, "protocol": protocol,
		"settings": settings, "streamSettings": stream,
	}, nil
}

func (k Kind) webSocket() bool { return k == VLESSWS || k == VLESSWSTLS || k == VMessWS }

func (k Kind) tls() bool { return k == VLESSTLS || k == VLESSWSTLS || k == Trojan }

// link prints the share link of a server at address. It is written by hand and
// not by package link, so that the two check one another.
func (k Kind) link(name, address string, a account, cert certificate) string {
	link := url.URL{Host: address, Fragment: name}
	query := url.Values{}
	switch k {
	case VMess, VMessWS:
		return k.vmessLink(name, address, a)
	case VLESS, VLESSTLS, VLESSWS, VLESSWSTLS, VLESSReality:
		link.Scheme, link.User = "vless", url.User(a.id)
		query.Set("encryption", "none")
	case Trojan:
		link.Scheme, link.User = "trojan", url.User(a.password)
	case Shadowsocks:
		link.Scheme = "ss"
		link.User = url.User(base64.RawURLEncoding.EncodeToString([]byte(cipher + ":" + a.password)))
		return link.String()
	case SOCKS, HTTP:
		link.Scheme, link.User = string(k), url.UserPassword(a.user, a.password)
		return link.String()
	}
	query.Set("type", "tcp")
	if k.webSocket() {
		query.Set("type", "ws")
		query.Set("path", path)
	}
	switch {
	case k.tls():
		query.Set("security", "tls")
		query.Set("sni", serverName)
		query.Set("pcs", cert.pin)
	case k == VLESSReality:
		query.Set("security", "reality")
		query.Set("sni", serverName)
		query.Set("fp", "chrome")
		query.Set("pbk", a.public)
		query.Set("sid", a.shortH)
		query.Set("flow", flow)
	default:
		query.Set("security", "none")
	}
	link.RawQuery = query.Encode()
	return link.String()
}

// vmessLink prints the JSON form of v2rayN, which VMess links have.
func (k Kind) vmessLink(name, address string, a account) string {
	host, port, _ := net.SplitHostPort(address)
	fields := map[string]string{
		"v": "2", "ps": name, "add": host, "port": port, "id": a.id, "aid": "0", "scy": "auto", "net": "tcp", "type": "none",
	}
	if k.webSocket() {
		fields["net"], fields["path"] = "ws", path
	}
	text, _ := json.Marshal(fields) // strings always can be
	return "vmess://" + base64.StdEncoding.EncodeToString(text)
}

// config makes the whole configuration of a server that goes out from the
// address exit.
func (k Kind) config(port int, a account, cert certificate, realityTarget, exit string) ([]byte, error) {
	inbound, err := k.inbound(port, a, cert, realityTarget)
	if err != nil {
		return nil, err
	}
	return json.Marshal(object{
		"log": object{"loglevel": "none", "access": "none"},
		"policy": object{"levels": object{"0": object{
			"handshake": 60, "connIdle": 24 * 60 * 60, "uplinkOnly": 0, "downlinkOnly": 5,
		}}},
		"inbounds":  []object{inbound},
		"outbounds": []object{{"protocol": "freedom", "sendThrough": exit, "settings": object{}}},
	})
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
