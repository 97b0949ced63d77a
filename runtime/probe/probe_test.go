package probe

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/mark"
	"github.com/xrat-tray/xrat/runtime/socks5"
)

const long = 20 * time.Second // no test passes or fails by coming near it

// serve accepts connections on loopback and hands each to talk, until the end of the test.
func serve(t *testing.T, talk func(net.Conn)) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				talk(conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// socks is a small SOCKS5 server that connects to where it is told.
func socks(t *testing.T, user, password string) string {
	return serve(t, func(conn net.Conn) {
		head := make([]byte, 2)
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		methods := make([]byte, head[1])
		if _, err := io.ReadFull(conn, methods); err != nil {
			return
		}
		if user == "" {
			conn.Write([]byte{5, 0})
		} else {
			if !strings.Contains(string(methods), "\x02") {
				conn.Write([]byte{5, 0xff})
				return
			}
			conn.Write([]byte{5, 2})
			want := "\x01" + string(rune(len(user))) + user + string(rune(len(password))) + password
			got := make([]byte, len(want))
			if _, err := io.ReadFull(conn, got); err != nil {
				return
			}
			if string(got) != want {
				conn.Write([]byte{1, 1})
				return
			}
			conn.Write([]byte{1, 0})
		}
		request := make([]byte, 10) // version, command, reserved, type 1, IPv4, port
		if _, err := io.ReadFull(conn, request); err != nil {
			return
		}
		target, err := net.Dial("tcp", (&net.TCPAddr{IP: request[4:8], Port: int(request[8])<<8 | int(request[9])}).String())
		if err != nil {
			conn.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
			return
		}
		defer target.Close()
		conn.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 0})
		go func() {
			io.Copy(target, conn)
			target.Close()
		}()
		io.Copy(conn, target)
	})
}

// closedPort gives an address on which nothing listens.
func closedPort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestHandshake(t *testing.T) {
	open, locked := socks(t, "", ""), socks(t, "alice", "s3cret")
	garbage := serve(t, func(c net.Conn) { io.WriteString(c, "HTTP/1.1 400 Bad Request\r\n\r\n") })
	closes := serve(t, func(net.Conn) {})
	for _, test := range []struct {
		name    string
		proxy   Proxy
		problem string // part of the error, empty: none
	}{
		{"open", Proxy{Address: open}, ""},
		{"password", Proxy{Address: locked, User: "alice", Password: "s3cret"}, ""},
		{"wrong password", Proxy{Address: locked, User: "alice", Password: "wrong!"}, "refuses user and password"},
		{"password missing", Proxy{Address: locked}, "refuses the authentication method"},
		{"password not wanted", Proxy{Address: open, User: "alice", Password: "s3cret"}, "was not offered"},
		{"not SOCKS", Proxy{Address: garbage}, "not SOCKS5"},
		{"closes", Proxy{Address: closes}, "reading the answer"},
		{"nobody", Proxy{Address: closedPort(t)}, "refused"},
		{"overlong", Proxy{Address: open, User: strings.Repeat("u", 256)}, "255"},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), long)
			defer cancel()
			err := Handshake(ctx, test.proxy)
			switch {
			case test.problem == "" && err != nil:
				t.Fatalf("unexpected error: %v", err)
			case test.problem != "" && (err == nil || !strings.Contains(err.Error(), test.problem)):
				t.Fatalf("error %v, want one with %q", err, test.problem)
			case err != nil && strings.Contains(err.Error(), "s3cret"):
				t.Fatalf("the error holds the password: %v", err)
			}
		})
	}
}

