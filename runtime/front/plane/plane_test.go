//go:build unix

package plane

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/front"
)

// A daemon that dies takes nothing with it: the next one finds the same addresses, target, counters
// and connections.
func TestConnectionsOutliveTheDaemon(t *testing.T) {
	b, k := newBox(t), newCore(t)
	first := b.open(k)
	conn := connect(t, first)
	speak(t, conn, "before")
	socks, web := first.Addresses()
	first.die()
	speak(t, conn, "meanwhile")
	if c, err := dialThrough(socks); err != nil || say(c, "new") != nil {
		t.Errorf("a new connection without a daemon: %v", err)
	}
	second := b.client()
	state, err := second.Find(t.Context())
	must(t, err)
	if state == nil || state.Target != 1 || state.PID != b.pid() || !state.Open {
		t.Fatalf("found %+v", state)
	}
	if s, w := second.Addresses(); s != socks || w != web {
		t.Errorf("addresses %s and %s, before %s and %s", s, w, socks, web)
	}
	must(t, second.Open(t.Context())) // it is
	speak(t, conn, "after")
	if n := second.Counters(1); n.Connections != 2 || n.UpBytes != uint64(len("before"+"meanwhile"+"new"+"after")) {
		t.Errorf("counters %+v", n)
	}
	must(t, second.Close())
	eventually(t, "the process has ended", func() bool { return !running(b.pid()) })
	if _, err := net.Dial("tcp", socks); err == nil {
		t.Error("the address is still open")
	}
	if len(b.started()) != 1 {
		t.Errorf("%d data planes were started", len(b.started()))
	}
}

// A data plane that is killed is replaced at once, and nobody who connects is refused meanwhile.
func TestDeadPlaneIsReplaced(t *testing.T) {
	b, k := newBox(t), newCore(t)
	c := b.open(k)
	speak(t, connect(t, c), "hello")
	if n := c.Counters(1).UpBytes; n != 5 {
		t.Errorf("%d bytes", n)
	}
	socks, _ := c.Addresses()
	var load sync.WaitGroup
	var refused, tries atomic.Int64
	stop := make(chan struct{})
	load.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			tries.Add(1)
			conn, err := net.Dial("tcp", socks)
			if err != nil {
				refused.Add(1)
				continue
			}
			conn.Close()
		}
	})
	for range 3 {
		before := b.pid()
		must(t, syscall.Kill(before, syscall.SIGKILL))
		eventually(t, "another one serves", func() bool { return b.pid() != before && c.serving() != nil && c.serving().state.PID == b.pid() })
		speak(t, connect(t, c), "again")
	}
	close(stop)
	load.Wait()
	if refused.Load() > 0 || tries.Load() == 0 {
		t.Errorf("%d of %d connections were refused", refused.Load(), tries.Load())
	}
	if n := c.Counters(1); n.UpBytes < 5+5 {
		t.Errorf("the counters began anew: %+v", n)
	}
}

// A new version takes new connections, and the old one ends with its last.
func TestRenewKeepsConnections(t *testing.T) {
	b, k := newBox(t), newCore(t)
	c := b.open(k)
	conn := connect(t, c)
	speak(t, conn, "old")
	old := b.pid()
	b.version = "v2"
	must(t, c.Renew(t.Context()))
	speak(t, conn, "old still")
	speak(t, connect(t, c), "new")
	if n := c.Counters(1); n.Connections != 2 || n.UpBytes != uint64(len("old"+"old still"+"new")) {
		t.Errorf("counters of both: %+v", n)
	}
	// A daemon that comes now finds both.
	c.die()
	next := b.client()
	state, err := next.Find(t.Context())
	must(t, err)
	if state == nil || state.Version != "v2" {
		t.Fatalf("found %+v", state)
	}
	if n := next.Counters(1); n.Connections != 2 {
		t.Errorf("counters of both: %+v", n)
	}
	speak(t, conn, "old at last")
	conn.Close()
	eventually(t, "the old one ends", func() bool { return !running(old) })
	speak(t, connect(t, next), "new still")
	if n := next.Counters(1); n.Connections != 3 || n.UpBytes < uint64(len("old"+"old still"+"old at last"+"new"+"new still")) {
		t.Errorf("counters of both: %+v", n)
	}
}

