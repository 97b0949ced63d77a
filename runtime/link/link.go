// Package link turns the share links that proxy users pass around into typed values, and prints
// them.
//
// It owns the grammar of the links (VLESS, VMess, Trojan, Shadowsocks, SOCKS, HTTP, Hysteria 2,
// WireGuard), what is tolerated in messy ones, the reasons why a link is rejected, and the identity
// of a server. It is pure: no files, no network, no clock, no logger. Lists of links belong to
// runtime/subscription, the configuration of the core to runtime/xray, what is stored to
// daemon/store.
//
// Two rules hold for every link. Nothing that changes the bytes on the wire is dropped in silence:
// it becomes a field of [Link] or the reason in an [*Error]. And secrets stay inside: no error, no
// String and no fmt verb shows one.
//
// Begin with link.go (the types) and parse.go (from a text to them); each protocol has a file of
// its own, transport.go and security.go what most of them share.
//
// VLESS, VMess and Trojan URIs follow the proposal in XTLS/Xray-core discussion 716, VMess as
// base64 JSON the format of v2rayN, Shadowsocks SIP002 and SIP022, Hysteria 2 the URI scheme of its
// project, WireGuard the links of v2rayN.
package link

import (
	"fmt"
	"io"
	"net"
	"strconv"
)

// Protocol names the proxy protocol of a link.
type Protocol string

// The protocols that Parse accepts.
const (
	ProtocolVLESS       Protocol = "vless"
	ProtocolVMess       Protocol = "vmess"
	ProtocolTrojan      Protocol = "trojan"
	ProtocolShadowsocks Protocol = "shadowsocks"
	ProtocolSOCKS       Protocol = "socks"
	ProtocolHTTP        Protocol = "http"
	ProtocolHysteria2   Protocol = "hysteria2"
	ProtocolWireGuard   Protocol = "wireguard"
)

// Link is one proxy server as a share link describes it. Links are comparable: two that are == dial
// the same server in the same way and have the same name.
//
// A Link contains secrets. They are held as [Secret], so that printing a Link in whatever way,
// alone or inside another value, does not show them.
type Link struct {
	Protocol  Protocol
	Name      string    // for display: valid UTF-8, no control or bidirectional characters; may be empty
	Host      string    // lower-case host name or IP address, IPv6 without brackets
	Port      uint16    // never 0
	Account   Account   // user, keys and the like; its type follows Protocol
	Transport Transport // how the proxy protocol is carried
	Secure    Security  // TLS, REALITY, or nil for none
	Mux       uint16    // streams that share one connection (Mux.Cool); 0 is off
	Mask      Secret    // how the bytes are disguised or split: JSON of the core, canonical and from an allow-list; or empty
}

// Account is the part of a link that belongs to its proxy protocol: one of [VLESS], [VMess],
// [Trojan], [Shadowsocks], [SOCKS], [HTTP], [Hysteria2], [WireGuard].
type Account interface {
	protocol() Protocol
	// uri prints the link in the form of its protocol.
	uri(l Link) string
	// key returns what makes the account another one.
	key() []string
}

// Transport carries the proxy protocol: one of [Raw], [WebSocket], [GRPC], [HTTPUpgrade], [XHTTP],
// [KCP], [QUIC], [Datagrams].
type Transport interface {
	// Network is the name of the transport in links and in the core's configuration.
	Network() string
	params() params
	// key returns what makes a server another one, beside the name that it is asked for.
	key() []string
}

// Security protects the transport: [TLS] or [REALITY].
type Security interface {
	name() string
	params() params
	// key returns what makes a server another one.
	key() []string
}

// Network returns the name of the transport for display: "tcp", "ws", "grpc", "httpupgrade",
// "xhttp", "kcp", "hysteria" or "udp".
func (l Link) Network() string {
	if l.Transport == nil {
		return ""
	}
	return l.Transport.Network()
}

// Security returns the name of the transport security for display: "none", "tls" or "reality".
func (l Link) Security() string {
	if l.Secure == nil {
		return "none"
	}
	return l.Secure.name()
}

// Others returns the hosts beside Host with which the core talks because the link says so.
func (l Link) Others() []string {
	var hosts []string
	if s, ok := l.Secure.(TLS); ok && lookupHost(s.ECH) != "" {
		hosts = append(hosts, lookupHost(s.ECH))
	}
	if t, ok := l.Transport.(XHTTP); ok {
		hosts = append(hosts, t.downloadHosts()...)
	}
	return hosts
}

// URI prints the link with its secrets. Parse(l.URI()) returns l for every l that came from Parse.
func (l Link) URI() string {
	if l.Account == nil {
		return ""
	}
	return l.Account.uri(l)
}

// String describes the link without its secrets: "vless tokyo-1 (example.org:443)".
func (l Link) String() string {
	address := net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port)))
	if l.Name == "" {
		return string(l.Protocol) + " (" + address + ")"
	}
	return string(l.Protocol) + " " + l.Name + " (" + address + ")"
}

// GoString returns String: %#v must not show secrets either.
func (l Link) GoString() string { return l.String() }

// Format writes String for every verb and flag.
func (l Link) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, l.String()) }