// The server accepts and stays silent.
func TestHandshakesEndWithTheirContext(t *testing.T) {
	accepted := make(chan struct{}, 2)
	silent := serve(t, func(c net.Conn) {
		accepted <- struct{}{}
		io.Copy(io.Discard, c)
	})
	for name, ask := range map[string]func(context.Context) error{
		"handshake": func(ctx context.Context) error { return Handshake(ctx, Proxy{Address: silent}) },
		"http":      func(ctx context.Context) error { return HTTPInbound(ctx, silent, "", "") },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error, 1)
		go func() { result <- ask(ctx) }()
		<-accepted
		cancel()
		select {
		case err := <-result:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: error %v, want context.Canceled", name, err)
			}
		case <-time.After(long):
			t.Errorf("%s outlived its context", name)
		}
	}
}

func TestHTTPInbound(t *testing.T) {
	authorization := make(chan string, 1)
	address := serve(t, func(c net.Conn) {
		request, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			t.Errorf("reading the request: %v", err)
			return
		}
		authorization <- request.Header.Get("Proxy-Authorization")
		io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
	})
	if err := HTTPInbound(t.Context(), address, "", ""); err != nil {
		t.Errorf("a server that answers 400: %v", err)
	}
	if got := <-authorization; got != "" {
		t.Errorf("Proxy-Authorization %q without a password", got)
	}
	if err := HTTPInbound(t.Context(), address, "Aladdin", "open sesame"); err != nil {
		t.Errorf("with a password: %v", err)
	}
	// The example of RFC 7617 section 2.
	if got := <-authorization; got != "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==" {
		t.Errorf("Proxy-Authorization %q", got)
	}
	notHTTP := serve(t, func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH\r\n") })
	if err := HTTPInbound(t.Context(), notHTTP, "", ""); err == nil {
		t.Error("an SSH banner passed for an HTTP reply")
	}
	endless := serve(t, func(c net.Conn) {
		line := "X-Filler: " + strings.Repeat("x", 1000) + "\r\n"
		io.WriteString(c, "HTTP/1.1 200 OK\r\n")
		for {
			if _, err := io.WriteString(c, line); err != nil {
				return
			}
		}
	})
	if err := HTTPInbound(t.Context(), endless, "", ""); err == nil {
		t.Error("an endless header passed for a reply")
	}
}

func TestGetAcceptsOnlyAWayOut(t *testing.T) {
	mux := http.NewServeMux()
	status := func(code int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/portal")
			w.WriteHeader(code)
			io.WriteString(w, body)
		}
	}
	mux.HandleFunc("/204/generate_204", status(204, ""))
	mux.HandleFunc("/portal/generate_204", status(200, "<html>log in</html>"))
	mux.HandleFunc("/portal/gen_204", status(200, ""))
	mux.HandleFunc("/plain", status(200, "fine"))
	mux.HandleFunc("/redirect/generate_204", status(302, ""))
	mux.HandleFunc("/error", status(503, "core error page"))
	mux.HandleFunc("/short", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "not 100 bytes")
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := w.Write(make([]byte, 4096)); err != nil {
				return
			}
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	encrypted := httptest.NewUnstartedServer(mux)
	encrypted.Config.ErrorLog = log.New(io.Discard, "", 0)
	encrypted.StartTLS()
	defer encrypted.Close()
	empty := serve(t, func(c net.Conn) { c.Read(make([]byte, 4096)) })

	proxy := Proxy{Address: socks(t, "user", "pw-canary"), User: "user", Password: "pw-canary"}
	dead := Proxy{Address: closedPort(t)}
	refusing := Proxy{Address: serve(t, func(c net.Conn) {
		io.ReadFull(c, make([]byte, 3))
		c.Write([]byte{5, 0})
		io.ReadFull(c, make([]byte, 10))
		c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
	})}
	for _, test := range []struct {
		name  string
		proxy Proxy
		url   string
		class string
	}{
		{"204", proxy, server.URL + "/204/generate_204", ClassOK},
		{"200", proxy, server.URL + "/plain", ClassOK},
		{"long body", proxy, server.URL + "/endless", ClassOK},
		{"portal", proxy, server.URL + "/portal/generate_204", ClassBody},
		{"portal with an empty body", proxy, server.URL + "/portal/gen_204?x=1", ClassBody},
		{"redirect", proxy, server.URL + "/redirect/generate_204", ClassStatus},
		{"error page", proxy, server.URL + "/error", ClassStatus},
		{"cut body", proxy, server.URL + "/short", ClassClosed},
		{"empty answer", proxy, "http://" + empty + "/", ClassClosed},
		{"unknown certificate", proxy, encrypted.URL + "/plain", ClassTLS},
		{"not TLS", proxy, strings.Replace(server.URL, "http:", "https:", 1) + "/plain", ClassTLS},
		{"proxy down", dead, server.URL + "/plain", ClassRefused},
		{"proxy refuses", refusing, server.URL + "/plain", ClassRefused},
		{"URL with secrets", dead, "http://u:url-canary@" + empty + "/", ClassRefused},
		{"bad URL", proxy, "http://url-canary\x7f/", ClassInternal},
		{"no host", proxy, "/generate_204", ClassInternal},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := Get(t.Context(), test.proxy, Question{URLs: []string{test.url}, Timeout: long, Stagger: long}, nil)
			if got.Class != test.class || got.OK != (test.class == ClassOK) || (got.Err == nil) != got.OK {
				t.Fatalf("got %q, OK %v, error %v; want %q", got.Class, got.OK, got.Err, test.class)
			}
			if got.Err != nil && strings.Contains(got.Err.Error(), "canary") {
				t.Fatalf("the error holds a secret: %v", got.Err)
			}
			if got.URL != test.url {
				t.Errorf("result for %q", got.URL)
			}
		})
	}
	if got := Get(t.Context(), proxy, Question{URLs: nil, Timeout: long, Stagger: long}, nil); got.Class != ClassInternal {
		t.Errorf("no URLs: %q", got.Class)
	}
}

