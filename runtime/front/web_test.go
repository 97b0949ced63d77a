package front

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// proxied returns a client that uses the front's HTTP port.
func proxied(t testing.TB, f *Front, user *url.Userinfo) *http.Client {
	t.Helper()
	_, web := f.Addresses()
	tr := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: web, User: user}), ExpectContinueTimeout: patience}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func fetch(t testing.TB, c *http.Client, u string) (int, string, http.Header) {
	t.Helper()
	r, err := c.Get(u)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(b), r.Header
}

// Plain requests and answers arrive as they were sent, without a trace of the proxy, over
// connections that are kept, and these hold no drain up.
func TestPlainHTTP(t *testing.T) {
	checkLeaks(t)
	f := openFront(t, nil)
	k := startRealCore(t)
	f.SetTarget(k.target(1))
	site := origin(t, func(rw http.ResponseWriter, r *http.Request) {
		for name := range r.Header {
			if strings.HasPrefix(name, "Proxy-") || strings.HasPrefix(name, "X-Forwarded") || name == "Via" {
				t.Errorf("the origin sees %s", name)
			}
		}
		switch r.URL.Path {
		case "/query":
			io.WriteString(rw, r.URL.RawQuery)
		case "/moved":
			http.Redirect(rw, r, "/elsewhere", http.StatusFound)
		case "/bare":
			rw.Header()["Date"], rw.Header()["Content-Type"] = nil, nil
			io.WriteString(rw, "<html>")
		case "/sum":
			h := sha256.New()
			n, _ := io.Copy(h, r.Body)
			fmt.Fprintf(rw, "%d %x", n, h.Sum(nil))
		case "/remote":
			io.WriteString(rw, r.RemoteAddr)
		}
	})
	c := proxied(t, f, nil)
	if _, got, _ := fetch(t, c, site.URL+"/query?a;b=%zz&c"); got != "a;b=%zz&c" {
		t.Errorf("the query arrived as %q", got)
	}
	if code, _, h := fetch(t, c, site.URL+"/moved"); code != 302 || h.Get("Location") != "/elsewhere" {
		t.Errorf("redirect arrived as %d %v", code, h)
	}
	if _, got, h := fetch(t, c, site.URL+"/bare"); got != "<html>" || len(h) != 1 || h.Get("Content-Length") != "6" {
		t.Errorf("headers were added: %v", h)
	}
	_, one, _ := fetch(t, c, site.URL+"/remote")
	_, two, _ := fetch(t, c, site.URL+"/remote")
	if one != two {
		t.Errorf("the connection to the origin is not kept: %s, %s", one, two)
	}

	body := make([]byte, 10<<20)
	rand.Read(body)
	want := fmt.Sprintf("%d %x", len(body), sha256.Sum256(body))
	for _, expect := range []string{"", "100-continue"} {
		req, _ := http.NewRequest("POST", site.URL+"/sum", bytes.NewReader(body))
		if expect != "" {
			req.Header.Set("Expect", expect)
		}
		r, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(r.Body)
		r.Body.Close()
		if string(got) != want {
			t.Errorf("POST with Expect %q: %s", expect, got)
		}
	}
	if n := f.Counters(1).UpBytes; n < 2*uint64(len(body)) {
		t.Errorf("%d bytes counted", n)
	}
	// Kept-alive connections must not hold a drain up.
	f.SetTarget(nil)
	if n := drain(f, 1, patience); n != 0 {
		t.Errorf("%d left", n)
	}
	c.CloseIdleConnections()
}

// CONNECT works on both listeners, in pieces, with the first bytes of the tunnel in the same
// packet, and after other requests.
func TestHTTPConnect(t *testing.T) {
	f := openFront(t, nil)
	k := startRealCore(t)
	f.SetTarget(k.target(1))
	site := origin(t, func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "hello") })
	host := strings.TrimPrefix(site.URL, "http://")
	socks, web := f.Addresses()
	for _, at := range []string{socks, web} {
		c := dialFront(t, at)
		// The request may arrive in pieces, and the first bytes of the tunnel together with its
		// end.
		io.WriteString(c, "CON")
		time.Sleep(time.Millisecond)
		fmt.Fprintf(c, "NECT %s HTTP/1.1\r\nHost: %s\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", host, host)
		hear(t, c, established+"HTTP/1.1 200 OK\r\n")
		if b, _ := io.ReadAll(c); !strings.HasSuffix(string(b), "hello") {
			t.Errorf("through CONNECT: %q", b)
		}
	}
	// CONNECT on a connection that has served something else before.
	c := dialFront(t, web)
	fmt.Fprintf(c, "GET %s/ HTTP/1.1\r\nHost: %s\r\n\r\n", site.URL, host)
	r, err := http.ReadResponse(bufio.NewReader(io.MultiReader(io.LimitReader(c, 1<<10))), nil)
	if err != nil {
		t.Fatal(err)
	}
	io.CopyN(io.Discard, r.Body, 5)
	fmt.Fprintf(c, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n\r\nGET / HTTP/1.0\r\n\r\n", host, host)
	hear(t, c, established+"HTTP/1.0 200 OK\r\n")
}

