package subscription

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/link"
)

// token is the secret in the addresses of the tests.
const token = "t0ken-of-the-user"

// serve starts a provider and returns the address of its subscription.
func serve(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL + "/sub/" + token + "?token=" + token
}

// fails fetches, and checks the code of the error and that it shows no secret.
func fails(t *testing.T, f Fetcher, r Request, code string) *Error {
	t.Helper()
	response, err := f.Fetch(t.Context(), r)
	e, ok := errors.AsType[*Error](err)
	if !ok || e.Code != code {
		t.Fatalf("%v (%d bytes), want the code %s", err, len(response.Body), code)
	}
	if shown := fmt.Sprintf("%v %+v %#v %v %+v", e, e, e, r, r); strings.Contains(shown, token) || strings.Contains(shown, password) {
		t.Errorf("a secret is shown: %s", shown)
	}
	return e
}

func TestFetch(t *testing.T) {
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("User-Agent"); got != "xrat/1.2.3" {
			t.Errorf("user agent %q", got)
		}
		h := w.Header()
		h.Set("ETag", `"v1"`)
		h.Set("Last-Modified", "Mon, 23 Nov 2026 07:00:00 GMT")
		h.Set("Subscription-Userinfo", "upload=1; download=2; total=3; expire=1800000000")
		h.Set("Profile-Update-Interval", "12")
		h.Set("Profile-Title", "base64:"+"8J+agCBNeSBwcm92aWRlcg==")
		if r.Header.Get("If-None-Match") == `"v1"` && r.Header.Get("If-Modified-Since") != "" {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, plainList)
	})
	f := Fetcher{UserAgent: "xrat/1.2.3"}
	first, err := f.Fetch(t.Context(), Request{URL: " " + address + "#name\n"})
	if err != nil {
		t.Fatal(err)
	}
	if string(first.Body) != plainList || first.NotModified || first.Title != "🚀 My provider" || first.UpdateInterval != 12*time.Hour ||
		first.Usage == nil || *first.Usage != (Usage{Upload: 1, Download: 2, Total: 3, Expires: time.Unix(1800000000, 0).UTC()}) {
		t.Errorf("%+v", first)
	}
	second, err := f.Fetch(t.Context(), Request{URL: address, ETag: first.ETag, LastModified: first.LastModified})
	if err != nil || !second.NotModified || second.Body != nil || second.Usage == nil {
		t.Errorf("%+v, %v", second, err)
	}
}

func TestFetchStatus(t *testing.T) {
	for _, status := range []int{http.StatusNoContent, http.StatusNotModified, http.StatusForbidden, http.StatusNotFound, http.StatusBadGateway, 599} {
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		e := fails(t, Fetcher{}, Request{URL: address}, CodeBadStatus)
		if !strings.Contains(e.Message, strconv.Itoa(status)) {
			t.Error(e)
		}
	}
}

func TestFetchBadURL(t *testing.T) {
	for _, address := range []string{
		"", token, "file:///etc/passwd", "unix:/run/x.sock", "ftp://a.org/" + token, "gopher://a.org", "data:text/plain," + token, "http://", "http:///x",
		"https://a.org:0/", "https://a.org:99999/", "http://a b/" + token, "http://[::1", "http://a.org/%zz" + token, "javascript:alert(1)", "//a.org/x",
	} {
		fails(t, Fetcher{}, Request{URL: address}, CodeBadURL)
	}
}

func TestFetchUnreachable(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	fails(t, Fetcher{}, Request{URL: "http://" + address + "/" + token}, CodeUnreachable)
}

func TestFetchCanceled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	address := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	_, err := Fetcher{}.Fetch(ctx, Request{URL: address})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// An endless answer costs little memory and is given up.
func TestFetchStopsAtTheLimit(t *testing.T) {
	var sent atomic.Int64
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		block := bytes.Repeat([]byte("# no end\n"), 8<<10)
		for r.Context().Err() == nil {
			n, err := w.Write(block)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	peak := heapPeak(t, func() { fails(t, Fetcher{}, Request{URL: address}, CodeTooLarge) })
	if peak > 32<<20 {
		t.Errorf("took %d MiB", peak>>20)
	}
	t.Logf("%d MiB sent, heap grew by %d MiB", sent.Load()>>20, peak>>20)
}

func TestFetchAllowedSize(t *testing.T) {
	for _, size := range []int{0, 1, chunk - 1, chunk, chunk + 1, MaxBody} {
		address := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(bytes.Repeat([]byte("x"), size))
		})
		response, err := Fetcher{}.Fetch(t.Context(), Request{URL: address})
		if err != nil || len(response.Body) != size {
			t.Errorf("%d bytes of %d: %v", len(response.Body), size, err)
		}
	}
}

