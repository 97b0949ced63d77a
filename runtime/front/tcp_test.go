package front

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

func TestConnectCarriesBothWays(t *testing.T) {
	checkLeaks(t)
	f := openFront(t, nil)
	var seen atomic.Value
	k := startFakeCore(t, func(c net.Conn, dest address) { seen.Store(dest.String()); echoServe(c, dest) })
	f.SetTarget(k.target(7))
	for _, dest := range []string{"example.invalid:443", "192.0.2.1:80", "[2001:db8::1]:8080"} {
		c := mustDial(t, f, dest)
		speak(t, c, "hello", "hello")
		if got := strings.ReplaceAll(seen.Load().(string), `"`, ""); got != dest {
			t.Errorf("the core was asked for %s, want %s", got, dest)
		}
		c.Close()
	}
	if left := drain(f, 7, patience); left != 0 {
		t.Errorf("%d connections left", left)
	}
	if got, want := f.Counters(7), (Counters{15, 15, 3, 0}); got != want {
		t.Errorf("counters %+v, want %+v", got, want)
	}
	f.SetTarget(nil)
	f.Forget(7)
	if got := f.Counters(7); got != (Counters{}) {
		t.Errorf("after Forget: %+v", got)
	}
	if got, want := f.Total(), (Counters{15, 15, 3, 0}); got != want {
		t.Errorf("total %+v, want %+v", got, want)
	}
}

// A client may send everything at once, without waiting for a single answer.
func TestOptimisticClient(t *testing.T) {
	f := openFront(t, func(o *Options) { o.Username, o.Password = "me", "pw" })
	k := startFakeCore(t, echoServe)
	f.SetTarget(k.target(1))
	socks, _ := f.Addresses()
	c := dialFront(t, socks)
	msg := appendGreeting(nil, "me", "pw")
	msg = append(msg, socks5, commandConnect, 0, atypIPv4, 192, 0, 2, 1, 0, 80)
	msg = append(msg, "early"...)
	c.Write(msg)
	hear(t, c, "\x05\x02\x01\x00\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00early")
}

func TestServerSpeaksFirst(t *testing.T) {
	f := openFront(t, nil)
	k := startFakeCore(t, func(c net.Conn, _ address) {
		succeed(c)
		io.WriteString(c, "2") // one byte alone must get through
		io.Copy(c, c)
	})
	f.SetTarget(k.target(1))
	c := mustDial(t, f, "mail.invalid:25")
	hear(t, c, "2")
	speak(t, c, "EHLO", "EHLO")
}

func TestHalfClose(t *testing.T) {
	f := openFront(t, nil)
	t.Run("client first", func(t *testing.T) {
		k := startFakeCore(t, func(c net.Conn, _ address) {
			succeed(c)
			got, _ := io.ReadAll(c)
			fmt.Fprintf(c, "got %d", len(got))
		})
		f.SetTarget(k.target(1))
		c := mustDial(t, f, "a.invalid:1")
		io.WriteString(c, "12345")
		c.CloseWrite()
		got, err := io.ReadAll(c)
		if string(got) != "got 5" || err != nil {
			t.Fatalf("%q, %v", got, err)
		}
	})
	t.Run("server first", func(t *testing.T) {
		got := make(chan string, 1)
		k := startFakeCore(t, func(c net.Conn, _ address) {
			succeed(c)
			io.WriteString(c, "bye")
			c.(*net.TCPConn).CloseWrite()
			b, _ := io.ReadAll(c)
			got <- string(b)
		})
		f.SetTarget(k.target(1))
		c := mustDial(t, f, "a.invalid:1")
		if b, err := io.ReadAll(c); string(b) != "bye" || err != nil {
			t.Fatalf("%q, %v", b, err)
		}
		io.WriteString(c, "still here")
		c.CloseWrite()
		if s := <-got; s != "still here" {
			t.Fatalf("the server got %q", s)
		}
	})
}

