package probe

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// The opening and the first bytes come as one, so that a proxy that waits only a moment for first
// bytes has them.
func TestOpeningComesWithTheFirstBytes(t *testing.T) {
	got := make(chan []byte, 1)
	address := serve(t, func(conn net.Conn) {
		buffer := make([]byte, 4096)
		n, _ := conn.Read(buffer)
		got <- buffer[:n]
	})
	Get(t.Context(), Proxy{Address: address, User: "user", Password: "pass"}, Question{URLs: []string{"http://name.invalid/"}, Timeout: long, Stagger: long}, nil)
	want := "\x05\x01\x02\x01\x04user\x04pass\x05\x01\x00\x03\x0cname.invalid\x00\x50GET / HTTP/1.1\r\n"
	if text := string(<-got); len(text) < len(want) || text[:len(want)] != want {
		t.Errorf("the first bytes are %q", text)
	}
}

func TestOpeningOf(t *testing.T) {
	for address, want := range map[string]string{
		"1.2.3.4:80":          "\x05\x01\x00\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50",
		"[::ffff:1.2.3.4]:80": "\x05\x01\x00\x05\x01\x00\x01\x01\x02\x03\x04\x00\x50",
		"[::1]:443":           "\x05\x01\x00\x05\x01\x00\x04" + string(net.IPv6loopback) + "\x01\xbb",
	} {
		if got, err := openingOf(Proxy{}, address); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", address, got, err)
		}
	}
	for _, address := range []string{"no port", "host:99999", string(make([]byte, 256)) + ":1"} {
		if got, err := openingOf(Proxy{}, address); err == nil {
			t.Errorf("%q: %q", address, got)
		}
	}
}

// What a proxy says to the opening decides, whatever form it has.
func TestAnswers(t *testing.T) {
	const ok = "HTTP/1.1 204 No Content\r\n\r\n"
	for _, test := range []struct{ name, answer, class string }{
		{"IPv4", "\x05\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50" + ok, ClassOK},
		{"IPv6", "\x05\x00\x05\x00\x00\x04" + string(net.IPv6loopback) + "\x00\x50" + ok, ClassOK},
		{"name", "\x05\x00\x05\x00\x00\x03\x02ab\x00\x50" + ok, ClassOK},
		{"refused", "\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", ClassRefused},
		{"another method", "\x05\x02", ClassRefused},
		{"no address", "\x05\x00\x05\x00\x00\x09", ClassRefused},
		{"cut", "\x05\x00\x05\x00", ClassClosed},
		{"not SOCKS", "HTTP/1.1 400 Bad Request\r\n\r\n", ClassRefused},
	} {
		address := serve(t, func(conn net.Conn) {
			conn.Read(make([]byte, 4096))
			io.WriteString(conn, test.answer)
			conn.(*net.TCPConn).CloseWrite()
			io.Copy(io.Discard, conn)
		})
		r := Get(t.Context(), Proxy{Address: address}, Question{URLs: []string{"http://192.0.2.1/generate_204"}, Timeout: long, Stagger: long}, nil)
		if r.Class != test.class {
			t.Errorf("%s: %s, %v", test.name, r.Class, r.Err)
		}
	}
}

func TestFetch(t *testing.T) {
	block := make([]byte, 32<<10)
	held := make(chan struct{})
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/endless":
			for r.Context().Err() == nil {
				w.Write(block)
			}
		case "/part":
			w.Write(block)
			http.NewResponseController(w).Flush()
			<-held
		case "/silent":
			<-held
		case "/head":
			http.NewResponseController(w).Flush()
			<-held
		case "/missing":
			http.NotFound(w, r)
		case "/cut":
			conn, buffered, _ := http.NewResponseController(w).Hijack()
			buffered.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc")
			buffered.Flush()
			conn.Close()
		}
	}))
	defer site.Close()
	defer close(held)
	proxy := Proxy{Address: socks(t, "", "")}
	const moment = 50 * time.Millisecond
	for _, test := range []struct {
		path        string
		wait, limit time.Duration
		class       string
		bytes       int64
	}{
		{"/endless", long, long, ClassOK, 1 << 20},
		{"/part", long, moment, ClassOK, 32 << 10},
		{"/cut", long, long, ClassOK, 3},
		{"/empty", long, long, ClassBody, 0},
		{"/missing", long, long, ClassStatus, 0},
		{"/silent", moment, long, ClassTimeout, 0},
		{"/head", long, moment, ClassTimeout, 0},
	} {
		d := Fetch(t.Context(), proxy, site.URL+test.path, 1<<20, test.wait, test.limit)
		if d.Class != test.class || d.Bytes != test.bytes || d.OK != (d.Err == nil) || d.OK != (test.class == ClassOK) {
			t.Errorf("%s: %+v", test.path, d)
		}
		if d.OK && d.Rate() <= 0 {
			t.Errorf("%s: no rate", test.path)
		}
	}
	if d := Fetch(t.Context(), proxy, "nowhere", 1, long, long); d.Class != ClassInternal {
		t.Errorf("no URL: %+v", d)
	}
}

// The caller's end is not taken for the server's fault, also in the body.
func TestFetchCanceled(t *testing.T) {
	begun := make(chan struct{})
	address := serve(t, func(conn net.Conn) {
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, "\x05\x00\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50HTTP/1.1 200 OK\r\n\r\nabc")
		close(begun)
		io.Copy(io.Discard, conn)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	if d := Fetch(ctx, Proxy{Address: address}, "http://192.0.2.1/", 1<<20, long, long); d.Class != ClassCanceled {
		t.Errorf("%+v", d)
	}
}
