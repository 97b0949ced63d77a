package xray

import (
	"net"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

type dnsConfig struct {
	Servers []any  `json:"servers"`
	Tag     string `json:"tag"`
}

type dnsServer struct {
	Address      string   `json:"address"`
	Domains      []string `json:"domains"`
	SkipFallback bool     `json:"skipFallback"`
}

// resolver returns how a core that goes out through l looks names up; nil: not at all. WireGuard
// carries packets to addresses, so the core has to look up the names that applications ask for, and
// it does so through the tunnel: this machine's resolver would tell the local network who visits
// what. Only the server's own name is asked of that resolver.
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