// Connections do not keep a data plane of another version for ever, but for as long as the daemon
// wants.
func TestRenewedPlaneEndsInTime(t *testing.T) {
	b, k := newBox(t), newCore(t)
	c := b.open(k, func(d *ClientDeps) { d.DrainTime = 300 * time.Millisecond })
	conn := connect(t, c)
	speak(t, conn, "old")
	old := b.pid()
	must(t, c.Renew(t.Context()))
	eventually(t, "the old one ends", func() bool { return !running(old) })
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("its connection goes on")
	}
	speak(t, connect(t, c), "new")
}

// A daemon that ends without its leave is started again; one that takes its leave is not.
func TestOnlyALostDaemonIsRevived(t *testing.T) {
	for name, test := range map[string]struct {
		end     func(*Client)
		revive  bool
		revived bool
	}{
		"killed":                 {(*Client).die, true, true},
		"left":                   {func(c *Client) { c.Leave() }, true, false},
		"killed under a manager": {(*Client).die, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, k := newBox(t), newCore(t)
			c := b.open(k, func(d *ClientDeps) { d.Revive = test.revive })
			conn := connect(t, c)
			speak(t, conn, "hello")
			test.end(c)
			revived := func() bool {
				found, _ := filepath.Glob(filepath.Join(b.dir, "*.revived"))
				return len(found) > 0
			}
			if test.revived {
				eventually(t, "the daemon is started", revived)
			} else if time.Sleep(200 * time.Millisecond); revived() {
				t.Error("the daemon is started")
			}
			speak(t, conn, "still")
		})
	}
}

// A data plane ends when there is neither a daemon nor a core, and not before.
func TestUnneededPlaneEnds(t *testing.T) {
	b, k := newBox(t), newCore(t)
	c := b.open(k)
	speak(t, connect(t, c), "hello")
	c.die()
	time.Sleep(time.Second) // three times as long as it lives without a core
	if !running(b.pid()) {
		t.Fatal("it ended beside a living core")
	}
	k.l.Close()
	eventually(t, "it ends", func() bool { return !running(b.pid()) })
}

// A data plane that does not answer keeps nobody waiting, and the next daemon kills it.
func TestStoppedPlane(t *testing.T) {
	b, k := newBox(t), newCore(t)
	c := b.open(k)
	speak(t, connect(t, c), "hello")
	counted := c.Counters(1)
	pid := b.pid()
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	begin := time.Now()
	if n := c.Counters(1); n != counted {
		t.Errorf("counters %+v, last seen %+v", n, counted)
	}
	for i := range 100 {
		c.Counters(1)
		c.SetTarget(k.target(int64(i)))
		c.SetStandby(nil)
	}
	if took := time.Since(begin); took > patience/2 {
		t.Errorf("it kept the daemon waiting for %v", took)
	}
	c.die()
	next := b.client()
	if state, err := next.Find(t.Context()); err != nil || state != nil {
		t.Errorf("found %+v, %v", state, err)
	}
	eventually(t, "the stopped one is gone", func() bool { return !running(pid) })
	must(t, next.Open(t.Context()))
	next.SetTarget(k.target(1))
	speak(t, connect(t, next), "hello")
}

// What an earlier daemon says after the next has come has no effect.
func TestLateCommandDoesNothing(t *testing.T) {
	b, k := newBox(t), newCore(t)
	first := b.open(k)
	speak(t, connect(t, first), "hello")
	second := b.client()
	if state, err := second.Find(t.Context()); err != nil || state == nil {
		t.Fatal(state, err)
	}
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	dead.Close()
	first.SetTarget(&front.Target{ID: 2, Address: dead.Addr().String()})
	second.Counters(1) // has been through the data plane after it
	speak(t, connect(t, second), "hello")
	if n := len(b.started()); n != 1 {
		t.Errorf("%d data planes were started", n)
	}
}

