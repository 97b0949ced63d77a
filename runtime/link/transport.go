package link

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Raw is a plain TCP connection ("tcp" in links, "raw" in newer ones).
type Raw struct {
	HTTPHeader bool   // disguise the first bytes as an HTTP request (headerType=http)
	Host       string // with HTTPHeader: Host headers, separated by commas
	Path       string // with HTTPHeader: paths, separated by commas
}

// WebSocket carries the proxy protocol in WebSocket messages.
type WebSocket struct {
	Host string // Host header; empty: the server name
	Path string // begins with "/"; a query parameter ed in it sets the length of early data, in bytes
}

// HTTPUpgrade is WebSocket without the framing.
type HTTPUpgrade struct {
	Host string
	Path string // as in WebSocket
}

// GRPC carries the proxy protocol in gRPC streams.
type GRPC struct {
	Service   string
	Authority string
	Multi     bool // the core's multi mode
}

// XHTTP spreads the proxy protocol over HTTP requests (once called SplitHTTP).
type XHTTP struct {
	Host  string
	Path  string // begins with "/"
	Mode  string // "auto", "packet-up", "stream-up" or "stream-one"
	Extra string // further settings of the core as canonical JSON, from an allow-list; or empty

	// Download is the second way to the server, on which it answers: the core's downloadSettings as
	// canonical JSON, from an allow-list; or empty. It contains an address, and may contain keys.
	Download Secret
}

// The names of the transports, as in links and in the core's configuration.
func (Raw) Network() string         { return "tcp" }
func (WebSocket) Network() string   { return "ws" }
func (HTTPUpgrade) Network() string { return "httpupgrade" }
func (GRPC) Network() string        { return "grpc" }
func (XHTTP) Network() string       { return "xhttp" }

func (t Raw) params() params {
	p := params{{"type", "tcp"}}
	if t.HTTPHeader {
		p = append(p, param{"headerType", "http"}, param{"host", t.Host}, param{"path", t.Path})
	}
	return p
}

func (t WebSocket) params() params {
	return params{{"type", "ws"}, {"host", t.Host}, {"path", t.Path}}
}

func (t HTTPUpgrade) params() params {
	return params{{"type", "httpupgrade"}, {"host", t.Host}, {"path", t.Path}}
}

func (t GRPC) params() params {
	p := params{{"type", "grpc"}, {"serviceName", t.Service}, {"authority", t.Authority}}
	if t.Multi {
		p = append(p, param{"mode", "multi"})
	}
	return p
}

func (t XHTTP) params() params {
	return params{{"type", "xhttp"}, {"host", t.Host}, {"path", t.Path}, {"mode", t.Mode}, {"extra", t.ExtraWithDownload()}}
}

// parseTransport reads the transport. Parameters of transports other than the one named change
// nothing and are ignored.
func parseTransport(q *query) Transport {
	switch name := q.word("type"); name {
	case "", "tcp", "raw", "none":
		return parseRaw(q)
	case "ws", "websocket":
		return WebSocket{Host: q.hostNames("host"), Path: parseEarlyDataPath(q)}
	case "httpupgrade":
		return HTTPUpgrade{Host: q.hostNames("host"), Path: parseEarlyDataPath(q)}
	case "grpc", "gun":
		return parseGRPC(q)
	case "xhttp", "splithttp":
		return parseXHTTP(q)
	case "kcp", "mkcp":
		return parseKCP(q)
	case "hysteria":
		q.fail(reject(CodeUnsupportedTransport, "the transport hysteria belongs to Hysteria 2; ask for a hysteria2 link"))
	case "h2", "http", "h3", "quic":
		q.fail(reject(CodeUnsupportedTransport, "the transport "+name+" was removed from the core; ask the provider for an xhttp link"))
	default:
		q.fail(reject(CodeUnsupportedTransport, `the parameter type does not name a known transport; it can be tcp, ws, grpc, httpupgrade, xhttp or kcp`))
	}
	return Raw{}
}

func parseRaw(q *query) Transport {
	switch q.word("headerType") {
	case "", "none", "auto", "tcp", "raw":
		// "auto" comes from exporters that confuse the field with the cipher.
		return Raw{}
	case "http":
		return Raw{HTTPHeader: true, Host: q.hostNames("host"), Path: slashed(q.get("path"))}
	}
	q.fail(unsupportedParameter("headerType", "does not name a header that works over tcp; it can be none or http"))
	return Raw{}
}

func parseGRPC(q *query) Transport {
	t := GRPC{Service: q.get("serviceName"), Authority: q.hostNames("authority")}
	switch q.word("mode") {
	case "", "gun", "none", "auto":
	case "multi":
		t.Multi = true
	default:
		q.fail(unsupportedParameter("mode", "does not name a mode of grpc; it can be gun or multi"))
	}
	return t
}

// slashed returns path as the core sends it: beginning with "/". A path that begins with an escaped
// slash was escaped once too often.
func slashed(path string) string {
	if len(path) >= 3 && strings.EqualFold(path[:3], "%2f") {
		path = unescape(path)
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	return path
}

// parseEarlyDataPath reads the path of a transport that can send early data. The core takes the
// length of that data from the query of the path; links have it there or in the parameter ed.
func parseEarlyDataPath(q *query) string {
	path := slashed(q.get("path"))
	if header := q.get("eh"); header != "" && !strings.EqualFold(header, "Sec-WebSocket-Protocol") {
		q.fail(unsupportedParameter("eh", "asks for early data in a header that the core does not use; it can be Sec-WebSocket-Protocol"))
	}
	length := q.get("ed")
	if length == "" || length == "0" {
		return path
	}
	n, err := strconv.ParseUint(length, 10, 31)
	if err != nil {
		q.fail(badParameter("ed", "is not a number of bytes"))
		return path
	}
	u, err := url.Parse(path)
	if err != nil {
		q.fail(badParameter("path", "cannot be combined with the parameter ed: it is not a valid path"))
		return path
	}
	if u.Query().Get("ed") != "" {
		return path
	}
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return path + separator + "ed=" + strconv.FormatUint(n, 10)
}

// hostNames returns a parameter that is a host name, or several separated by commas, as the DNS has
// them: servers and networks of caches compare with that.
func (q *query) hostNames(key string) string { return asciiNames(q.get(key)) }

func asciiNames(s string) string {
	if isASCII(s) {
		return s
	}
	names := strings.Split(s, ",")
	for i, name := range names {
		names[i] = asciiName(strings.TrimSpace(name))
	}
	return given(strings.Join(names, ","))
}

// hostHeader returns the first value of the transport's Host header, or "" if that is not a name.
func hostHeader(t Transport) string {
	var host string
	switch t := t.(type) {
	case Raw:
		host = t.Host
	case WebSocket:
		host = t.Host
	case HTTPUpgrade:
		host = t.Host
	case XHTTP:
		host = t.Host
	}
	host, _, _ = strings.Cut(host, ",")
	host = strings.TrimSpace(host)
	if _, err := netip.ParseAddr(host); err == nil || !isDomain(host) {
		return ""
	}
	return host
}
