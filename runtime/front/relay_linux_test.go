package front

import (
	"bytes"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// Once the server has ended, nothing that the client does or leaves undone may cost it the rest of
// the answer. The answer is in a send buffer of the front, or on the way there; a reset would throw
// it away.
func TestAnswerSurvivesItsEnd(t *testing.T) {
	answer := bytes.Repeat([]byte("0123456789abcdef"), 8<<10)
	// talk sends a byte that reaches the ended core, which answers with a reset, and one that meets
	// that reset.
	talk := func(t *testing.T, f *Front, c *net.TCPConn) {
		c.Write([]byte("x"))
		eventually(t, "the first byte is on its way to the core", func() bool { return f.Counters(1).UpBytes == 1 })
		c.Write([]byte("y"))
		c.CloseWrite()
	}
	for _, test := range []struct {
		name  string
		quiet time.Duration
		// sendBuffer is what the front's send buffer has: enough for the whole answer, so that the
		// front sees its end, or not.
		sendBuffer int
		finished   bool
		act        func(t *testing.T, f *Front, c *net.TCPConn)
	}{
		{"client pauses", 50 * time.Millisecond, 2 * len(answer), true, func(*testing.T, *Front, *net.TCPConn) {}},
		{"client talks on", halfClosed, 2 * len(answer), true, talk},
		{"client talks before the front has seen the end", halfClosed, 4 << 10, false, talk},
	} {
		t.Run(test.name, func(t *testing.T) {
			checkLeaks(t)
			f := openFront(t, nil)
			f.halfClosed = test.quiet
			begin, ended := make(chan struct{}), make(chan struct{})
			k := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
				defer close(ended)
				succeed(c)
				<-begin
				c.Write(answer)
				for deadline := time.Now().Add(patience); unacknowledged(c) != 0; time.Sleep(time.Millisecond) {
					if time.Now().After(deadline) {
						t.Error("the front's end does not take the whole answer")
						return
					}
				}
				c.Close()
			})
			f.SetTarget(k.target(1))
			c := dialSlowly(t, f)
			f.mu.Lock()
			for accepted := range f.clients {
				accepted.SetWriteBuffer(test.sendBuffer)
			}
			f.mu.Unlock()
			var u *upstream
			eventually(t, "the front has reached the core", func() bool {
				u = theUpstream(f)
				return u != nil && u.one.tcp.Load() != nil
			})
			u.one.tcp.Load().SetReadBuffer(2 * len(answer))
			close(begin)
			<-ended
			if test.finished {
				eventually(t, "the front has seen the end", func() bool { return u.downEnded.Load() })
			}
			test.act(t, f, c)
			if test.finished {
				eventually(t, "the front is done with the connection", func() bool { return f.Counters(1).Open == 0 })
			} else if u.downEnded.Load() {
				t.Fatal("the answer left room for its end")
			}
			got, err := io.ReadAll(c)
			if err != nil || !bytes.Equal(got, answer) {
				t.Errorf("%d of %d bytes, %v", len(got), len(answer), err)
			}
		})
	}
}

// dialSlowly makes a tunnel with a client that can take little before it reads.
func dialSlowly(t *testing.T, f *Front) *net.TCPConn {
	t.Helper()
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<10) })
	}}
	socks, _ := f.Addresses()
	conn, err := d.Dial("tcp", socks)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	conn.Write(askConnect(t, "", "", "192.0.2.1:80"))
	hear(t, conn, "\x05\x00"+string(socks5.AppendReply(nil, socks5.ReplySucceeded, netip.AddrPort{})))
	return conn.(*net.TCPConn)
}

// unacknowledged returns how many bytes the other end's kernel has not taken yet, or -1.
func unacknowledged(c net.Conn) int {
	n := -1
	if rc, err := c.(*net.TCPConn).SyscallConn(); err == nil {
		rc.Control(func(fd uintptr) {
			if v, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
				n = v
			}
		})
	}
	return n
}

// theUpstream returns the one user of the ledger 1, or nil.
func theUpstream(f *Front) *upstream {
	s := f.ledger(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	for user := range s.users {
		return user.(*leg).u
	}
	return nil
}
