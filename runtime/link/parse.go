package link

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// maxLength bounds a link without its name, in bytes. The longest parameters in use, post-quantum
// keys, take about 3 KiB.
const maxLength = 64 << 10

// Parse reads one share link. The error is always an *Error and contains nothing secret.
func Parse(s string) (Link, error) {
	l, _, err := Read(s)
	return l, err
}

// Read is Parse, and names what it left out of a link that may work without: texts for users, that
// go with "left out: ", without anything secret.
func Read(s string) (l Link, leftOut []string, err error) {
	var r reader
	l, rejection := r.parse(s)
	if rejection != nil {
		return Link{}, nil, rejection
	}
	return l, r.leftOut, nil
}

// reader reads one link.
type reader struct{ leftOut []string }

// leave notes what is left out, once.
func (r *reader) leave(what string) {
	if !slices.Contains(r.leftOut, what) {
		r.leftOut = append(r.leftOut, what)
	}
}

func (r *reader) parse(s string) (Link, *Error) {
	s = repairMail(strings.TrimSpace(strings.TrimPrefix(s, "\uFEFF")))
	if s == "" {
		return Link{}, reject(CodeEmpty, "the link is empty; give one that begins with a scheme like vless://")
	}
	scheme, rest, found := strings.Cut(s, "://")
	if !found || !isScheme(scheme) {
		return Link{}, reject(CodeNotALink, "this is not a share link: it does not begin with a scheme like vless://")
	}
	body, name, _ := strings.Cut(rest, "#")
	name = withoutDescription(name)
	if len(body) > maxLength {
		return Link{}, reject(CodeTooLong, "the link is longer than 64 KiB without its name; check that it is one link and not a file")
	}
	body = strings.TrimSpace(body)
	if followed(body) {
		return Link{}, chained()
	}
	switch scheme = strings.ToLower(scheme); scheme {
	case "vless":
		return r.parseVLESS(body, name)
	case "vmess":
		return r.parseVMess(body, name)
	case "trojan":
		return r.parseTrojan(body, name)
	case "ss", "shadowsocks":
		return r.parseShadowsocks(body, name)
	case "socks", "socks5", "socks5h":
		return r.parseSOCKS(body, name)
	case "http", "https":
		return r.parseHTTP(body, name, scheme == "https")
	case "hysteria2", "hy2":
		return r.parseHysteria2(body, name)
	case "wireguard", "wg":
		return r.parseWireGuard(body, name)
	}
	return Link{}, rejectForeign(scheme)
}

// repairMail undoes what makes a mail address of user@host in texts with markup:
// "[user@host](mailto:user@host)".
func repairMail(s string) string {
	const middle = "](mailto:"
	for range 4 {
		i := strings.Index(s, middle)
		if i < 0 {
			break
		}
		start, end := strings.LastIndexByte(s[:i], '['), strings.IndexByte(s[i:], ')')
		if start < 0 || end < 0 {
			break
		}
		s = s[:start] + s[start+1:i] + s[i+end+1:]
	}
	return s
}

func isScheme(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("+-.", s[i]) < 0 {
			return false
		}
	}
	return s != ""
}

// generic is a link of the form user@host:port/path?query, taken apart but not decoded. Only the
// query is decoded already.
type generic struct {
	user, host string
	port       uint16
	path       string
	query      query
}

// split takes body apart. defaultPort stands in for a missing port; 0 makes a missing port an
// error. needed names what must stand before the host, for a message; empty: nothing must.
func (r *reader) split(body string, defaultPort uint16, needed string) (generic, *Error) {
	g := generic{query: query{reader: r}}
	address, rawQuery, _ := strings.Cut(body, "?")
	g.query.params = parseParams(strings.TrimPrefix(rawQuery, "?"))
	if i := strings.LastIndexByte(address, '@'); i >= 0 {
		g.user, address = address[:i], address[i+1:]
	}
	if i := strings.IndexByte(address, '/'); i >= 0 {
		address, g.path = address[:i], address[i:]
	}
	var err *Error
	g.host, g.port, err = parseAddress(address, defaultPort)
	g.query.host = g.host
	if err != nil && g.query.get("sni") == usageLine {
		err = reject(CodeNotAServer, "the link is a line of text about the account, which Hiddify writes in the form of a link, and no server; leave it out")
	}
	if err == nil && g.user == "" && needed != "" {
		err = reject(CodeMissingCredentials, "the link has no "+needed+" before its host; ask for a complete link")
	}
	return g, err
}

// usageLine is the server name of what Hiddify writes for clients to show. The text is the name of
// the link, and in the place of the host there may be anything.
const usageLine = "fake_ip_for_sub_link"

// link returns the link with what all protocols over a stream have in common: transport, security
// and mux. defaultSecurity is what the protocol means by leaving the security out.
func (g *generic) link(a Account, name, defaultSecurity string) (Link, *Error) {
	l := Link{Protocol: a.protocol(), Name: g.query.name(name), Host: g.host, Port: g.port, Account: a}
	q := &g.query
	l.Transport = parseTransport(q)
	l.Secure = parseSecurity(q, defaultSecurity, l.Transport)
	l.Mux = parseMux(q)
	l.applyMasks(q, parseMasks(q))
	q.checkUnsupported()
	if q.err != nil {
		return Link{}, q.err
	}
	return l, nil
}