// A drain ends with the last connection, or has what is left reset; and the end of the daemon that
// waits for it resets nothing.
func TestDrain(t *testing.T) {
	b, k := newBox(t), newCore(t)
	c := b.open(k)
	conn := connect(t, c)
	speak(t, conn, "hello")
	c.SetTarget(k.target(2))
	done := make(chan int)
	go func() { done <- c.Drain(t.Context(), 1) }()
	time.Sleep(20 * time.Millisecond)
	c.die()
	if n := <-done; n != 0 {
		t.Errorf("%d connections cut by a daemon that died", n)
	}
	speak(t, conn, "still")
	next := b.client()
	if _, err := next.Find(t.Context()); err != nil {
		t.Fatal(err)
	}
	hurried, hurry := withCancel(t)
	go func() { done <- next.Drain(hurried, 1) }()
	time.Sleep(20 * time.Millisecond)
	hurry()
	if n := <-done; n != 1 {
		t.Errorf("%d connections cut", n)
	}
	if err := say(conn, "gone"); err == nil {
		t.Error("the connection lives on")
	}
	if n := next.Drain(t.Context(), 1); n != 0 {
		t.Errorf("%d connections cut of none", n)
	}
}

// What the front notices reaches the daemon.
func TestSignalsArrive(t *testing.T) {
	b := newBox(t)
	dead, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	dead.Close()
	c := b.client()
	must(t, c.Open(t.Context()))
	c.SetTarget(&front.Target{ID: 7, Address: dead.Addr().String()})
	socks, _ := c.Addresses()
	go dialThrough(socks)
	for range 2 { // the second only after the first was seen
		select {
		case s := <-c.Signals():
			if s.TargetID != 7 || s.Kind != front.DialRefused {
				t.Errorf("got %+v", s)
			}
		case <-time.After(patience):
			t.Fatal("no signal")
		}
	}
}

// Garbage on the socket disturbs nobody.
func TestGarbage(t *testing.T) {
	b, k := newBox(t), newCore(t)
	c := b.open(k)
	path := socketPath(b.dir, c.serving().state.Nonce)
	for _, text := range []string{"", "\n", "{}\n", "GET / HTTP/1.1\r\n\r\n", `{"do":"close"}` + "\n", `{"do":"hello"}` + "\n", fmt.Sprintf("%2000000d", 1)} {
		conn, err := net.Dial("unix", path)
		must(t, err)
		conn.Write([]byte(text))
		conn.(*net.UnixConn).CloseWrite()
		conn.SetReadDeadline(time.Now().Add(patience))
		if n, err := conn.Read(make([]byte, 1)); n > 0 || os.IsTimeout(err) {
			t.Errorf("%.20q is answered: %d, %v", text, n, err)
		}
		conn.Close()
	}
	speak(t, connect(t, c), "hello")
}

// A listener moves to another host at the same port, which cannot be opened before the old one has
// closed; and it stays where it is if the new one does not open.
func TestSamePortMoves(t *testing.T) {
	b, k := newBox(t), newCore(t)
	c := b.open(k)
	conn := connect(t, c)
	speak(t, conn, "hello")
	socks, _ := c.Addresses()
	_, port, err := net.SplitHostPort(socks)
	must(t, err)
	o := c.Front
	o.SOCKS = "127.0.0.2:" + port
	must(t, c.Configure(t.Context(), o))
	o.SOCKS, o.Username, o.Password = "0.0.0.0:"+port, "user", "secret"
	must(t, c.Configure(t.Context(), o))
	if at, _ := c.Addresses(); at != "0.0.0.0:"+port && at != "[::]:"+port {
		t.Errorf("listens on %s", at)
	}
	if c, err := dialThrough("127.0.0.1:" + port); err == nil {
		c.Close()
		t.Error("a client without a password is let in")
	}
	// Without the password it has to leave the address at once, and finds the other taken.
	taken, err := net.Listen("tcp", "127.0.0.3:"+port)
	if err == nil {
		t.Error("the wildcard address does not hold the port")
		taken.Close()
	}
	o.SOCKS, o.Username, o.Password = "127.0.0.1:"+port, "", ""
	must(t, c.Configure(t.Context(), o))
	speak(t, connect(t, c), "again")
	speak(t, conn, "still")
	other, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer other.Close()
	before, _ := c.Addresses()
	o.SOCKS = other.Addr().String()
	if err := c.Configure(t.Context(), o); err == nil {
		t.Error("a port that another program has was opened")
	}
	if at, _ := c.Addresses(); at != before {
		t.Errorf("listens on %s, not on %s", at, before)
	}
	speak(t, connect(t, c), "where it was")
}
