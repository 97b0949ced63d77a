package subscription

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
)

// guard decides which servers one fetch may talk to; [Request] states the rules.
type guard struct {
	start *url.URL
	local bool // start may be in the user's own network

	mu   sync.Mutex
	at   *url.URL // the hop that is being fetched
	away bool     // a redirect has led away from start's host and port
}

func newGuard(start *url.URL, private bool) *guard {
	return &guard{start: start, at: start, local: private || typedLocal(start.Hostname())}
}

// home reports whether an address is at the server of start: there, or at the same name with TLS in
// addition.
func (g *guard) home(u *url.URL) bool {
	secured := g.start.Scheme == "http" && u.Scheme == "https" && g.start.Port() == "" && u.Port() == "" && strings.EqualFold(g.start.Hostname(), u.Hostname())
	return secured || sameOrigin(g.start, u)
}

func (g *guard) current() *url.URL {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.at
}

// checkRedirect judges the address of a redirect before anything is looked up or dialed. If a proxy
// does the looking up, this is the only check.
func (g *guard) checkRedirect(next *http.Request, via []*http.Request) error {
	next.Header.Del("Referer") // the previous address, with its token
	g.mu.Lock()
	defer g.mu.Unlock()
	from := Redact(via[len(via)-1].URL.String())
	to := next.URL
	switch {
	case len(via) > maxRedirects:
		return fail(CodeBadRedirect, Redact(g.start.String())+" redirects more than 5 times; check the address")
	case to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "":
		return fail(CodeBadRedirect, from+" redirects to something that is no web address")
	case to.Scheme == "http" && via[len(via)-1].URL.Scheme == "https":
		return fail(CodeBadRedirect, from+" redirects from https to http, where others could read and change the answer")
	}
	g.at = to
	if !sameOrigin(g.start, to) {
		g.away = true
	}
	if g.local && !g.away {
		return nil
	}
	if !publicName(to.Hostname()) {
		return fail(CodeBlockedAddress, from+" redirects to an address of a private network or of this machine, which is not followed")
	}
	return nil
}

// checkDial judges the address that a name has been resolved to, right before it is dialed. A name
// may resolve to another one each time.
func (g *guard) checkDial(address, resolved string) error {
	ip, err := netip.ParseAddrPort(resolved)
	if err != nil {
		return fail(CodeBlockedAddress, "the address of the server is not an IP address")
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if isPublic(ip.Addr()) {
		return nil
	}
	if g.local && !g.away && strings.EqualFold(address, hostPort(g.start)) && isLocal(ip.Addr()) {
		return nil
	}
	return fail(CodeBlockedAddress, Redact(g.at.String())+" leads to an address of a private network or of this machine; if that is what you want, write the address itself, or allow it for the subscription with --private")
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
		if u.Scheme == "https" {
			port = "443"
		}
	}
	return net.JoinHostPort(u.Hostname(), port)
}

func sameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(hostPort(a), hostPort(b))
}

// publicName reports whether nothing in the name of a host is special. It may still resolve to an
// address that is.
func publicName(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return isPublic(ip)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	last := host[strings.LastIndexByte(host, '.')+1:]
	switch last {
	case "localhost", "local", "internal", "localdomain", "lan", "home", "": // metadata.google.internal
		return false
	}
	// 127.1, 0x7f000001 and 2130706433 are addresses to some resolvers.
	return last[0] < '0' || last[0] > '9'
}

// isLocal reports whether a user may have a server of his own at ip: on his machine, in his network
// or in his VPN.
func isLocal(ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.Zone() != "" || metadata(ip) {
		return false
	}
	return ip.IsLoopback() || ip.IsPrivate() || sharedSpace.Contains(ip)
}

// metadata reports whether ip belongs to a metadata service of a cloud, of those that are not
// link-local.
func metadata(ip netip.Addr) bool {
	return ip == netip.AddrFrom4([4]byte{100, 100, 100, 200}) || awsMetadata.Contains(ip)
}

// The special addresses, from the registries of IANA (RFC 6890). What blocked lacks is covered by
// the methods of netip.Addr, or is no global unicast address. 198.18.0.0/15 is left out on purpose:
// proxies that work with fake addresses, which a user may run beside xrat, resolve every name to
// it.
var (
	sharedSpace = netip.MustParsePrefix("100.64.0.0/10")
	awsMetadata = netip.MustParsePrefix("fd00:ec2::/32")
	globalV6    = netip.MustParsePrefix("2000::/3")
	nat64       = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour   = netip.MustParsePrefix("2002::/16")
	blocked     = prefixes("0.0.0.0/8", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
		"100.64.0.0/10", "2001::/23", "2001:db8::/32", "3fff::/20")
)

func prefixes(texts ...string) []netip.Prefix {
	var list []netip.Prefix
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// embedded returns the IPv4 address that an IPv6 address stands for, and ip if it stands for none.
func embedded(ip netip.Addr) netip.Addr {
	ip = ip.Unmap()
	bytes := ip.As16()
	switch {
	case nat64.Contains(ip):
		return netip.AddrFrom4([4]byte(bytes[12:16]))
	case sixToFour.Contains(ip):
		return netip.AddrFrom4([4]byte(bytes[2:6]))
	}
	return ip
}

// isPublic reports whether ip is an address of the internet. For an IPv6 address that stands for an
// IPv4 address, the latter counts.
func isPublic(ip netip.Addr) bool {
	ip = embedded(ip)
	if ip.Zone() != "" || !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.Is6() && !globalV6.Contains(ip) {
		return false
	}
	for _, prefix := range blocked {
		if prefix.Contains(ip) {
			return false
		}
	}
	return true
}
