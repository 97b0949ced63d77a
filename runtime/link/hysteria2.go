package link

import (
	"cmp"
	"net/netip"
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
	HopSeconds string // seconds to stay on one port, like "30" or "5-30"; empty: not said
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
func (r *reader) parseHysteria2(body, name string) (Link, *Error) {
	body, name = looseUser(body, name)
	address, rest, _ := strings.Cut(body, "?")
	address, ports := cutPorts(address)
	g, err := r.split(address+"?"+rest, 443, "")
	if err != nil {
		return Link{}, err
	}
	q := &g.query
	var a Hysteria2
	if a.Auth, err = credential(cmp.Or(unescape(g.user), q.get("auth", "password"))); err != nil {
		return Link{}, err
	}
	if !plainText(a.Auth.Reveal()) {
		return Link{}, reject(CodeBadEncoding, "the password of the link contains control characters, which an HTTP header cannot carry; ask for the link again")
	}
	l := Link{Protocol: ProtocolHysteria2, Name: q.name(name), Host: g.host, Port: g.port, Account: a}
	l.Transport = parseQUIC(q, ports)
	switch q.word("security") {
	case "", "tls":
		l.Secure = parseTLS(q, l.Transport)
	default:
		q.fail(reject(CodeUnsupportedSecurity, "Hysteria 2 works over tls only; ask for a link without the parameter security"))
	}
	// It has no parameter type: what exporters write there is about other protocols.
	l.applyMasks(q, parseMasks(q))
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
	if mport := q.get("mport", "mports", "ports"); mport != "" {
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
	host := strings.LastIndexByte(address, '@') + 1
	trimmed, path := address, ""
	if i := strings.IndexByte(address[host:], '/'); i >= 0 {
		trimmed, path = address[:host+i], address[host+i:]
	}
	start := host // from where on a colon is that of the ports
	if strings.HasPrefix(trimmed[host:], "[") {
		start += max(strings.IndexByte(trimmed[host:], ']'), 0)
	} else if _, err := netip.ParseAddr(trimmed[host:]); err == nil {
		return address, "" // IPv6 without brackets
	}
	i := strings.IndexByte(trimmed[start:], ':')
	if i < 0 {
		return address, ""
	}
	if ports = trimmed[start+i+1:]; !strings.ContainsAny(ports, ",-:") || strings.Trim(ports, "0123456789,-: ") != "" {
		return address, ""
	}
	return trimmed[:start+i+1] + ports[:strings.IndexAny(ports, ",-:")] + path, ports
}

// portList checks a list of ports and ranges and returns it without spaces. Some write a range with
// a colon.
func portList(s string) (string, bool) {
	s = strings.ReplaceAll(strings.Join(strings.Fields(s), ""), ":", "-")
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

const (
	megabit      = 1 << 20   // as the core counts
	maxBandwidth = 1_000_000 // Mbit/s
)

// parseBandwidth reads a number of Mbit/s; some links write the unit behind it.
func parseBandwidth(q *query, keys ...string) uint32 {
	s := q.get(keys...)
	if s == "" {
		return 0
	}
	bits, ok := bandwidth(s, megabit)
	if !ok || bits%megabit != 0 || bits/megabit > maxBandwidth {
		q.fail(badParameter(keys[0], "is not a whole number of Mbit/s"))
		return 0
	}
	return uint32(bits / megabit)
}

// bandwidth reads a whole number and its unit, in bits a second. A number without a unit counts
// unit bits.
func bandwidth(s string, unit uint64) (bits uint64, ok bool) {
	s = strings.ToLower(strings.ReplaceAll(s, " ", ""))
	digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
	switch strings.TrimSuffix(strings.TrimSuffix(s[digits:], "ps"), "b") {
	case "":
		if digits < len(s) {
			unit = 1
		}
	case "k":
		unit = 1 << 10
	case "m":
		unit = megabit
	case "g":
		unit = 1 << 30
	case "t":
		unit = 1 << 40
	default:
		return 0, false
	}
	n, err := strconv.ParseUint(s[:digits], 10, 64)
	if err != nil || n > 1<<62/unit {
		return 0, false
	}
	return n * unit, true
}
