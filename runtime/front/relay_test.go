package front

import (
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// An end in one direction is passed on and leaves the other one open, whoever ends first.
func TestHalfClose(t *testing.T) {
	f := openFront(t, nil)
	t.Run("client first", func(t *testing.T) {
		k := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
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
		k := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
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

// A reset by either side reaches the other as a reset.
func TestResetIsPassedOn(t *testing.T) {
	f := openFront(t, nil)
	t.Run("by the server", func(t *testing.T) {
		k := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
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
		k := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
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