// A connection that is upgraded carries bytes both ways from then on.
func TestUpgrade(t *testing.T) {
	f := openFront(t, nil)
	k := startRealCore(t)
	f.SetTarget(k.target(1))
	site := origin(t, func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Upgrade", "echo")
		rw.Header().Set("Connection", "Upgrade")
		rw.WriteHeader(http.StatusSwitchingProtocols)
		c, buf, err := http.NewResponseController(rw).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(c, buf)
	})
	_, web := f.Addresses()
	c := dialFront(t, web)
	fmt.Fprintf(c, "GET %s/ HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", site.URL)
	br := bufio.NewReader(c)
	r, err := http.ReadResponse(br, nil)
	if err != nil || r.StatusCode != 101 {
		t.Fatalf("%v %v", r, err)
	}
	io.WriteString(c, "ping")
	got := make([]byte, 4)
	if _, err := io.ReadFull(br, got); err != nil || string(got) != "ping" {
		t.Fatalf("%q %v", got, err)
	}
}

// What is no request to a proxy is refused with the right status.
func TestBadHTTP(t *testing.T) {
	f := openFront(t, func(o *Options) { o.Wait = 0 })
	_, web := f.Addresses()
	for name, test := range map[string]struct{ send, want string }{
		"not a proxy request":  {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		"https without tunnel": {"GET https://x/ HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		"connect without port": {"CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		"connect, bad port":    {"CONNECT x:99999 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 400 "},
		"connect, not HTTP":    {"CONNECT x:1 nonsense\r\n\r\n", "HTTP/1.1 400 "},
		"connect, endless":     {"CONNECT x:1 HTTP/1.1\r\nA: " + strings.Repeat("a", largeBuffer), "HTTP/1.1 431 "},
		"endless header":       {"GET http://x/ HTTP/1.1\r\nA: " + strings.Repeat("a", 1<<20), "HTTP/1.1 431 "},
		"garbage":              {"\x16\x03\x01\x00\xa5\r\n\r\n", "HTTP/1.1 400 "},
		"SOCKS":                {"\x05\x01\x00\r\n\r\n", "HTTP/1.1 400 "},
		"no server":            {"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 503 "},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialFront(t, web)
			go io.WriteString(c, test.send)
			hear(t, c, test.want)
		})
	}
}

// Nobody gets to a core without the user and password on either listener, in any protocol, and a
// challenge leaves the connection open.
func TestAuthentication(t *testing.T) {
	f := openFront(t, func(o *Options) { o.Username, o.Password = "me", "pass:word" })
	k := startFakeCore(t, nameServe("one"))
	f.SetTarget(k.target(1))
	socks, web := f.Addresses()

	for _, test := range []struct {
		user *url.Userinfo
		want int
	}{{nil, 407}, {url.UserPassword("me", "wrong"), 407}, {url.UserPassword("you", "pass:word"), 407}, {url.UserPassword("me", "pass:word"), 200}} {
		code, _, h := fetch(t, proxied(t, f, test.user), "http://a.invalid/")
		if code != test.want || (code == 407) != (h.Get("Proxy-Authenticate") == proxyChallenge) {
			t.Errorf("plain HTTP as %v: %d %v", test.user, code, h)
		}
	}

	// A challenge leaves the connection open for the second try.
	c := dialFront(t, web)
	for _, test := range []struct{ header, want string }{
		{"", "HTTP/1.1 407 Proxy Authentication Required\r\n"},
		{"Proxy-Authorization: Basic bWU6cGFzczp3b3Jk\r\n", established},
	} {
		fmt.Fprintf(c, "CONNECT a.invalid:80 HTTP/1.1\r\nHost: a.invalid:80\r\n%s\r\n", test.header)
		hear(t, c, test.want)
		if test.header == "" {
			br := bufio.NewReader(c)
			for line := "x"; line != "\r\n"; {
				line, _ = br.ReadString('\n')
			}
			io.CopyN(io.Discard, br, int64(len(textCredentials)))
		}
	}

	for name, test := range map[string]struct{ send, want string }{
		"no method":      {"\x05\x01\x00", "\x05\xff"},
		"wrong password": {"\x05\x02\x00\x02\x01\x02me\x05wrong", "\x05\x02\x01\x01"},
		"empty":          {"\x05\x01\x02\x01\x00\x00", "\x05\x02\x01\x01"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialFront(t, socks)
			io.WriteString(c, test.send)
			if got, err := io.ReadAll(c); string(got) != test.want || err != nil {
				t.Errorf("%q %v, want %q", got, err, test.want)
			}
		})
	}
	// The tunnel is told success before its dial.
	eventually(t, "the core is reached for the request and the tunnel", func() bool { return k.accepted.Load() >= 2 })
	if n := k.accepted.Load(); n != 2 {
		t.Errorf("the core was reached %d times, want 2", n)
	}
}

