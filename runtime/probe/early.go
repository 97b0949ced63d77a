package probe

import (
	"context"
	"fmt"
	"net"
	"sync/atomic"

	"github.com/xrat-tray/xrat/runtime/mark"
	"github.com/xrat-tray/xrat/runtime/socks5"
)

// earlyConn is a connection through a SOCKS5 proxy. Greeting, login and request are sent along with
// the first bytes that are written, and their answers are read before the first ones that are read.
// That saves three round trips, and a core that waits for first bytes only for a moment gets them
// in time, however busy this machine is. The other side cannot speak first on it. One goroutine may
// write while another one reads.
type earlyConn struct {
	net.Conn
	opening  []byte // to be sent; nil once it is
	auth     bool
	answered bool
	unread   []byte // what came along with the answers to the opening
	first    atomic.Uint64
	came     *progress // nil: nobody asks
}

// mark is that of what was written first; 0: nothing was.
func (c *earlyConn) mark() mark.Mark { return mark.Mark(c.first.Load()) }

// dialEarly connects to the proxy p, for address.
func dialEarly(ctx context.Context, p Proxy, address string) (*earlyConn, error) {
	opening, err := openingOf(p, address)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return nil, err
	}
	return &earlyConn{Conn: conn, opening: opening, auth: p.User != ""}, nil
}

// openingOf is what a client says up to the request to connect.
func openingOf(p Proxy, address string) ([]byte, error) {
	dest, err := socks5.ParseAddress(address)
	if err != nil || p.tooLong() {
		return nil, fmt.Errorf("%s cannot be said in SOCKS5", address)
	}
	return socks5.AppendRequest(socks5.AppendOpening(nil, p.User, p.Password), socks5.CommandConnect, dest), nil
}

func (c *earlyConn) Write(p []byte) (int, error) {
	if c.opening == nil {
		return c.Conn.Write(p)
	}
	c.first.Store(uint64(mark.Of(p)))
	all := append(c.opening, p...)
	n, err := c.Conn.Write(all)
	n = max(0, n-len(c.opening))
	c.opening = nil
	return n, err
}

func (c *earlyConn) Read(p []byte) (n int, err error) {
	if c.came != nil {
		defer func() { c.came.note(n) }()
	}
	if !c.answered {
		_, rest, err := socks5.ReadReplies(c.Conn, c.auth)
		if err != nil {
			return 0, err
		}
		c.answered, c.unread = true, rest
	}
	if len(c.unread) > 0 {
		n := copy(p, c.unread)
		c.unread = c.unread[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}
