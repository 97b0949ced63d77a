package front

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// TestPeerHasRead asks about connections of both families, as their other ends read, and go.
func TestPeerHasRead(t *testing.T) {
	for _, at := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(at, func(t *testing.T) {
			l, err := net.Listen("tcp", at)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			ask := func(c *net.TCPConn, n int, want bool) {
				t.Helper()
				if read, known := peerHasRead(c, n); read != want || !known {
					t.Errorf("%d bytes read: %v, known: %v; want %v", n, read, known, want)
				}
			}
			c := dialFront(t, l.Addr().String())
			c.Write(make([]byte, 1000))
			ask(c, 1000, false) // nobody has accepted it
			peer, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer peer.Close()
			read := func(n int) {
				t.Helper()
				if _, err := io.ReadFull(peer, make([]byte, n)); err != nil {
					t.Fatal(err)
				}
			}
			ask(c, 1000, false)
			read(400)
			ask(c, 400, true)
			ask(c, 1000, false)
			read(600)
			ask(c, 1000, true)
			ask(c, 1001, false) // it is still on its way
			peer.Write([]byte("x"))
			c.Write([]byte("y"))
			ask(c, 1001, false)
			reset(peer.(*net.TCPConn))
			ask(c, 1001, true)
		})
	}
}

// TestFirstWindow has a client speak late and much: the core finds no more than it can take with
// its first read, and all the rest after that.
func TestFirstWindow(t *testing.T) {
	message := bytes.Repeat([]byte("0123456789abcdef"), 300<<10/16)
	for _, test := range []struct {
		name  string
		early int // sent by the client before the front reaches the core
		want  int // the most that waits for the core; 0: no bound
	}{
		{"request alone", 0, firstWindow},
		{"with the first bytes", 16, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			asked, got := make(chan struct{}), make(chan []byte, 1)
			k := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
				succeed(c)
				close(asked)
				// The client's bytes are on their way, and more than the limit unless the front
				// holds them back.
				if n := waiting(t, c.(*net.TCPConn), firstWindow); test.want > 0 && n != test.want {
					t.Errorf("%d bytes wait for the core, want %d", n, test.want)
				} else if test.want == 0 && n <= firstWindow {
					t.Errorf("%d bytes wait for the core, want more", n)
				}
				all := make([]byte, len(message))
				n, _ := io.ReadFull(c, all)
				got <- all[:n]
				io.WriteString(c, "thanks")
			})
			f := openFront(t, nil)
			f.SetTarget(k.target(1))
			var c *net.TCPConn
			if test.early > 0 {
				var err error
				if c, err = dialAlong(f, "192.0.2.1:80", message[:test.early]); err != nil {
					t.Fatal(err)
				}
				defer c.Close()
			} else {
				c = mustDial(t, f, "192.0.2.1:80")
			}
			<-asked
			if _, err := c.Write(message[test.early:]); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(<-got, message) {
				t.Error("other bytes")
			}
			hear(t, c, "thanks")
		})
	}
}

// waiting returns how many bytes have come for c that nobody has read, once there are n and, a
// little later, perhaps more.
func waiting(t *testing.T, c *net.TCPConn, n int) (got int) {
	rc, err := c.SyscallConn()
	if err != nil {
		t.Error(err)
		return 0
	}
	count := func() int {
		rc.Control(func(fd uintptr) { got, _ = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
		return got
	}
	for deadline := time.Now().Add(patience); count() < n && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond)
	}
	time.Sleep(50 * time.Millisecond)
	return count()
}

// TestFirstWindowOfDeadCore ends the core while the front holds bytes back: neither the writer nor
// the front hangs.
func TestFirstWindowOfDeadCore(t *testing.T) {
	checkLeaks(t)
	asked := make(chan struct{})
	k := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
		succeed(c)
		close(asked)
		waiting(t, c.(*net.TCPConn), firstWindow)
		reset(c.(*net.TCPConn))
	})
	f := openFront(t, nil)
	f.SetTarget(k.target(1))
	c := mustDial(t, f, "192.0.2.1:80")
	<-asked
	c.Write(make([]byte, 300<<10))
	if _, err := io.Copy(io.Discard, c); err == nil {
		t.Error("an end; a reset would be right")
	}
}

// TestFirstWindowOfClosedFront closes the front while it holds bytes back from a core that does not
// read.
func TestFirstWindowOfClosedFront(t *testing.T) {
	checkLeaks(t)
	asked, over := make(chan struct{}), make(chan struct{})
	defer close(over)
	k := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
		succeed(c)
		close(asked)
		<-over
	})
	f := openFront(t, nil)
	f.SetTarget(k.target(1))
	c := mustDial(t, f, "192.0.2.1:80")
	<-asked
	c.Write(make([]byte, 300<<10))
	eventually(t, "the front holds", func() bool { return f.Counters(1).UpBytes == firstWindow })
	f.Close()
}
