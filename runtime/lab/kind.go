package lab

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// Kind is the protocol, transport and security of a server.
type Kind string

// The kinds of servers.
const (
	VLESS             Kind = "vless"               // over TCP, no encryption: the cheapest
	VLESSTLS          Kind = "vless-tls"           // over TCP with TLS
	VLESSReality      Kind = "vless-reality"       // over TCP with REALITY and the vision flow
	VLESSEncryption   Kind = "vless-encryption"    // over TCP with the encryption of VLESS itself
	VLESSMux          Kind = "vless-mux"           // over TCP, many streams in one connection
	VLESSHTTPHeader   Kind = "vless-http"          // over TCP dressed as HTTP
	VLESSWS           Kind = "vless-ws"            // over WebSocket
	VLESSWSTLS        Kind = "vless-ws-tls"        // over WebSocket with TLS
	VLESSHTTPUpgrade  Kind = "vless-httpupgrade"   // over an upgraded HTTP connection
	VLESSGRPC         Kind = "vless-grpc"          // over gRPC with TLS
	VLESSXHTTP        Kind = "vless-xhttp"         // over requests of HTTP/1.1
	VLESSXHTTPReality Kind = "vless-xhttp-reality" // over requests of HTTP/2 with REALITY
	VLESSXHTTPQUIC    Kind = "vless-xhttp-quic"    // over requests of HTTP/3
	VLESSKCP          Kind = "vless-kcp"           // over mKCP with a header and a seed
	VMess             Kind = "vmess"
	VMessWS           Kind = "vmess-ws"
	VMessKCP          Kind = "vmess-kcp"
	Trojan            Kind = "trojan" // with TLS
	TrojanGRPC        Kind = "trojan-grpc"
	Shadowsocks       Kind = "shadowsocks"
	Shadowsocks2022   Kind = "shadowsocks-2022"
	ShadowsocksWS     Kind = "shadowsocks-ws" // as v2ray-plugin with TLS makes it
	SOCKS             Kind = "socks"
	HTTP              Kind = "http"  // carries no UDP
	HTTPS             Kind = "https" // likewise
	Hysteria2         Kind = "hysteria2"
	Hysteria2Salted   Kind = "hysteria2-salamander" // obfuscated

	// WireGuard carries packets to addresses, and the core's network in the tunnel refuses those of
	// loopback: it reaches the origin at [RemoteHost] only. It is not among Kinds.
	WireGuard Kind = "wireguard"
)

// RemoteHost is an address that every server takes for 127.0.0.1. It belongs to a network for
// documentation (RFC 5737).
const RemoteHost = "192.0.2.1"

// Kinds lists those that can be used for everything that the origin has, at its own address.
func Kinds() []Kind {
	return []Kind{
		VLESS, VLESSTLS, VLESSReality, VLESSEncryption, VLESSMux, VLESSHTTPHeader, VLESSWS, VLESSWSTLS, VLESSHTTPUpgrade, VLESSGRPC,
		VLESSXHTTP, VLESSXHTTPReality, VLESSXHTTPQUIC, VLESSKCP, VMess, VMessWS, VMessKCP, Trojan, TrojanGRPC,
		Shadowsocks, Shadowsocks2022, ShadowsocksWS, SOCKS, HTTP, HTTPS, Hysteria2, Hysteria2Salted,
	}
}

// UDP reports whether servers of this kind carry UDP.
func (k Kind) UDP() bool { return k != HTTP && k != HTTPS }

// ServerFirst reports whether a server can greet a client that stays silent, as in SSH or SMTP. The
// core's HTTP outbound cannot: it sends its CONNECT together with the client's first bytes, and
// waits for those. It also loses what arrives together with the answer to its CONNECT, as a
// greeting may.
func (k Kind) ServerFirst() bool { return k != HTTP && k != HTTPS }

// Ends reports whether one side of a connection learns that the other has ended it. With
// Shadowsocks 2022 it does not: the core (its package singbridge) closes nothing until both have
// ended, or 300 s have passed without a byte.
func (k Kind) Ends() bool { return k != Shadowsocks2022 }

// has reports whether one of the words is a part of the kind's name, which says in this order
// protocol, transport and security.
func (k Kind) has(words ...string) bool {
	for part := range strings.SplitSeq(string(k), "-") {
		if slices.Contains(words, part) {
			return true
		}
	}
	return false
}

// datagrams reports whether clients talk to a server of this kind by UDP alone.
func (k Kind) datagrams() bool { return k.has("kcp", "quic", "hysteria2", "wireguard") }

// wireUDP reports whether some of what clients send to a server of this kind is UDP on the wire.
// UDP of a SOCKS server goes to the port that it names, past the gate; the others carry it inside
// TCP.
func (k Kind) wireUDP() bool { return k.datagrams() || k.has("shadowsocks") }

func (k Kind) tls() bool {
	return k.has("tls", "trojan", "https", "quic", "hysteria2") || k == VLESSGRPC || k == ShadowsocksWS
}

// alpn is what a server with TLS says it speaks; empty: the core's choice.
func (k Kind) alpn() string {
	switch {
	case k.has("quic", "hysteria2"):
		return "h3"
	case k == HTTPS:
		return "http/1.1" // it would offer h2, which it does not speak
	}
	return ""
}

const (
	flow       = "xtls-rprx-vision"
	path       = "/lab"
	service    = "lab"
	host       = "www.lab.test"
	cipher     = "aes-128-gcm"
	cipher2022 = "2022-blake3-aes-128-gcm"

	// serverTunnel and clientTunnel are the ends of a WireGuard tunnel.
	serverTunnel, clientTunnel = "10.77.0.1", "10.77.0.2"
)

// account is what a server and its clients share.
type account struct {
	id, user, password      string
	private, public, shortH string // REALITY, and likewise VLESS encryption; URL-safe base64
	peer, peerPublic        string // the client's keys of WireGuard
	key                     string // Shadowsocks 2022
}

func newAccount() (account, error) {
	private, public, err := newX25519()
	if err != nil {
		return account{}, err
	}
	peer, peerPublic, err := newX25519()
	if err != nil {
		return account{}, err
	}
	var short [8]byte
	_, _ = rand.Read(short[:]) // never fails, see crypto/rand
	var key [16]byte
	_, _ = rand.Read(key[:])
	return account{
		id: uuid.NewString(), user: "lab", password: rand.Text(),
		private: private, public: public, shortH: hex.EncodeToString(short[:]),
		peer: peer, peerPublic: peerPublic, key: base64.StdEncoding.EncodeToString(key[:]),
	}, nil
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
