package link

import (
	"strconv"
	"strings"
)

// Hysteria2 is an account of a Hysteria 2 server.
type Hysteria2 struct {
	Auth Secret // a password, or user:password for servers that tell users apart; may be empty
}

// QUIC is the transport of Hysteria 2, which has no other.
type QUIC struct {
	Salamander Secret // password of the obfuscation of that name; empty: no obfuscation
	Ports      string // the ports to hop between, like "443,5000-6000"; empty: Link.Port alone
	HopSeconds string // seconds to stay on one port, like "30" or "5-30"; empty: the core's choice
	Up, Down   uint32 // bandwidth in Mbit/s, for Hysteria's congestion control; 0: unknown
}

func (Hysteria2) protocol() Protocol { return ProtocolHysteria2 }

// Network returns "hysteria", the core's name for this transport.
func (QUIC) Network() string { return "hysteria" }

func (t QUIC) params() params {
	p := params{{"mport", t.Ports}, {"hop-interval", t.HopSeconds}}
	if t.Salamander != (Secret{}) {
		p = append(p, param{"obfs", "salamander"}, param{"obfs-password", t.Salamander.Reveal()})
	}
	return append(p, param{"up", decimal(t.Up)}, param{"down", decimal(t.Down)})
}

func (a Hysteria2) uri(l Link) string {
	user := escape(a.Auth.Reveal(), ":")
	return printGeneric("hysteria2", user, l, l.streamParams())
}

// parseHysteria2 reads the URI scheme of Hysteria 2 (hysteria.network, "URI Scheme") with the
// parameters that clients have added to it.
func parseHysteria2(body, name string) (Link, *Error) {
	address, rest, _ := strings.Cut(body, "?")
	address, ports := cutPorts(address)
	g, err := split(address+"?"+rest, 443, "")
	if err != nil {
		return Link{}, err
	}
	q := &g.query
	var a Hysteria2
	if a.Auth, err = credential(unescape(g.user)); err != nil {
		return Link{}, err
	}
	if !plainText(a.Auth.Reveal()) {
		return Link{}, reject(CodeBadEncoding, "the password of the link contains control characters, which an HTTP header cannot carry; ask for the link again")
	}
	l := Link{Protocol: ProtocolHysteria2, Name: cleanName(name), Host: g.host, Port: g.port, Account: a}
	l.Transport = parseQUIC(q, ports)
	switch q.word("security") {
	case "", "tls":
		l.Secure = parseTLS(q, l.Transport)
	default:
		q.fail(reject(CodeUnsupportedSecurity, "Hysteria 2 works over tls only; ask for a link without the parameter security"))
	}
	switch q.word("type") {
	case "", "hysteria", "hysteria2", "udp", "quic", "none":
	default:
		q.fail(reject(CodeUnsupportedTransport, "Hysteria 2 has a transport of its own; ask for a link without the parameter type"))
	}
	q.checkUnsupported("obfs", "mux")
	if q.err != nil {
		return Link{}, q.err
	}
	return l, nil
}

func parseQUIC(q *query, ports string) QUIC {
	t := QUIC{Up: parseBandwidth(q, "up", "upmbps"), Down: parseBandwidth(q, "down", "downmbps")}
	password := NewSecret(q.get("obfs-password", "obfsParam"))
	switch q.word("obfs") {
	case "", "none", "plain":
	case "salamander":
		if t.Salamander = password; password == (Secret{}) {
			q.fail(reject(CodeMissingCredentials, "the link asks for the obfuscation salamander without its password; ask for a complete link"))
		}
	default:
		q.fail(unsupportedParameter("obfs", "names an obfuscation that the core does not have; it can be salamander"))
	}
	if mport := q.get("mport", "ports"); mport != "" {
		ports = mport
	}
	if ports != "" {
		var ok bool
		if t.Ports, ok = portList(ports); !ok {
			q.fail(reject(CodeBadPort, "the ports to hop between are not a list like 443,5000-6000"))
		}
	}
	if interval := strings.TrimSuffix(strings.ReplaceAll(q.get("hop-interval", "hopInterval", "mportHopInt"), " ", ""), "s"); interval != "" {
		from, to, _ := strings.Cut(interval, "-")
		for _, bound := range []string{from, to} {
			if n, err := strconv.ParseUint(bound, 10, 31); bound != "" && (err != nil || n < 5) || from == "" {
				q.fail(badParameter("hop-interval", "is not a number of seconds from 5, or two joined by a dash"))
			}
		}
		if t.HopSeconds = strings.TrimSuffix(interval, "-"); t.Ports == "" {
			t.HopSeconds = "" // there is nowhere to hop to
		}
	}
	return t
}

// cutPorts turns an address with several ports (host:443,5000-6000) into one with the first of
// them, and returns the list.
func cutPorts(address string) (single, ports string) {
	trimmed, path := address, ""
	at := strings.LastIndexByte(address, '@')
	if i := strings.IndexByte(address[at+1:], '/'); i >= 0 {
		trimmed, path = address[:at+1+i], address[at+1+i:]
	}
	i := strings.LastIndexByte(trimmed, ':')
	if i <= at || !strings.ContainsAny(trimmed[i:], ",-") || strings.HasSuffix(trimmed, "]") {
		return address, ""
	}
	ports = trimmed[i+1:]
	return trimmed[:i+1] + ports[:strings.IndexAny(ports, ",-")] + path, ports
}

// portList checks a list of ports and ranges and returns it without spaces.
func portList(s string) (string, bool) {
	s = strings.Join(strings.Fields(s), "")
	for item := range strings.SplitSeq(s, ",") {
		from, to, isRange := strings.Cut(item, "-")
		low, err := parsePort(from)
		if err != nil {
			return "", false
		}
		if isRange {
			if high, err := parsePort(to); err != nil || high < low {
				return "", false
			}
		}
	}
	return s, true
}

// parseBandwidth reads a number of Mbit/s; some links write the unit behind it.
func parseBandwidth(q *query, keys ...string) uint32 {
	s := strings.ToLower(strings.ReplaceAll(q.get(keys...), " ", ""))
	if s == "" {
		return 0
	}
	for _, unit := range []string{"mbps", "mb", "m"} {
		if number, ok := strings.CutSuffix(s, unit); ok {
			s = number
			break
		}
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n > 1_000_000 {
		q.fail(badParameter(keys[0], "is not a whole number of Mbit/s"))
	}
	return uint32(n)
}
