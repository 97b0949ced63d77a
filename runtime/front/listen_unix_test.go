//go:build unix

package front

import (
	"context"
	"errors"
	"net"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// sharingListener listens as the core does, with SO_REUSEPORT.
func sharingListener(addr string) (net.Listener, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	return lc.Listen(context.Background(), "tcp", addr)
}

// A port that the front holds is the front's alone, and one that another program holds is taken,
// also if it asks to share it.
func TestPortsAreExclusive(t *testing.T) {
	f := New(Options{SOCKS: "127.0.0.1:0"})
	if err := f.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	socks, _ := f.Addresses()
	if l, err := sharingListener(socks); err == nil {
		l.Close()
		t.Error("another listener shares our port")
	}
	f.Close()
	l, err := sharingListener("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f = New(Options{SOCKS: l.Addr().String()})
	if err := f.Open(t.Context()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("opening a port that another holds in order to share it: %v", err)
		f.Close()
	}
}
