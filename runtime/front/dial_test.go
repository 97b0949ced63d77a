package front

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A connection that comes while there is no target waits, is counted, and goes on when there is
// one.
func TestWaitsForATarget(t *testing.T) {
	f := openFront(t, nil)
	k := startFakeCore(t, echoServe)
	c := dialWaiting(t, f)
	eventually(t, "one connection waits", func() bool { return f.Waiting() == 1 })
	f.SetTarget(k.target(1))
	conn := <-c
	defer conn.Close()
	speak(t, conn, "hello", "hello")
	if f.Waiting() != 0 {
		t.Error("still counted as waiting")
	}
}

// A connection that has waited in vain is refused in the words of its protocol, and people are told
// what to do.
func TestWaitEnds(t *testing.T) {
	f := openFront(t, func(o *Options) { o.Wait = 50 * time.Millisecond })
	socks, web := f.Addresses()
	c := dialFront(t, socks)
	c.Write(askConnect(t, "", "", "192.0.2.1:80"))
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

// A core that is gone refuses the dial; the connection waits for the next one, or for the same to
// come back.
func TestRefusedDialIsRetried(t *testing.T) {
	for _, same := range []bool{false, true} {
		t.Run(fmt.Sprintf("same port %v", same), func(t *testing.T) {
			f := openFront(t, nil)
			dead := startFakeCore(t, echoServe)
			dead.kill()
			f.SetTarget(dead.target(1))
			c := dialWaiting(t, f)
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

// A hanging dial must not outlive its target. The accept queue of a core that is stopped is full at
// some point; a listener that is never accepted from, with a queue of one, stands in for it.
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
	f.SetTarget(&Target{ID: 1, Address: addr, User: "u", Password: "p"})
	c := dialWaiting(t, f)
	eventually(t, "the dial hangs", func() bool { return f.Counters(1).Open == 1 })
	f.SetTarget(startFakeCore(t, echoServe).target(2))
	conn := <-c
	defer conn.Close()
	speak(t, conn, "hello", "hello")
}
