package front

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Connections on the old core go on after the target has changed; Drain waits for their end, and
// resets and counts those that are left when its time is up.
func TestDrainAndCut(t *testing.T) {
	checkLeaks(t)
	f := openFront(t, nil)
	one, two := startFakeCore(t, echoServe), startFakeCore(t, echoServe)
	f.SetTarget(one.target(1))
	stays, goes := mustDial(t, f, "a.invalid:1"), mustDial(t, f, "b.invalid:1")
	speak(t, stays, "a", "a")
	speak(t, goes, "b", "b")
	f.SetTarget(two.target(2))
	speak(t, stays, "still on one", "still on one")
	if n := f.Counters(1).Open; n != 2 {
		t.Fatalf("%d open on the old core, want 2", n)
	}
	goes.Close()
	eventually(t, "one is left", func() bool { return f.Counters(1).Open == 1 })
	if n := drain(f, 1, 50*time.Millisecond); n != 1 {
		t.Fatalf("cut %d, want 1", n)
	}
	if _, err := stays.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the cut connection saw %v, want a reset", err)
	}
	if n := drain(f, 1, patience); n != 0 {
		t.Errorf("after the cut %d are left", n)
	}
	if n := drain(f, 99, patience); n != 0 {
		t.Errorf("unknown session: %d", n)
	}
}

// Drain must return as soon as the last connection has ended, not at its deadline.
func TestDrainReturnsEarly(t *testing.T) {
	f := openEcho(t)
	c := mustDial(t, f, "a.invalid:1")
	speak(t, c, "a", "a")
	f.SetTarget(nil)
	done := make(chan int, 1)
	go func() { done <- drain(f, 1, time.Hour) }()
	c.Close()
	select {
	case n := <-done:
		if n != 0 {
			t.Errorf("cut %d", n)
		}
	case <-time.After(patience):
		t.Fatal("Drain still waits")
	}
}

// Close ends every connection in whatever state it is, frees the ports and leaves no goroutine; it
// may be called twice, and Open may follow.
func TestCloseLeavesNothing(t *testing.T) {
	checkLeaks(t)
	f := New(Options{SOCKS: "127.0.0.1:0", HTTP: "127.0.0.1:0", Wait: time.Hour})
	k := startFakeCore(t, echoServe)
	for range 2 {
		if err := f.Open(t.Context()); err != nil {
			t.Fatal(err)
		}
		socks, web := f.Addresses()
		f.SetTarget(k.target(1))
		idle, half, plain := mustDial(t, f, "a.invalid:1"), dialFront(t, socks), dialFront(t, web)
		speak(t, idle, "a", "a")
		half.Write([]byte{5})
		io.WriteString(plain, "GET http://a.invalid/")
		udp := associateWith(t, socks)
		udp.send(t, "192.0.2.1:53", "x")
		f.SetTarget(nil)
		var waiting sync.WaitGroup
		waiting.Go(func() {
			if c, err := dialSOCKS(f, "b.invalid:1"); err == nil {
				c.Close()
				t.Error("connected to nothing")
			}
		})
		eventually(t, "a connection waits", func() bool { return f.Waiting() > 0 })
		f.Close()
		f.Close()
		for _, c := range []net.Conn{idle, half, plain, udp.control} {
			if _, err := c.Read(make([]byte, 1)); err == nil {
				t.Error("a connection survived Close")
			}
		}
		if c, err := net.Dial("tcp", socks); err == nil {
			c.Close()
			t.Error("the port is still open")
		}
		waiting.Wait()
	}
}

// A front that is given other listeners keeps the connections that came through the old ones.
func TestListenersMove(t *testing.T) {
	f := openEcho(t)
	old, web := f.Addresses()
	c := mustDial(t, f, "a.invalid:1")
	speak(t, c, "a", "a")
	next, err := Listen(t.Context(), Options{SOCKS: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	next.HTTP = f.run.listeners.HTTP
	f.Serve(next)
	if socks, still := f.Addresses(); socks == old || still != web {
		t.Errorf("listens on %s and %s, before on %s and %s", socks, still, old, web)
	}
	speak(t, c, "b", "b")
	speak(t, mustDial(t, f, "a.invalid:1"), "c", "c")
	dialFront(t, web).Close()
	if c, err := net.Dial("tcp", old); err == nil {
		c.Close()
		t.Error("the old address is still open")
	}
}

// Naming the target again must not disturb a dial that is under way.
func TestTargetNamedAgain(t *testing.T) {
	f := openFront(t, nil)
	k := startFakeCore(t, echoServe)
	f.SetTarget(k.target(1))
	before := f.state.Load()
	f.SetTarget(k.target(1))
	if f.state.Load() != before || before.ctx.Err() != nil {
		t.Error("the state was replaced")
	}
	f.SetTarget(k.target(2))
	if f.state.Load() == before {
		t.Error("another session did not become the target")
	}
}
