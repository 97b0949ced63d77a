package front

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/net/proxy"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// openFront opens a front on kernel-chosen ports and checks at the end that it leaves nothing behind.
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

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("still not so: %s", what)
		}
	}
}

// fakeCore is a SOCKS server in the place of a core, for faults and moments that a real one cannot be brought to.
type fakeCore struct {
	l              net.Listener
	user, password string
	// serve gets each connection after the request has been read. Nothing has been answered.
	serve    func(c net.Conn, dest address)
	accepted atomic.Int64

	wg    sync.WaitGroup
	mu    sync.Mutex
	conns map[net.Conn]struct{}
}

func startFakeCore(t testing.TB, serve func(c net.Conn, dest address)) *fakeCore {
	t.Helper()
	return startFakeCoreAt(t, "127.0.0.1:0", serve)
}

func startFakeCoreAt(t testing.TB, at string, serve func(c net.Conn, dest address)) *fakeCore {
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
				want := appendGreeting(nil, k.user, k.password)
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

func readAddress(r io.Reader) (address, error) {
	var a address
	for {
		got, err := cutAddress(a)
		if !errors.Is(err, errShort) {
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
	c.Write([]byte{socks5, methodPassword})
	c.Write([]byte{passwordVersion, 0})
	c.Write(appendReply(nil, replySucceeded, netip.MustParseAddrPort("127.0.0.1:1")))
}

// echoServe answers and sends everything back.
func echoServe(c net.Conn, _ address) {
	succeed(c)
	io.Copy(c, c)
	c.(*net.TCPConn).CloseWrite()
}

// nameServe answers every HTTP request on the connection with name.
func nameServe(name string) func(net.Conn, address) {
	return func(c net.Conn, _ address) {
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

// realCore is an Xray process with one authenticated SOCKS inbound and a direct way out.
type realCore struct {
	cmd  *exec.Cmd
	addr string
	open string // the same without authentication, for comparison
	log  string
}

const testUser, testPassword = "front", "s3cret"

func coreExecutable(t testing.TB) string {
	t.Helper()
	if p := os.Getenv("XRAT_XRAY"); p != "" {
		return p
	}
	p, err := filepath.Abs("../../bin/xray")
	if err == nil {
		_, err = os.Stat(p)
	}
	if err != nil {
		t.Fatalf("no core: set XRAT_XRAY or build bin/xray: %v", err)
	}
	return p
}

// freePort returns a port that is free for TCP and UDP.
func freePort(t testing.TB) int {
	t.Helper()
	for range 20 {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := l.Addr().(*net.TCPAddr).Port
		u, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		l.Close()
		if err == nil {
			u.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

func startRealCore(t testing.TB) *realCore {
	t.Helper()
	return startRealCoreTo(t, map[string]any{"protocol": "freedom", "settings": map[string]any{
		"finalRules": []any{map[string]any{"action": "allow"}}}})
}

// startRealCoreTo starts a core with that way out.
func startRealCoreTo(t testing.TB, outbound map[string]any) *realCore {
	t.Helper()
	port, open := freePort(t), freePort(t)
	config := map[string]any{
		"log": map[string]any{"loglevel": "warning", "access": "none"},
		"inbounds": []any{
			map[string]any{"protocol": "socks", "listen": "127.0.0.1", "port": port, "settings": map[string]any{
				"auth": "password", "udp": true, "accounts": []any{map[string]any{"user": testUser, "pass": testPassword}}}},
			map[string]any{"protocol": "socks", "listen": "127.0.0.1", "port": open, "settings": map[string]any{"udp": true}},
		},
		"outbounds": []any{outbound},
	}
	body, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	out, err := os.Create(filepath.Join(dir, "core.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(coreExecutable(t), "run", "-c", "stdin:")
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = dir, bytes.NewReader(body), out, out, []string{}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	k := &realCore{cmd, fmt.Sprintf("127.0.0.1:%d", port), fmt.Sprintf("127.0.0.1:%d", open), out.Name()}
	t.Cleanup(k.kill)
	eventually(t, "the core answers", func() bool {
		for _, addr := range []string{k.addr, k.open} {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				return false
			}
			c.Close()
		}
		return true
	})
	return k
}

// startTunnellingCore starts a Shadowsocks server, and a core that goes out through it.
func startTunnellingCore(b testing.TB) (*realCore, *exec.Cmd) {
	b.Helper()
	port := freePort(b)
	const method, password = "aes-128-gcm", "benchmark"
	config, err := json.Marshal(map[string]any{
		"log": map[string]any{"loglevel": "warning", "access": "none"},
		"inbounds": []any{map[string]any{"protocol": "shadowsocks", "listen": "127.0.0.1", "port": port,
			"settings": map[string]any{"method": method, "password": password, "network": "tcp"}}},
		"outbounds": []any{map[string]any{"protocol": "freedom", "settings": map[string]any{
			"finalRules": []any{map[string]any{"action": "allow"}}}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(coreExecutable(b), "run", "-c", "stdin:")
	cmd.Dir, cmd.Stdin, cmd.Env = b.TempDir(), bytes.NewReader(config), []string{}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	address := fmt.Sprintf("127.0.0.1:%d", port)
	eventually(b, "the server answers", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return startRealCoreTo(b, map[string]any{"protocol": "shadowsocks", "settings": map[string]any{"servers": []any{
		map[string]any{"address": "127.0.0.1", "port": port, "method": method, "password": password}}}}), cmd
}

func (k *realCore) kill() {
	k.cmd.Process.Kill()
	k.cmd.Wait()
}

func (k *realCore) target(id int64) *Target {
	return &Target{ID: id, Address: k.addr, User: testUser, Password: testPassword}
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
