package front

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/proxy"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// openFront opens a front on kernel-chosen ports and checks at the end that it leaves nothing
// behind.
func openFront(t testing.TB, change func(*Options)) *Front {
	t.Helper()
	o := Options{SOCKS: "127.0.0.1:0", HTTP: "127.0.0.1:0", Wait: patience, Log: zerolog.Nop()}
	if change != nil {
		change(&o)
	}
	f := New(o)
	if err := f.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// openEcho opens a front whose target, with the id 1, sends everything back.
func openEcho(t testing.TB) *Front {
	t.Helper()
	f := openFront(t, nil)
	f.SetTarget(startFakeCore(t, echoServe).target(1))
	return f
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// fakeCore is a SOCKS server in the place of a core, for faults and moments that a real one cannot
// be brought to.
type fakeCore struct {
	l              net.Listener
	user, password string
	// serve gets each connection after the request has been read. Nothing has been answered.
	serve    func(c net.Conn, dest socks5.Address)
	accepted atomic.Int64

	wg    sync.WaitGroup
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func startFakeCore(t testing.TB, serve func(c net.Conn, dest socks5.Address)) *fakeCore {
	t.Helper()
	return startFakeCoreAt(t, "127.0.0.1:0", serve)
}

func startFakeCoreAt(t testing.TB, at string, serve func(c net.Conn, dest socks5.Address)) *fakeCore {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	k := &fakeCore{l: l, user: "u", password: "p", serve: serve, conns: make(map[net.Conn]struct{})}
	k.wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			k.accepted.Add(1)
			k.mu.Lock()
			k.conns[c] = struct{}{}
			k.mu.Unlock()
			k.wg.Go(func() {
				defer c.Close()
				want := socks5.AppendOpening(nil, k.user, k.password)
				got := make([]byte, len(want)+3)
				if _, err := io.ReadFull(c, got); err != nil || !bytes.Equal(got[:len(want)], want) {
					return
				}
				dest, err := readAddress(c)
				if err != nil {
					return
				}
				k.serve(c, dest)
			})
		}
	})
	t.Cleanup(k.kill)
	return k
}

// kill ends the core as a crash does.
func (k *fakeCore) kill() {
	k.l.Close()
	k.mu.Lock()
	for c := range k.conns {
		c.Close()
	}
	k.mu.Unlock()
	k.wg.Wait()
}

func (k *fakeCore) target(id int64) *Target {
	return &Target{ID: id, Address: k.l.Addr().String(), User: k.user, Password: k.password}
}

func readAddress(r io.Reader) (socks5.Address, error) {
	var a socks5.Address
	for {
		got, err := socks5.CutAddress(a)
		if !errors.Is(err, socks5.ErrShort) {
			return got, err
		}
		var b [1]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return nil, err
		}
		a = append(a, b[0])
	}
}

// succeed sends the replies of a core as the real one does, in three writes.
func succeed(c net.Conn) {
	c.Write([]byte{socks5.Version, socks5.MethodPassword})
	c.Write([]byte{socks5.VersionPassword, 0})
	c.Write(socks5.AppendReply(nil, socks5.ReplySucceeded, netip.MustParseAddrPort("127.0.0.1:1")))
}

// echoServe answers and sends everything back.
func echoServe(c net.Conn, _ socks5.Address) {
	succeed(c)
	io.Copy(c, c)
	c.(*net.TCPConn).CloseWrite()
}

// nameServe answers every HTTP request on the connection with name.
func nameServe(name string) func(net.Conn, socks5.Address) {
	return func(c net.Conn, _ socks5.Address) {
		succeed(c)
		serveHTTPOn(c, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, name) }))
	}
}

func serveHTTPOn(c net.Conn, h http.Handler) {
	done := make(chan struct{})
	var once sync.Once
	l := &handoff{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	l.conns <- c
	srv := &http.Server{Handler: h, ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed || s == http.StateHijacked {
			once.Do(func() { close(done) })
		}
	}}
	go srv.Serve(l)
	<-done
	srv.Close()
}

// dialSOCKS reaches dest through the front's SOCKS port.
func dialSOCKS(f *Front, dest string) (*net.TCPConn, error) {
	socks, _ := f.Addresses()
	d, err := proxy.SOCKS5("tcp", socks, nil, proxy.Direct)
	if err != nil {
		return nil, err
	}
	c, err := d.Dial("tcp", dest)
	if err != nil {
		return nil, err
	}
	tcp := underTCP(c)
	tcp.SetDeadline(time.Now().Add(2 * patience))
	return tcp, nil
}

// dialWaiting dials while there is no core that takes connections, and delivers the connection when
// there is.
func dialWaiting(t testing.TB, f *Front) <-chan *net.TCPConn {
	c := make(chan *net.TCPConn, 1)
	go func() {
		conn, err := dialSOCKS(f, "a.invalid:1")
		if err != nil {
			t.Error(err)
		}
		c <- conn
	}()
	return c
}

// askConnect is all that a client says with SOCKS until it is connected to dest.
func askConnect(t testing.TB, user, password, dest string) []byte {
	t.Helper()
	a, err := socks5.ParseAddress(dest)
	if err != nil {
		t.Fatal(err)
	}
	return socks5.AppendRequest(socks5.AppendOpening(nil, user, password), socks5.CommandConnect, a)
}

func underTCP(c net.Conn) *net.TCPConn {
	if s, ok := c.(interface{ NetConn() net.Conn }); ok {
		return s.NetConn().(*net.TCPConn)
	}
	return c.(*net.TCPConn)
}

func mustDial(t testing.TB, f *Front, dest string) *net.TCPConn {
	t.Helper()
	c, err := dialSOCKS(f, dest)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// speak writes what and reads as much as want has.
func speak(t testing.TB, c net.Conn, what, want string) {
	t.Helper()
	if _, err := io.WriteString(c, what); err != nil {
		t.Fatal(err)
	}
	hear(t, c, want)
}

func hear(t testing.TB, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	n, err := io.ReadFull(c, got)
	if err != nil || string(got) != want {
		t.Fatalf("got %q (%v), want %q", got[:n], err, want)
	}
}

func dialFront(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

func origin(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// checkLeaks fails if the test ends with more goroutines or sockets than it began with.
func checkLeaks(t *testing.T) {
	t.Helper()
	sockets := func() (n int) {
		d, _ := os.ReadDir("/proc/self/fd")
		for _, e := range d {
			if to, _ := os.Readlink("/proc/self/fd/" + e.Name()); strings.HasPrefix(to, "socket:") {
				n++
			}
		}
		return n
	}
	goroutines, before := runtime.NumGoroutine(), sockets()
	t.Cleanup(func() {
		for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			g, s := runtime.NumGoroutine(), sockets()
			if g <= goroutines && s <= before {
				return
			}
			if time.Now().After(deadline) {
				buf := make([]byte, 1<<20)
				t.Errorf("leak: %d goroutines (was %d), %d sockets (was %d)\n%s", g, goroutines, s, before, buf[:runtime.Stack(buf, true)])
				return
			}
		}
	})
}

func drain(f *Front, id int64, patience time.Duration) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return f.Drain(ctx, id)
}