// The limit applies to the decompressed body.
func TestFetchGzip(t *testing.T) {
	pack := func(size int) []byte {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		block := bytes.Repeat([]byte("\n"), 1<<20)
		for range size >> 20 {
			_, _ = z.Write(block)
		}
		_ = z.Close()
		return b.Bytes()
	}
	serveGzip := func(body []byte) string {
		return serve(t, func(w http.ResponseWriter, r *http.Request) {
			if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
				t.Error("gzip is not accepted")
			}
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(body)
		})
	}
	bomb := bytes.Repeat(pack(1<<20), 256) // members of one stream: RFC 1952, section 2.2
	address := serveGzip(bomb)
	peak := heapPeak(t, func() { fails(t, Fetcher{}, Request{URL: address}, CodeTooLarge) })
	if peak > 32<<20 {
		t.Errorf("took %d MiB", peak>>20)
	}
	t.Logf("bomb of %d KiB, heap grew by %d MiB", len(bomb)>>10, peak>>20)

	small := pack(1 << 20)
	response, err := Fetcher{}.Fetch(t.Context(), Request{URL: serveGzip(small)})
	if err != nil || len(response.Body) != 1<<20 {
		t.Errorf("%d bytes: %v", len(response.Body), err)
	}
	fails(t, Fetcher{}, Request{URL: serveGzip(small[:len(small)/2])}, CodeBadAnswer)
	fails(t, Fetcher{}, Request{URL: serveGzip([]byte("no gzip"))}, CodeBadAnswer)
	brotli := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "br")
		_, _ = io.WriteString(w, "x")
	})
	fails(t, Fetcher{}, Request{URL: brotli}, CodeBadAnswer)
}

func TestFetchSlow(t *testing.T) {
	drip := func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			_, _ = io.WriteString(w, "#")
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for _, handler := range []http.HandlerFunc{drip, silent} {
		began := time.Now()
		e := fails(t, Fetcher{Timeout: 200 * time.Millisecond}, Request{URL: serve(t, handler)}, CodeTimeout)
		if took := time.Since(began); took > 5*time.Second || !errors.Is(e, context.DeadlineExceeded) {
			t.Errorf("%v after %v", e, took)
		}
	}
}

// Half a body is refused, or half of the servers would be taken for all of them.
func TestFetchRefusesCutAnswers(t *testing.T) {
	for name, headers := range map[string]string{"length": "Content-Length: 1000\r\n", "chunks": "Transfer-Encoding: chunked\r\n"} {
		t.Run(name, func(t *testing.T) {
			address := rawServer(t, "HTTP/1.1 200 OK\r\n"+headers+"\r\n14\r\n"+"trojan://x@a.org:443#\r\n")
			fails(t, Fetcher{}, Request{URL: address}, CodeBadAnswer)
		})
	}
	for _, answer := range []string{"", "\x00\x01", "HTTP/1.1 200", "SSH-2.0-" + token + "\r\n", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHeader+8192) + "\r\n\r\n"} {
		response, err := Fetcher{}.Fetch(t.Context(), Request{URL: rawServer(t, answer)})
		if err == nil || strings.Contains(err.Error(), token) {
			t.Errorf("%q: %v, %d bytes", answer[:min(len(answer), 40)], err, len(response.Body))
		}
	}
}

// rawServer answers every connection with the same bytes and closes it.
func rawServer(t *testing.T, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = io.WriteString(conn, answer)
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() {
		_ = listener.Close()
		<-done
	})
	return "http://" + listener.Addr().String() + "/" + token
}

// The answer of a panel, a portal or a dead account is never taken for a subscription.
func TestPagesAreNoSubscription(t *testing.T) {
	for _, page := range []string{"<!doctype html><title>login</title>", "", "[]", "{}", `{"status":"fail","message":"Token is error"}`, "proxies: []\n", "# empty\n"} {
		response, err := Fetcher{}.Fetch(t.Context(), Request{URL: serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) })})
		if err != nil {
			t.Fatal(err)
		}
		body, err := Parse(response.Body)
		if err == nil {
			t.Errorf("%q is taken for a subscription", page)
		}
		if changes := Reconcile([]Known{{ID: 1, Identity: "x"}}, body); len(changes.Retire) > 0 {
			t.Errorf("%q retires", page)
		}
	}
}

func TestFetchCertificate(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(server.Close)
	e := fails(t, Fetcher{}, Request{URL: server.URL + "/" + token}, CodeBadCertificate)
	if !strings.Contains(e.Message, "unknown authority") {
		t.Error(e)
	}
}

// A fetch through a proxy that does not work goes nowhere.
func TestFetchThroughProxyNeverGoesDirectly(t *testing.T) {
	var direct atomic.Int64
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Proxied") == "" {
			direct.Add(1)
		}
		_, _ = io.WriteString(w, plainList)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := listener.Addr().String()
	_ = listener.Close()
	proxy := &Proxy{Address: dead, User: link.NewSecret("u"), Password: link.NewSecret(password)}
	fails(t, Fetcher{}, Request{URL: address, Proxy: proxy}, CodeUnreachable)
	fails(t, Fetcher{}, Request{URL: address, Proxy: &Proxy{Address: "nonsense"}}, CodeBadURL)
	if n := direct.Load(); n != 0 {
		t.Fatalf("%d requests went out directly", n)
	}

	// The name does not exist, so the look-up is the proxy's or fails.
	socks := newSOCKS(t, "u", password, strings.TrimPrefix(strings.SplitN(address, "/sub", 2)[0], "http://"))
	proxy.Address = socks.address
	response, err := Fetcher{}.Fetch(t.Context(), Request{URL: "http://provider.invalid/" + token, Proxy: proxy})
	if err != nil || string(response.Body) != plainList {
		t.Errorf("%v", err)
	}
	if got := socks.asked(); len(got) != 1 || got[0] != "provider.invalid:80" {
		t.Errorf("the proxy was asked for %q", got)
	}
	fails(t, Fetcher{}, Request{URL: "http://provider.invalid/" + token, Proxy: &Proxy{Address: socks.address, User: link.NewSecret("u"), Password: link.NewSecret("wrong")}}, CodeUnreachable)
}
