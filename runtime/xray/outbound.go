package xray

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// Outbound returns the outbound that makes the core dial the server of l, in the JSON of the core's
// configuration and without a tag. It is built field by field from the types below, so that nothing
// in a link can reach another part of the configuration. The result contains secrets. The error
// means that l is incomplete: no link from link.Parse gives one.
//
// The names of the fields (vnext, servers, tcp) are those that older cores understand, too. They
// are documented at xtls.github.io/en/config and defined by the core's package infra/conf.
func Outbound(l link.Link) (json.RawMessage, error) {
	o := outbound{}
	var err error
	if o.Protocol, o.Settings, err = account(l); err != nil {
		return nil, err
	}
	if o.Stream, err = stream(l); err != nil {
		return nil, err
	}
	if l.Mux > 0 {
		o.Mux = &muxSettings{Enabled: true, Concurrency: int(l.Mux)}
	}
	raw, err := json.Marshal(o)
	if err != nil {
		return nil, fmt.Errorf("printing the outbound of %v: %w", l, err)
	}
	return raw, nil
}

type outbound struct {
	Protocol string          `json:"protocol"`
	Settings any             `json:"settings"`
	Stream   *streamSettings `json:"streamSettings,omitempty"`
	Mux      *muxSettings    `json:"mux,omitempty"`
}

type muxSettings struct {
	Enabled     bool `json:"enabled"`
	Concurrency int  `json:"concurrency"`
}

// vnextSettings are the settings of VLESS and VMess, serverSettings those of the other protocols.
type vnextSettings struct {
	Vnext [1]server `json:"vnext"`
}

type serverSettings struct {
	Servers [1]server `json:"servers"`
}

type server struct {
	Address string `json:"address"`
	Port    uint16 `json:"port"`
	Users   []user `json:"users,omitempty"`

	Method   string `json:"method,omitempty"`   // Shadowsocks
	Password string `json:"password,omitempty"` // Shadowsocks, Trojan
}

type user struct {
	ID         string `json:"id,omitempty"`
	Flow       string `json:"flow,omitempty"`       // VLESS
	Encryption string `json:"encryption,omitempty"` // VLESS
	Security   string `json:"security,omitempty"`   // VMess
	User       string `json:"user,omitempty"`       // SOCKS, HTTP
	Pass       string `json:"pass,omitempty"`       // SOCKS, HTTP
}

func account(l link.Link) (protocol string, settings any, err error) {
	s := server{Address: l.Host, Port: l.Port}
	vnext := false
	switch a := l.Account.(type) {
	case link.VLESS:
		vnext = true
		s.Users = []user{{ID: a.UUID.Reveal(), Flow: a.Flow, Encryption: a.Encryption.Reveal()}}
	case link.VMess:
		vnext = true
		s.Users = []user{{ID: a.UUID.Reveal(), Security: a.Cipher}}
	case link.Trojan:
		s.Password = a.Password.Reveal()
	case link.Shadowsocks:
		s.Method, s.Password = a.Method, a.Password.Reveal()
	case link.SOCKS:
		s.Users = userPassword(a.User, a.Password)
	case link.HTTP:
		s.Users = userPassword(a.User, a.Password)
	case link.Hysteria2:
		return "hysteria", hysteriaServer{Version: 2, Address: l.Host, Port: l.Port}, nil
	case link.WireGuard:
		return string(l.Protocol), wireGuard(l, a), nil
	default:
		return "", nil, fmt.Errorf("making the outbound of %v: the protocol is not supported", l)
	}
	if vnext {
		return string(l.Protocol), vnextSettings{[1]server{s}}, nil
	}
	return string(l.Protocol), serverSettings{[1]server{s}}, nil
}

func userPassword(name, password link.Secret) []user {
	if name.Reveal() == "" {
		return nil
	}
	return []user{{User: name.Reveal(), Pass: password.Reveal()}}
}

type streamSettings struct {
	Network     string           `json:"network"`
	Security    string           `json:"security"`
	TLS         *tlsSettings     `json:"tlsSettings,omitempty"`
	REALITY     *realitySettings `json:"realitySettings,omitempty"`
	TCP         *tcpSettings     `json:"tcpSettings,omitempty"`
	WebSocket   *hostPath        `json:"wsSettings,omitempty"`
	HTTPUpgrade *hostPath        `json:"httpupgradeSettings,omitempty"`
	GRPC        *grpcSettings    `json:"grpcSettings,omitempty"`
	XHTTP       *xhttpSettings   `json:"xhttpSettings,omitempty"`
	KCP         *kcpSettings     `json:"kcpSettings,omitempty"`
	Hysteria    *hysteriaAuth    `json:"hysteriaSettings,omitempty"`
	Mask        *finalMask       `json:"finalmask,omitempty"`
}