// credential checks a decoded user ID or password, which must go into the core's configuration
// unchanged.
func credential(s string) (Secret, *Error) {
	if !utf8.ValidString(s) || strings.ContainsRune(s, utf8.RuneError) {
		return Secret{}, reject(CodeBadEncoding, "the credentials in the link are not valid UTF-8; ask for the link again")
	}
	return NewSecret(s), nil
}

// parseAddress splits and checks host:port.
func parseAddress(address string, defaultPort uint16) (string, uint16, *Error) {
	rawHost, rawPort := address, ""
	switch i := strings.LastIndexByte(address, ':'); {
	case strings.HasSuffix(address, "]"):
	case i >= 0:
		rawHost, rawPort = address[:i], address[i+1:]
	}
	host, err := parseHost(rawHost)
	if err != nil {
		return "", 0, err
	}
	if rawPort == "" {
		if defaultPort == 0 {
			return "", 0, reject(CodeBadPort, "the link has no port; add it after the host, like example.org:443")
		}
		return host, defaultPort, nil
	}
	port, err := parsePort(rawPort)
	return host, port, err
}

func parsePort(s string) (uint16, *Error) {
	n, err := strconv.ParseUint(strings.TrimSpace(s), 10, 16)
	if err != nil || n == 0 {
		return 0, reject(CodeBadPort, "the port of the link is not a number from 1 to 65535")
	}
	return uint16(n), nil
}

func parseHost(s string) (string, *Error) {
	s = strings.TrimSpace(unescape(s))
	if inner, ok := strings.CutPrefix(s, "["); ok {
		s, _ = strings.CutSuffix(inner, "]")
	}
	if s == "" {
		return "", reject(CodeBadHost, "the link has no host; ask for a complete link")
	}
	s = asciiName(s)
	if ip, err := netip.ParseAddr(s); err == nil {
		if ip.Zone() != "" {
			return "", reject(CodeBadHost, "the host of the link is an IPv6 address with a zone, which is valid on one machine only; use a global address")
		}
		return ip.String(), nil
	}
	if !isDomain(s) {
		return "", reject(CodeBadHost, "the host of the link is neither an IP address nor a host name")
	}
	return strings.ToLower(s), nil
}

// hostNames turns host names in other scripts into the form of the DNS (UTS 46).
var hostNames = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.BidiRule(), idna.StrictDomainName(false))

// asciiName returns a host name as the DNS has it, or s itself if it is none.
func asciiName(s string) string {
	if !isASCII(s) {
		if ascii, err := hostNames.ToASCII(s); err == nil {
			return ascii
		}
	}
	return s
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// isDomain reports whether s can be looked up in the DNS. Underscores are in use although RFC 1123
// forbids them. A name whose last label is a number is a misspelt IPv4 address.
func isDomain(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if len(s) > 253 {
		return false
	}
	numeric := false
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		numeric = true
		for i := range len(label) {
			c := label[i]
			if !isAlnum(c) && c != '-' && c != '_' {
				return false
			}
			numeric = numeric && '0' <= c && c <= '9'
		}
	}
	return !numeric
}

// printGeneric is the inverse of split.
func printGeneric(scheme, user string, l Link, p params) string {
	uri := scheme + "://"
	if user != "" {
		uri += user + "@"
	}
	return uri + net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port))) + p.encode() + printName(l.Name)
}

func printName(name string) string {
	if name == "" {
		return ""
	}
	return "#" + escape(name, "@")
}

// foreignMux reports whether the link is about the multiplexer of sing-box and its relatives.
func (q *query) foreignMux() bool {
	kind := q.word("muxtype")
	return kind != "" && kind != "none" && kind != "xray"
}

func parseMux(q *query) uint16 {
	if q.foreignMux() {
		return 0
	}
	switch value := q.word("mux"); value {
	case "", "0", "false", "none":
		return 0
	case "true":
		return 8 // the core's default
	default:
		n, err := strconv.ParseUint(value, 10, 16)
		if err != nil || n == 0 || n > 1024 {
			q.fail(badParameter("mux", "is not a number of streams from 1 to 1024"))
		}
		return uint16(n)
	}
}

// streamParams prints what generic.link reads.
func (l *Link) streamParams() params {
	var p params
	if l.Transport != nil {
		p = l.Transport.params()
	}
	if l.Secure != nil {
		p = append(p, l.Secure.params()...)
	} else {
		p = append(p, param{"security", "none"})
	}
	return append(p, param{"mux", decimal(l.Mux)}, param{"fm", l.Mask.Reveal()})
}

// streamParamsIfAny is streamParams for protocols whose links mostly have none.
func (l *Link) streamParamsIfAny() params {
	if l.Transport == (Raw{}) && l.Secure == nil && l.Mux == 0 && l.Mask == (Secret{}) {
		return nil
	}
	return l.streamParams()
}
