package xray

import (
	"net"
	"strconv"

	"github.com/xrat-tray/xrat/runtime/link"
)

// The outbounds that use UDP: Hysteria 2, mKCP and WireGuard.

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

// finalMask is the disguise that the core gives to datagrams. The first mask is the outermost on
// the wire.
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

// quicKeepAlive is the time between keep-alives of a silent QUIC connection, in seconds. The core
// sends none by default, and after 30 s without a packet the connection ends with all streams in
// it.
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

// kcpHeaders translates the headers in links to the core's names.
var kcpHeaders = map[string]string{
	"srtp": "header-srtp", "utp": "header-utp", "wechat-video": "header-wechat", "dtls": "header-dtls", "wireguard": "header-wireguard", "dns": "header-dns",
}

// kcp writes as masks what mKCP itself did in the cores for which the links were made: a header,
// and below it encryption with the seed or, without a seed, a checksum.
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

// wireGuard sets noKernelTun: as root the core would otherwise use the kernel's WireGuard, and
// change the interfaces and routes of this machine.
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
