package subscription

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"github.com/xrat-tray/xrat/runtime/link"
)

const (
	defaultTimeout = 30 * time.Second
	maxRedirects   = 5
	maxHeader      = 64 << 10  // bytes
	maxValidator   = 1 << 10   // bytes of an ETag or a date
	chunk          = 256 << 10 // bytes by which the buffer of a body grows
)

// Fetcher fetches subscriptions. The zero value works; several goroutines may use one at once.
type Fetcher struct {
	UserAgent string        // providers choose the format of their answer by it; empty: "xrat"
	Timeout   time.Duration // for everything, redirects and body included; 0: 30 s

	resolver *net.Resolver // of names, when there is no proxy; nil: the system's
}

// Request says what to fetch, and what is known already.
//
// The address may lead into a private network or to this machine only if it says so literally, as
// an IP address or as localhost, or if Private is set. A name that resolves to such an address is
// refused otherwise, and so is a redirect to one, unless it stays at the host and port of the
// address. Metadata services of clouds, link-local and other special addresses are always refused.
//
// Headers and Device are for the server of the address alone: a redirect to another one leaves them
// behind. CA and Pin are about its certificate alone, too.
type Request struct {
	URL          string // http or https, as the user has typed it; a secret, because it often has a token
	ETag         string // of the last answer, or ""
	LastModified string // of the last answer, or ""
	Proxy        *Proxy // nil: directly. With a proxy nothing bypasses it, not even the look-up of names.

	UserAgent string   // a text, or the name of a client (see Clients); "": that of the Fetcher
	Headers   []Header // that the user wants to be sent; see ParseHeaders
	Device    *Device  // nil: the provider is told nothing of this machine
	CA        string   // the only certificates that the server's may be signed with, as of ReadCA; "": those of the system
	Pin       string   // of the server's public key, as of ParsePin, which is then all that counts; "": none
	Private   bool     // the name in the address may be one in the user's own network
}

// Proxy is a SOCKS5 proxy.
type Proxy struct {
	Address        string // host:port
	User, Password link.Secret
}

// String shows where a request goes, without its secrets.
func (r Request) String() string { return Redact(r.URL) }

// GoString returns String.
func (r Request) GoString() string { return r.String() }

// Format writes String for every verb and flag.
func (r Request) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.String()) }

// Response is the answer of a provider.
type Response struct {
	NotModified  bool   // nothing has changed since the ETag or LastModified of the request; there is no Body
	Body         []byte // at most MaxBody
	ETag         string
	LastModified string

	About // what the headers say; what the Body says is found by Parse
}

// Fetch fetches one subscription. The error is an *Error, which names of the address only the
// server.
func (f Fetcher) Fetch(ctx context.Context, r Request) (Response, error) {
	start, err := parseURL(r.URL)
	if err != nil {
		return Response{}, err
	}
	timeout := f.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()

	g := newGuard(start, r.Private)
	transport, err := f.transport(r, g)
	if err != nil {
		return Response{}, err
	}
	defer transport.CloseIdleConnections()
	client := http.Client{Transport: transport, CheckRedirect: func(next *http.Request, via []*http.Request) error {
		err := g.checkRedirect(next, via)
		if !g.home(next.URL) {
			r.dropPersonal(next.Header)
		}
		return err
	}}

	request := (&http.Request{Method: http.MethodGet, URL: start, Header: http.Header{}}).WithContext(ctx)
	request.Header.Set("User-Agent", cmp.Or(userAgent(r.UserAgent), f.UserAgent, "xrat"))
	request.Header.Set("Accept-Encoding", "gzip")
	r.setPersonal(request.Header)
	conditional := false
	for key, value := range map[string]string{"If-None-Match": r.ETag, "If-Modified-Since": r.LastModified} {
		if value != "" && len(value) <= maxValidator && isHeaderValue(value) {
			request.Header.Set(key, value)
			conditional = true
		}
	}
	response, doErr := client.Do(request)
	if doErr != nil {
		return Response{}, explain(ctx, g.current(), doErr)
	}
	defer func() { _ = response.Body.Close() }()
	return readResponse(ctx, response, conditional)
}

