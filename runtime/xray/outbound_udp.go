package xray

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"strconv"

	"github.com/xrat-tray/xrat/runtime/link"
)

// The outbounds that use UDP: Hysteria 2, mKCP and WireGuard; and the masks of all.

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

// finalMask is the disguise that the core gives to streams and datagrams. The first mask is the
// outermost on the wire.
type finalMask struct {
	TCP  []mask      `json:"tcp,omitempty"`
	UDP  []mask      `json:"udp,omitempty"`
	QUIC *quicParams `json:"quicParams,omitempty"`
}

// masks returns those of the link, or nil if it has none. runtime/link has checked every setting.
func masks(l link.Link) (*finalMask, error) {
	text := l.Mask.Reveal()
	if text == "" {
		return nil, nil
	}
	var m finalMask
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		return nil, fmt.Errorf("reading the masks of %v: they are not JSON", l) // the error could repeat them
	}
	if m.QUIC != nil && m.QUIC.Hop != nil {
		m.QUIC.Hop = newHop(m.QUIC.Hop.Ports, m.QUIC.Hop.Interval)
	}
	return &m, nil
}

type mask struct {
	Type     string         `json:"type"`
	Settings map[string]any `json:"settings,omitempty"`
}

type quicParams struct {
	Congestion string  `json:"congestion,omitempty"`
	Up         string  `json:"brutalUp,omitempty"`
	Down       string  `json:"brutalDown,omitempty"`
	Hop        *udpHop `json:"udpHop,omitempty"`
	KeepAlive  int     `json:"keepAlivePeriod,omitempty"` // seconds
	Idle       int     `json:"maxIdleTimeout,omitempty"`  // seconds

	// Bytes.
	StreamWindow     uint64 `json:"initStreamReceiveWindow,omitempty"`
	MaxStreamWindow  uint64 `json:"maxStreamReceiveWindow,omitempty"`
	ConnectionWindow uint64 `json:"initConnectionReceiveWindow,omitempty"`
	MaxConnection    uint64 `json:"maxConnectionReceiveWindow,omitempty"`

	FixedMTU bool `json:"disablePathMTUDiscovery,omitempty"`
}

type udpHop struct {
	Ports    string `json:"ports"`
	Interval string `json:"interval"` // seconds, or a range of them
}

// newHop says how to hop between ports. Without an interval the core takes 0 for one, and panics
// when it dials; Hysteria's own is half a minute.
func newHop(ports, interval string) *udpHop { return &udpHop{ports, cmp.Or(interval, "30")} }

// quicKeepAlive is the time between keep-alives of a silent QUIC connection, in seconds. The core
// sends none by default, and after 30 s without a packet the connection ends with all streams in
// it.
const quicKeepAlive = 10

func quic(t link.QUIC, m *finalMask) *finalMask {
	if m == nil {
		m = &finalMask{}
	}
	if m.QUIC == nil {
		m.QUIC = &quicParams{}
	}
	if t.Up > 0 {
		m.QUIC.Up = megabits(t.Up)
	}
	if t.Down > 0 {
		m.QUIC.Down = megabits(t.Down)
	}
	if m.QUIC.KeepAlive == 0 {
		m.QUIC.KeepAlive = quicKeepAlive
	}
	if t.Ports != "" {
		m.QUIC.Hop = newHop(t.Ports, t.HopSeconds)
	}
	if password := t.Salamander.Reveal(); password != "" {
		m.UDP = append(m.UDP, maskWith("salamander", "password", password))
	}
	return m
}

// maskWith is a mask with one setting, which is left out if it is empty.
func maskWith(kind, setting, value string) mask {
	if value == "" {
		return mask{Type: kind}
	}
	return mask{kind, map[string]any{setting: value}}
}

func megabits(n uint32) string { return strconv.Itoa(int(n)) + " mbps" }

// kcpHeaders translates the headers in links to the core's names.
var kcpHeaders = map[string]string{
	"srtp": "header-srtp", "utp": "header-utp", "wechat-video": "header-wechat", "dtls": "header-dtls", "wireguard": "header-wireguard", "dns": "header-dns",
}

// kcp writes as masks what mKCP itself did in the cores for which the links were made: a header,
// and below it encryption with the seed or, without a seed, a checksum. A link with other masks for
// its datagrams has them all in m.
func kcp(t link.KCP, m *finalMask) (*kcpSettings, *finalMask) {
	settings := &kcpSettings{t.MTU, t.TTI}
	if m == nil {
		m = &finalMask{}
	}
	if len(m.UDP) > 0 {
		return settings, m
	}
	if t.Header != "" {
		m.UDP = append(m.UDP, maskWith(kcpHeaders[t.Header], "domain", t.Domain))
	}
	if seed := t.Seed.Reveal(); seed != "" {
		m.UDP = append(m.UDP, maskWith("mkcp-aes128gcm", "password", seed))
	} else {
		m.UDP = append(m.UDP, mask{Type: "mkcp-original"})
	}
	return settings, m
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