func TestResetIsPassedOn(t *testing.T) {
	f := openFront(t, nil)
	t.Run("by the server", func(t *testing.T) {
		k := startFakeCore(t, func(c net.Conn, _ address) {
			succeed(c)
			io.WriteString(c, "x")
			io.ReadFull(c, make([]byte, 1))
			reset(c.(*net.TCPConn))
		})
		f.SetTarget(k.target(1))
		c := mustDial(t, f, "a.invalid:1")
		hear(t, c, "x")
		io.WriteString(c, "y")
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("read: %v, want a reset", err)
		}
	})
	t.Run("by the client", func(t *testing.T) {
		ended := make(chan error, 1)
		k := startFakeCore(t, func(c net.Conn, _ address) {
			succeed(c)
			io.WriteString(c, "x")
			_, err := c.Read(make([]byte, 1))
			ended <- err
		})
		f.SetTarget(k.target(1))
		c := mustDial(t, f, "a.invalid:1")
		hear(t, c, "x")
		reset(c)
		if err := <-ended; !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("the server saw %v, want a reset", err)
		}
	})
}

func TestWaitsForATarget(t *testing.T) {
	f := openFront(t, nil)
	k := startFakeCore(t, echoServe)
	c := make(chan net.Conn, 1)
	go func() {
		conn, err := dialSOCKS(f, "a.invalid:1")
		if err != nil {
			t.Error(err)
		}
		c <- conn
	}()
	eventually(t, "one connection waits", func() bool { return f.Waiting() == 1 })
	f.SetTarget(k.target(1))
	conn := <-c
	defer conn.Close()
	speak(t, conn, "hello", "hello")
	if f.Waiting() != 0 {
		t.Error("still counted as waiting")
	}
}

func TestWaitEnds(t *testing.T) {
	f := openFront(t, func(o *Options) { o.Wait = 50 * time.Millisecond })
	socks, web := f.Addresses()
	c := dialFront(t, socks)
	c.Write([]byte{5, 1, 0, 5, 1, 0, 1, 192, 0, 2, 1, 0, 80})
	hear(t, c, "\x05\x00\x05\x01\x00\x01\x00\x00\x00\x00\x00\x00")
	for _, request := range []string{
		"CONNECT a.invalid:443 HTTP/1.1\r\nHost: a.invalid:443\r\n\r\n",
		"GET http://a.invalid/ HTTP/1.1\r\nHost: a.invalid\r\n\r\n",
	} {
		c := dialFront(t, web)
		io.WriteString(c, request)
		hear(t, c, "HTTP/1.1 503 Service Unavailable\r\n")
		b := make([]byte, 4096)
		n, _ := c.Read(b)
		if !strings.Contains(string(b[:n]), "xrat: no working server") {
			t.Errorf("answer to %.8s: %q", request, b[:n])
		}
	}
}

// A core that is gone refuses the dial; the connection waits for the next one, or for the same to come back.
func TestRefusedDialIsRetried(t *testing.T) {
	for _, same := range []bool{false, true} {
		t.Run(fmt.Sprintf("same port %v", same), func(t *testing.T) {
			f := openFront(t, nil)
			dead := startFakeCore(t, echoServe)
			dead.kill()
			f.SetTarget(dead.target(1))
			c := make(chan net.Conn, 1)
			go func() {
				conn, err := dialSOCKS(f, "a.invalid:1")
				if err != nil {
					t.Error(err)
				}
				c <- conn
			}()
			if s := <-f.Signals(); s != (Signal{1, DialRefused}) {
				t.Errorf("signal %+v", s)
			}
			if same {
				startFakeCoreAt(t, dead.l.Addr().String(), echoServe)
			} else {
				f.SetTarget(startFakeCore(t, echoServe).target(2))
			}
			conn := <-c
			defer conn.Close()
			speak(t, conn, "hello", "hello")
			if n := f.Counters(1).Connections; !same && n != 0 {
				t.Errorf("the dead core is credited with %d connections", n)
			}
		})
	}
}

// Before its reply a core has done nothing; whatever was sent can be sent to the next one, also after a half-close.
func TestReplayBeforeTheReply(t *testing.T) {
	f := openFront(t, nil)
	good := startFakeCore(t, func(c net.Conn, _ address) {
		succeed(c)
		b, _ := io.ReadAll(c)
		c.Write(b)
	})
	bad := startFakeCore(t, func(c net.Conn, _ address) {
		io.ReadFull(c, make([]byte, 4))
		c.Write([]byte{socks5, methodPassword, passwordVersion}) // dies in the middle of its replies
		f.SetTarget(good.target(2))
		reset(c.(*net.TCPConn))
	})
	f.SetTarget(bad.target(1))
	c := mustDial(t, f, "a.invalid:1")
	io.WriteString(c, "POST")
	c.CloseWrite()
	got, err := io.ReadAll(c)
	if string(got) != "POST" || err != nil {
		t.Fatalf("%q, %v", got, err)
	}
}