type tlsSettings struct {
	ServerName  string   `json:"serverName,omitempty"`
	ALPN        []string `json:"alpn,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	PinnedCerts string   `json:"pinnedPeerCertSha256,omitempty"`
	VerifyNames string   `json:"verifyPeerCertByName,omitempty"`
	ECH         string   `json:"echConfigList,omitempty"`
	ECHQuery    string   `json:"echForceQuery,omitempty"`
}

type realitySettings struct {
	ServerName  string `json:"serverName,omitempty"`
	Fingerprint string `json:"fingerprint"`
	PublicKey   string `json:"publicKey"`
	ShortID     string `json:"shortId"`
	SpiderX     string `json:"spiderX"`
	PostQuantum string `json:"mldsa65Verify,omitempty"`
}

type hostPath struct {
	Host string `json:"host,omitempty"`
	Path string `json:"path"`
}

type grpcSettings struct {
	Service   string `json:"serviceName"`
	Authority string `json:"authority,omitempty"`
	Multi     bool   `json:"multiMode"`
}

type xhttpSettings struct {
	hostPath
	Mode  string          `json:"mode"`
	Extra json.RawMessage `json:"extra,omitempty"`
}

type tcpSettings struct {
	Header httpHeader `json:"header"`
}

type httpHeader struct {
	Type    string      `json:"type"`
	Request httpRequest `json:"request"`
}

type httpRequest struct {
	Path    []string            `json:"path"`
	Headers map[string][]string `json:"headers,omitempty"`
}

func stream(l link.Link) (*streamSettings, error) {
	m, err := masks(l)
	if err != nil {
		return nil, err
	}
	if _, ok := l.Transport.(link.Datagrams); ok {
		if m == nil {
			return nil, nil // WireGuard sends its datagrams itself
		}
		return &streamSettings{Network: "tcp", Security: "none", Mask: m}, nil
	}
	s := &streamSettings{Network: l.Network(), Security: l.Security(), Mask: m}
	switch t := l.Transport.(type) {
	case link.Raw:
		if t.HTTPHeader {
			s.TCP = &tcpSettings{httpHeader{Type: "http", Request: request(t)}}
		}
	case link.WebSocket:
		s.WebSocket = &hostPath{t.Host, t.Path}
	case link.HTTPUpgrade:
		s.HTTPUpgrade = &hostPath{t.Host, t.Path}
	case link.GRPC:
		s.GRPC = &grpcSettings{t.Service, t.Authority, t.Multi}
	case link.XHTTP:
		s.XHTTP = &xhttpSettings{hostPath{t.Host, t.Path}, t.Mode, json.RawMessage(t.ExtraWithDownload())}
	case link.KCP:
		s.KCP, s.Mask = kcp(t, m)
	case link.QUIC:
		account, ok := l.Account.(link.Hysteria2)
		if !ok {
			return nil, fmt.Errorf("making the outbound of %v: its transport belongs to another protocol", l)
		}
		s.Hysteria = &hysteriaAuth{Version: 2, Auth: account.Auth.Reveal()}
		s.Mask = quic(t, m)
	default:
		return nil, fmt.Errorf("making the outbound of %v: the transport is not supported", l)
	}
	switch sec := l.Secure.(type) {
	case nil:
	case link.TLS:
		s.TLS = &tlsSettings{
			ServerName: sec.ServerName, ALPN: list(sec.ALPN), Fingerprint: sec.Fingerprint,
			PinnedCerts: sec.PinnedCerts, VerifyNames: sec.VerifyNames, ECH: sec.ECH, ECHQuery: sec.ECHQuery,
		}
		if s.Hysteria != nil && sec.ServerName == "" {
			s.TLS.ServerName = l.Host // which the core does by itself for other transports
		}
	case link.REALITY:
		s.REALITY = &realitySettings{
			ServerName: sec.ServerName, Fingerprint: sec.Fingerprint, PublicKey: sec.PublicKey.Reveal(),
			ShortID: sec.ShortID.Reveal(), SpiderX: sec.SpiderX, PostQuantum: sec.PostQuantum.Reveal(),
		}
	default:
		return nil, fmt.Errorf("making the outbound of %v: the security is not supported", l)
	}
	return s, nil
}

// request returns the request that the first bytes imitate. Headers given to the core replace all
// of its own, so the usual ones accompany the host; without a host the core's own will do.
func request(t link.Raw) httpRequest {
	r := httpRequest{Path: list(t.Path)}
	if hosts := list(t.Host); len(hosts) > 0 {
		r.Headers = map[string][]string{
			"Host":            hosts,
			"User-Agent":      {"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36"},
			"Accept-Encoding": {"gzip, deflate"},
			"Connection":      {"keep-alive"},
			"Pragma":          {"no-cache"},
		}
	}
	return r
}

// list splits at commas.
func list(s string) []string {
	var items []string
	for item := range strings.SplitSeq(s, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