// transport returns a transport for one fetch. Connections are not kept alive, so that every hop
// dials and is checked.
func (f Fetcher) transport(r Request, g *guard) (*http.Transport, error) {
	verified, err := r.tlsConfig(g)
	if err != nil {
		return nil, err
	}
	proxy := r.Proxy
	t := &http.Transport{
		DisableKeepAlives:      true,
		DisableCompression:     true, // unpack knows more
		MaxResponseHeaderBytes: maxHeader,
		TLSClientConfig:        verified,
		ForceAttemptHTTP2:      true,
	}
	dialer := &net.Dialer{Resolver: f.resolver}
	if proxy == nil {
		t.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			d := *dialer
			d.ControlContext = func(_ context.Context, _, resolved string, _ syscall.RawConn) error {
				return g.checkDial(address, resolved)
			}
			return d.DialContext(ctx, network, address)
		}
		return t, nil
	}
	if _, _, err := net.SplitHostPort(proxy.Address); err != nil {
		return nil, fail(CodeBadURL, "the address of the proxy is not host:port")
	}
	through := &url.URL{Scheme: "socks5h", Host: proxy.Address}
	if user := proxy.User.Reveal(); user != "" {
		through.User = url.UserPassword(user, proxy.Password.Reveal())
	}
	t.Proxy = http.ProxyURL(through)
	t.DialContext = dialer.DialContext
	return t, nil
}

func readResponse(ctx context.Context, response *http.Response, conditional bool) (Response, error) {
	where := Redact(response.Request.URL.String())
	var r Response
	switch limit := deviceLimit(response, where); {
	case limit != nil:
		return Response{}, limit
	case response.StatusCode == http.StatusNotModified && conditional:
		r.NotModified = true
	case response.StatusCode != http.StatusOK:
		return Response{}, fail(CodeBadStatus, strings.TrimSpace(fmt.Sprintf("%s answered %d %s; check the address and the account at the provider",
			where, response.StatusCode, http.StatusText(response.StatusCode))))
	}
	if !r.NotModified {
		var err error
		if r.Body, err = readBody(response); err != nil {
			return Response{}, explain(ctx, response.Request.URL, err)
		}
	}
	r.ETag = bounded(response.Header.Get("ETag"))
	r.LastModified = bounded(response.Header.Get("Last-Modified"))
	r.readHeader(response.Header)
	return r, nil
}

func bounded(s string) string {
	if len(s) > maxValidator {
		return ""
	}
	return s
}

// deviceLimit returns why a provider gives this device nothing, if that is what an answer says: it
// may have any status, and a body that looks like a list. Panels that want to know the device send
// the mark of a limit, too.
func deviceLimit(response *http.Response, where string) error {
	says := func(name string) bool {
		value := strings.ToLower(strings.TrimSpace(response.Header.Get(name)))
		return value == "true" || value == "1"
	}
	switch {
	case says("X-Hwid-Not-Supported") && response.Request.Header.Get("X-Hwid") == "":
		return fail(CodeDeviceUnknown, where+" gives its list only to devices that it can count: `xrat subscription set NAME --hwid` tells it a random id and the name of this one")
	case says("X-Hwid-Not-Supported"):
		return fail(CodeDeviceUnknown, where+" does not take the id of this device; ask the provider which clients it supports, and try its name with --user-agent")
	case says("X-Hwid-Max-Devices-Reached") || says("X-Hwid-Limit"):
		return fail(CodeDeviceLimit, where+" says that the account has as many devices as it may; remove one at the provider, and update again")
	}
	return nil
}

// readBody reads the unpacked body, in chunks: doubling a slice up to 8 MiB would take several
// times as much memory.
func readBody(response *http.Response) ([]byte, error) {
	where := Redact(response.Request.URL.String())
	body, err := unpack(response.Body, response.Header.Values("Content-Encoding"), where)
	if err != nil {
		return nil, err
	}
	var chunks [][]byte
	for part := make([]byte, 0, chunk); ; {
		n, err := body.Read(part[len(part):cap(part)])
		part = part[:len(part)+n]
		switch {
		case err == io.EOF:
			text := toUTF8(bytes.Join(append(chunks, part), nil), response.Header.Get("Content-Type"))
			if len(text) > MaxBody {
				return nil, fail(CodeTooLarge, where+" sent more than 8 MiB of text; check that the address is that of a subscription")
			}
			return text, nil
		case err != nil:
			return nil, err
		case len(part) == cap(part):
			chunks, part = append(chunks, part), make([]byte, 0, chunk)
		}
	}
}

func isHeaderValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return true
}
