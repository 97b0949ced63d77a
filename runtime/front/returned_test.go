package front

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/mark"
	"github.com/xrat-tray/xrat/runtime/socks5"
)

// startLoop starts a core that brings every connection back to f, and gives it to f. first has the
// mark of the last one.
func startLoop(t *testing.T, f *Front) (core *fakeCore, first *atomic.Uint64) {
	first = new(atomic.Uint64)
	core = startFakeCore(t, func(c net.Conn, dest socks5.Address) {
		succeed(c)
		back, err := dialSOCKS(f, dest.String())
		if err != nil {
			return
		}
		defer back.Close()
		go func() {
			defer back.CloseWrite()
			b := make([]byte, 4096)
			n, err := c.Read(b)
			if err != nil {
				return
			}
			first.Store(uint64(mark.Of(b[:n])))
			back.Write(b[:n])
			io.Copy(back, c)
		}()
		if _, err := io.Copy(c, back); err != nil {
			reset(c.(*net.TCPConn))
		}
	})
	f.SetTarget(core.target(7))
	return core, first
}

// A core that leads back to the front costs every connection a few others, not thousands, and the
// daemon is told.
func TestLoopEnds(t *testing.T) {
	f := openFront(t, nil)
	core, first := startLoop(t, f)
	defer f.Close() // or the core would wait for itself
	c := mustDial(t, f, "192.0.2.1:443")
	if err := tls.Client(c, &tls.Config{ServerName: "site.invalid"}).Handshake(); err == nil {
		t.Error("an answer out of a loop")
	}
	// Of those that were brought back, each is sent again a few times when the last is refused.
	if n := core.accepted.Load(); n < 2 || n > 150 {
		t.Errorf("%d connections out of one", n)
	}
	if m := mark.Mark(first.Load()); !f.Returned(m) || f.Returned(m+8) {
		t.Error("what has come back is not known, or something else is")
	}
	for timeout := time.After(patience); ; {
		select {
		case s := <-f.Signals():
			if s.Kind == Returned && s.TargetID == 7 {
				return
			}
		case <-timeout:
			t.Fatal("the daemon is not told")
		}
	}
}

// The same with requests over plain HTTP, which know a name for it.
func TestLoopOfRequestsEnds(t *testing.T) {
	f := openFront(t, nil)
	_, web := f.Addresses()
	var asked atomic.Int64
	core := startFakeCore(t, func(c net.Conn, dest socks5.Address) {
		succeed(c)
		serveHTTPOn(c, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			r.URL.Scheme, r.URL.Host = "http", r.Host
			through := &http.Transport{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: web})}
			defer through.CloseIdleConnections()
			answer, err := through.RoundTrip(r)
			if err != nil {
				rw.WriteHeader(http.StatusBadGateway)
				return
			}
			defer answer.Body.Close()
			rw.WriteHeader(answer.StatusCode)
		}))
	})
	f.SetTarget(core.target(7))
	defer f.Close()
	c := dialFront(t, web)
	m := mark.New()
	fmt.Fprintf(c, "GET http://site.invalid/ HTTP/1.1\r\nHost: site.invalid\r\n%s: %s\r\n\r\n", mark.Field, m.Tag())
	hear(t, c, "HTTP/1.1 508 ")
	if n := asked.Load(); n < 2 || n > 150 {
		t.Errorf("%d requests out of one", n)
	}
	if !f.Returned(m) {
		t.Error("what has come back is not known")
	}
}