// After its reply a core may have passed things on: no replay, whatever happens.
func TestNoReplayAfterTheReply(t *testing.T) {
	f := openFront(t, nil)
	k := startFakeCore(t, func(c net.Conn, _ address) {
		succeed(c)
		io.ReadFull(c, make([]byte, 4))
	})
	f.SetTarget(k.target(1))
	c := mustDial(t, f, "a.invalid:1")
	io.WriteString(c, "POST")
	if b, err := io.ReadAll(c); len(b) > 0 || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	if n := k.accepted.Load(); n != 1 {
		t.Errorf("the core was asked %d times", n)
	}
	if s := <-f.Signals(); s != (Signal{1, ClosedEmpty}) {
		t.Errorf("signal %+v", s)
	}
}

// A core that never replies must not be asked for ever.
func TestReplayIsBounded(t *testing.T) {
	f := openFront(t, nil)
	k := startFakeCore(t, func(c net.Conn, _ address) {})
	f.SetTarget(k.target(1))
	c := mustDial(t, f, "a.invalid:1")
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatal("an answer from nowhere")
	}
	if n := k.accepted.Load(); n > maxReplays+1 {
		t.Errorf("the core was asked %d times", n)
	}
}

// A hanging dial must not outlive its target. The accept queue of a core that is stopped is full at some point; a listener
// that is never accepted from, with a queue of one, stands in for it.
func TestHangingDialIsGivenUp(t *testing.T) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", sa.(*syscall.SockaddrInet4).Port)
	for range 4 { // fill the queue
		d := net.Dialer{Timeout: 100 * time.Millisecond}
		if c, err := d.Dial("tcp", addr); err == nil {
			defer c.Close()
		}
	}
	f := openFront(t, nil)
	f.SetTarget(&Target{1, addr, "u", "p"})
	c := make(chan net.Conn, 1)
	go func() {
		conn, err := dialSOCKS(f, "a.invalid:1")
		if err != nil {
			t.Error(err)
		}
		c <- conn
	}()
	eventually(t, "the dial hangs", func() bool { return f.Counters(1).Open == 1 })
	f.SetTarget(startFakeCore(t, echoServe).target(2))
	conn := <-c
	defer conn.Close()
	speak(t, conn, "hello", "hello")
}

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
	f := openFront(t, nil)
	k := startFakeCore(t, echoServe)
	f.SetTarget(k.target(1))
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

func TestRealCore(t *testing.T) {
	f := openFront(t, nil)
	k := startRealCore(t)
	f.SetTarget(k.target(1))
	body := make([]byte, 10<<20)
	rand.Read(body)
	sum := sha256.Sum256(body)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // sends the body, checks what comes back
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				go c.Write(body)
				got := make([]byte, len(body))
				io.ReadFull(c, got)
				s := sha256.Sum256(got)
				c.Write(s[:])
			}()
		}
	}()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			c, err := dialSOCKS(f, l.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			go c.Write(body)
			got := make([]byte, len(body)+len(sum))
			if _, err := io.ReadFull(c, got); err != nil {
				t.Error(err)
				return
			}
			if s := sha256.Sum256(got[:len(body)]); s != sum || !bytes.Equal(got[len(body):], sum[:]) {
				t.Error("the bytes are not the same")
			}
		})
	}
	wg.Wait()
	if c := f.Counters(1); c.UpBytes != 4*uint64(len(body)) || c.DownBytes != 4*uint64(len(body)+len(sum)) {
		t.Errorf("counters %+v", c)
	}
}

// Slow streams are counted while they run, not at their end.
func TestCountersAreLive(t *testing.T) {
	f := openFront(t, nil)
	k := startFakeCore(t, echoServe)
	f.SetTarget(k.target(1))
	c := mustDial(t, f, "a.invalid:1")
	for i := range uint64(5) {
		speak(t, c, "x", "x")
		eventually(t, "it is counted", func() bool {
			got := f.Counters(1)
			return got.UpBytes == i+1 && got.DownBytes == i+1 && got.Open == 1
		})
	}
}