// The statuses that count can be chosen.
func TestGetStatuses(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer server.Close()
	for status, class := range map[int]string{http.StatusTeapot: ClassOK, http.StatusOK: ClassStatus} {
		q := Question{URLs: []string{server.URL + "/generate_204"}, Statuses: []int{status}, Timeout: long, Stagger: long}
		if got := Get(t.Context(), Proxy{Address: socks(t, "", "")}, q, nil); got.Class != class {
			t.Errorf("%d wanted: %s, %v", status, got.Class, got.Err)
		}
	}
}

// Silence lasts until the deadline, the caller's end, or the answer of the second URL.
func TestGetDoesNotWaitForSilence(t *testing.T) {
	// silent returns the URL of a server that calls asked when it has a connection.
	silent := func(asked func()) string {
		return "http://" + serve(t, func(c net.Conn) {
			asked()
			io.Copy(io.Discard, c)
		}) + "/"
	}
	ignored := silent(func() {})
	alive := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }))
	defer alive.Close()
	failing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }))
	defer failing.Close()
	proxy := Proxy{Address: socks(t, "", "")}

	if got := Get(t.Context(), proxy, Question{URLs: []string{ignored}, Timeout: 50 * time.Millisecond, Stagger: long}, nil); got.Class != ClassTimeout {
		t.Errorf("silence: %q (%v)", got.Class, got.Err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if got := Get(ctx, proxy, Question{URLs: []string{silent(cancel)}, Timeout: long, Stagger: long}, nil); got.Class != ClassCanceled {
		t.Errorf("canceled: %q (%v)", got.Class, got.Err)
	}
	if got := Get(t.Context(), proxy, Question{URLs: []string{ignored, alive.URL}, Timeout: long, Stagger: time.Millisecond}, nil); !got.OK || got.URL != alive.URL {
		t.Errorf("second URL after the stagger: %q for %s (%v)", got.Class, got.URL, got.Err)
	}
	begin := time.Now()
	if got := Get(t.Context(), proxy, Question{URLs: []string{failing.URL, alive.URL}, Timeout: long, Stagger: long}, nil); !got.OK {
		t.Errorf("second URL after a failure: %q (%v)", got.Class, got.Err)
	}
	if passed := time.Since(begin); passed >= long/2 {
		t.Errorf("the second URL waited for the stagger: %v", passed)
	}
	ctx, cancel = context.WithCancel(t.Context())
	if got := Get(ctx, proxy, Question{URLs: []string{failing.URL, silent(cancel)}, Timeout: long, Stagger: long}, nil); got.Class != ClassStatus {
		t.Errorf("none alive: %q, want the first URL's", got.Class)
	}
}

// Whoever gets what a probe has sent knows it by its mark, and the probe is told: an answer proves
// nothing then.
func TestGetKnowsALoop(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		var seen mark.Memory
		proxy := Proxy{Address: serve(t, func(c net.Conn) {
			opening := socks5.AppendGreeting(nil, "")
			io.ReadFull(c, opening)
			io.ReadFull(c, make([]byte, 4))
			length := make([]byte, 1)
			io.ReadFull(c, length)
			io.ReadFull(c, make([]byte, length[0]+2))
			b := make([]byte, 4096)
			n, _ := c.Read(b)
			seen.Note(mark.Of(b[:n]))
			c.Write([]byte{5, 0})
			c.Write(socks5.AppendReply(nil, socks5.ReplySucceeded, netip.AddrPort{}))
			io.WriteString(c, "HTTP/1.1 204 No Content\r\n\r\n")
		})}
		target := []string{scheme + "://site.invalid/generate_204"}
		if got := Get(t.Context(), proxy, Question{URLs: target, Timeout: long, Stagger: long}, seen.Seen); got.OK || got.Class != ClassLoop || got.Err == nil {
			t.Errorf("%s: %+v", scheme, got)
		}
		nobody := func(mark.Mark) bool { return false }
		if got := Get(t.Context(), proxy, Question{URLs: target, Timeout: long, Stagger: long}, nobody); got.Class == ClassLoop || got.OK != (scheme == "http") {
			t.Errorf("%s that has not come back: %+v", scheme, got)
		}
	}
}