// What the front does not do in SOCKS is refused with the right code, and a client that sends a
// password where none is asked for is let in.
func TestBadSOCKS(t *testing.T) {
	f := openFront(t, nil)
	socks, _ := f.Addresses()
	for name, test := range map[string]struct{ send, want string }{
		"SOCKS4":            {"\x04\x01\x00\x50\xc0\x00\x02\x01me\x00", "\x00\x5b\x00\x00\x00\x00\x00\x00"},
		"BIND":              {"\x05\x01\x00\x05\x02\x00\x01\xc0\x00\x02\x01\x00\x50", "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
		"unknown command":   {"\x05\x01\x00\x05\xf0\x00\x01\xc0\x00\x02\x01\x00\x50", "\x05\x00\x05\x07\x00\x01\x00\x00\x00\x00\x00\x00"},
		"address type":      {"\x05\x01\x00\x05\x01\x00\x09\xc0\x00\x02\x01\x00\x50", "\x05\x00\x05\x08\x00\x01\x00\x00\x00\x00\x00\x00"},
		"empty name":        {"\x05\x01\x00\x05\x01\x00\x03\x00\x00\x50", "\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00"},
		"second message":    {"\x05\x01\x00GARBAGE", "\x05\x00"},
		"only what we lack": {"\x05\x01\x01", "\x05\xff"},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialFront(t, socks)
			io.WriteString(c, test.send)
			if got, _ := io.ReadAll(c); string(got) != test.want {
				t.Errorf("%q, want %q", got, test.want)
			}
		})
	}
	// A client that insists on a password where none is asked for is let in.
	k := startFakeCore(t, echoServe)
	f.SetTarget(k.target(1))
	c := dialFront(t, socks)
	io.WriteString(c, "\x05\x01\x02\x01\x01x\x01y\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50")
	hear(t, c, "\x05\x02\x01\x00\x05\x00")
}

// An address that cannot be listened on, or is open to the network without a user and password,
// fails with an error of its own that says what to write.
func TestOpenErrors(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	busy := taken.Addr().String()
	for name, test := range map[string]struct {
		o    Options
		want []string
	}{
		"both taken":     {Options{SOCKS: busy, HTTP: busy}, []string{busy, "address already in use"}},
		"exposed":        {Options{SOCKS: "0.0.0.0:0"}, []string{"0.0.0.0:0", "username"}},
		"exposed, IPv6":  {Options{HTTP: "[::]:0"}, []string{"[::]:0", "username"}},
		"half protected": {Options{SOCKS: "0.0.0.0:0", Username: "u"}, []string{"username"}},
		"a port alone":   {Options{SOCKS: ":0"}, []string{":0", "username"}},
		"no IP":          {Options{SOCKS: "example.org:0"}, []string{"example.org:0", "127.0.0.1:10808"}},
		"no port":        {Options{SOCKS: "127.0.0.1"}, []string{"127.0.0.1:10808"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := New(test.o)
			defer f.Close()
			err := f.Open(t.Context())
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
			joined := err.(interface{ Unwrap() []error }).Unwrap()
			if n := len(joined); (test.o.HTTP != "" && test.o.SOCKS != "") != (n == 2) {
				t.Errorf("%d errors: %v", n, err)
			}
			for _, e := range joined {
				if pe, ok := e.(*PortError); !ok || pe.Address == "" {
					t.Errorf("%T: %v", e, e)
				}
			}
		})
	}
	f := New(Options{SOCKS: "0.0.0.0:0", Username: "u", Password: "p"})
	if err := f.Open(t.Context()); err != nil {
		t.Errorf("protected: %v", err)
	}
	f.Close()
}
