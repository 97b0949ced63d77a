package front

import (
	"io"
	"net"
	"testing"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// Before its reply a core has done nothing; whatever was sent can be sent to the next one, also
// after a half-close.
func TestReplayBeforeTheReply(t *testing.T) {
	f := openFront(t, nil)
	good := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
		succeed(c)
		b, _ := io.ReadAll(c)
		c.Write(b)
	})
	bad := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
		io.ReadFull(c, make([]byte, 4))
		c.Write([]byte{socks5.Version, socks5.MethodPassword, socks5.VersionPassword}) // dies in the middle of its replies
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
	k := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
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
	k := startFakeCore(t, func(c net.Conn, _ socks5.Address) {})
	f.SetTarget(k.target(1))
	c := mustDial(t, f, "a.invalid:1")
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Fatal("an answer from nowhere")
	}
	if n := k.accepted.Load(); n > maxReplays+1 {
		t.Errorf("the core was asked %d times", n)
	}
}