// A certificate that counts as expired because the clock is wrong is told from one that has
// expired, and good answers tell how the clock is.
func TestGetKnowsAWrongClock(t *testing.T) {
	for name, test := range map[string]struct {
		validFor time.Duration // from a day ago on
		date     time.Duration // that the server has, from now
		class    string
	}{
		"a fast clock":        {time.Hour, -23*time.Hour - 30*time.Minute, ClassClock},
		"an expired one":      {time.Hour, 0, ClassTLS},
		"an unknown one":      {48 * time.Hour, 0, ClassTLS},
		"and a fast clock":    {48 * time.Hour, -time.Hour, ClassTLS},
		"a clock that is off": {0, -10 * time.Minute, ClassOK},
	} {
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(test.date).UTC().Format(http.TimeFormat))
		}))
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		if test.validFor == 0 {
			server.Start()
		} else {
			server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate(t, test.validFor)}}
			server.StartTLS()
		}
		got := Get(t.Context(), Proxy{Address: socks(t, "", "")}, Question{URLs: []string{server.URL + "/"}, Timeout: long, Stagger: long}, nil)
		server.Close()
		if got.Class != test.class {
			t.Errorf("%s: %s, %v", name, got.Class, got.Err)
		}
		if off := got.Skew + test.date; (got.Class == ClassOK || got.Class == ClassClock) && off.Abs() > 5*time.Second {
			t.Errorf("%s: skew %v", name, got.Skew)
		}
	}
	if text := SkewText(-3 * 24 * time.Hour); !strings.Contains(text, "3 days slow") {
		t.Error(text)
	}
}

// certificate makes one for 127.0.0.1 that is valid from a day ago on.
func certificate(t *testing.T, validFor time.Duration) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from := time.Now().Add(-24 * time.Hour)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: from.Add(validFor), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
