package xray

import (
	"net"
	"strconv"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// What goes over UDP: Hysteria 2, mKCP and WireGuard.

type hysteriaServer struct {
	Version int    `json:"version"`
	Address string `json:"address"`
	Port    uint16 `json:"port"`
}

type hysteriaAuth struct {
	Version int    `json:"version"`
	Auth    string `json:"auth"`
}

type kcpSettings struct {
	MTU uint16 `json:"mtu,omitempty"`
	TTI uint16 `json:"tti,omitempty"`
}

// finalMask is what the core does to datagrams last. The first mask is the outermost on the wire.
type finalMask struct {
	UDP  []mask      `json:"udp,omitempty"`
	QUIC *quicParams `json:"quicParams,omitempty"`
}

type mask struct {
	Type     string       `json:"type"`
	Settings maskSettings `json:"settings"`
}

type maskSettings struct {
	Password string `json:"password,omitempty"`
	Domain   string `json:"domain,omitempty"`
}

type quicParams struct {
	Up        string  `json:"brutalUp,omitempty"`
	Down      string  `json:"brutalDown,omitempty"`
	Hop       *udpHop `json:"udpHop,omitempty"`
	KeepAlive int     `json:"keepAlivePeriod"` // seconds
}

type udpHop struct {
	Ports    string `json:"ports"`
	Interval string `json:"interval,omitempty"`
}

// quicKeepAlive is how often a silent QUIC connection shows that it lives, in seconds. The core's default is never, and after 30 s without a
// packet the connection ends with all that is in it.
const quicKeepAlive = 10

func quic(t link.QUIC) *finalMask {
	m := &finalMask{QUIC: &quicParams{Up: megabits(t.Up), Down: megabits(t.Down), KeepAlive: quicKeepAlive}}
	if t.Ports != "" {
		m.QUIC.Hop = &udpHop{t.Ports, t.HopSeconds}
	}
	if t.Salamander.Reveal() != "" {
		m.UDP = []mask{{"salamander", maskSettings{Password: t.Salamander.Reveal()}}}
	}
	return m
}

func megabits(n uint32) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n)) + " mbps"
}

// kcpHeaders are the core's names of the headers that links name.
var kcpHeaders = map[string]string{
	"srtp": "header-srtp", "utp": "header-utp", "wechat-video": "header-wechat", "dtls": "header-dtls", "wireguard": "header-wireguard", "dns": "header-dns",
}

// kcp says in the words of the present core what mKCP did by itself when the links were made: a header, and below it
// either the encryption by a seed or, without one, a sum.
func kcp(t link.KCP) (*kcpSettings, *finalMask) {
	m := &finalMask{}
	if t.Header != "" {
		m.UDP = append(m.UDP, mask{kcpHeaders[t.Header], maskSettings{Domain: t.Domain}})
	}
	if seed := t.Seed.Reveal(); seed != "" {
		m.UDP = append(m.UDP, mask{"mkcp-aes128gcm", maskSettings{Password: seed}})
	} else {
		m.UDP = append(m.UDP, mask{"mkcp-original", maskSettings{}})
	}
	return &kcpSettings{t.MTU, t.TTI}, m
}

type wireGuardSettings struct {
	SecretKey      string           `json:"secretKey"`
	Address        []string         `json:"address,omitempty"`
	Peers          [1]wireGuardPeer `json:"peers"`
	MTU            uint16           `json:"mtu,omitempty"`
	Reserved       []int            `json:"reserved,omitempty"`
	DomainStrategy string           `json:"domainStrategy"`
	NoKernelTun    bool             `json:"noKernelTun"`
}

type wireGuardPeer struct {
	PublicKey    string   `json:"publicKey"`
	PreSharedKey string   `json:"preSharedKey,omitempty"`
	Endpoint     string   `json:"endpoint"`
	KeepAlive    uint16   `json:"keepAlive,omitempty"`
	AllowedIPs   []string `json:"allowedIPs,omitempty"`
}

// wireGuard keeps the core from using the kernel's WireGuard: as root it would make an interface and routes of this machine.
func wireGuard(l link.Link, a link.WireGuard) wireGuardSettings {
	s := wireGuardSettings{
		SecretKey: a.PrivateKey.Reveal(), Address: list(a.Addresses), MTU: a.MTU, DomainStrategy: "ForceIPv4v6", NoKernelTun: true,
		Peers: [1]wireGuardPeer{{
			PublicKey: a.PublicKey.Reveal(), PreSharedKey: a.PreSharedKey.Reveal(), KeepAlive: a.KeepAlive, AllowedIPs: list(a.AllowedIPs),
			Endpoint: net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))),
		}},
	}
	for _, b := range list(a.Reserved) {
		n, _ := strconv.Atoi(b) // runtime/link has checked it
		s.Reserved = append(s.Reserved, n)
	}
	return s
}

type dnsConfig struct {
	Servers []any  `json:"servers"`
	Tag     string `json:"tag"`
}

type dnsServer struct {
	Address      string   `json:"address"`
	Domains      []string `json:"domains"`
	SkipFallback bool     `json:"skipFallback"`
}

// resolver is how a core that goes out through l looks names up; nil: it does not. WireGuard carries packets to addresses, so that
// the core must look up the names that applications ask for. It must ask through the tunnel: this machine's resolver would tell
// the local network who visits what. Only the server's own name is asked of that.
func resolver(l link.Link) *dnsConfig {
	a, ok := l.Account.(link.WireGuard)
	if !ok {
		return nil
	}
	d := &dnsConfig{Tag: "dns"}
	if net.ParseIP(l.Host) == nil {
		d.Servers = append(d.Servers, dnsServer{Address: "localhost", Domains: []string{"full:" + strings.TrimSuffix(l.Host, ".")}, SkipFallback: true})
	}
	servers := list(a.DNS)
	if len(servers) == 0 {
		servers = []string{"1.1.1.1", "8.8.8.8"}
		if a.Addresses != "" && !strings.Contains(a.Addresses, ".") {
			servers = []string{"2606:4700:4700::1111", "2001:4860:4860::8888"}
		}
	}
	for _, s := range servers {
		d.Servers = append(d.Servers, s)
	}
	return d
}
