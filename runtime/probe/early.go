package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
)

// errRefused is wrapped by what the SOCKS proxy refuses.
var errRefused = errors.New("the proxy refuses")

// earlyConn is a connection through a SOCKS5 proxy. Greeting, login and request
// are sent along with the first bytes that are written, and their answers are
// read before the first ones that are read. That saves three turns, and a core
// that waits for first bytes only for a moment gets them in time, however busy
// this machine is. The other side cannot speak first on it. One goroutine may
// write while another one reads.
type earlyConn struct {
	net.Conn
	opening  []byte // to be sent; nil once it is
	login    bool
	answered bool
}

// dialEarly connects to the proxy p, for address.
func dialEarly(ctx context.Context, p Proxy, address string) (net.Conn, error) {
	opening, err := openingOf(p, address)
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", p.Address)
	if err != nil {
		return nil, err
	}
	return &earlyConn{Conn: conn, opening: opening, login: p.User != ""}, nil
}

// The kinds of addresses in RFC 1928 section 5, and the command to connect.
const (
	addressIPv4   = 0x01
	addressName   = 0x03
	addressIPv6   = 0x04
	commandTCP    = 0x01
	replySucceeds = 0x00
)

// openingOf is what a client says up to the request to connect (RFC 1928, RFC 1929).
func openingOf(p Proxy, address string) ([]byte, error) {
	host, portText, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil || len(host) > 255 || len(p.User) > 255 || len(p.Password) > 255 {
		return nil, fmt.Errorf("%s cannot be said in SOCKS5", address)
	}
	opening := []byte{socksVersion, 1, methodNone}
	if p.User != "" {
		opening = append(append([]byte{socksVersion, 1, methodPassword, passwordVersion, byte(len(p.User))}, p.User...), byte(len(p.Password)))
		opening = append(opening, p.Password...)
	}
	opening = append(opening, socksVersion, commandTCP, 0)
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		opening = append(append(opening, addressName, byte(len(host))), host...)
	case ip.Unmap().Is4():
		opening = append(append(opening, addressIPv4), ip.Unmap().AsSlice()...)
	default:
		opening = append(append(opening, addressIPv6), ip.AsSlice()...)
	}
	return append(opening, byte(port>>8), byte(port)), nil
}

func (c *earlyConn) Write(p []byte) (int, error) {
	if c.opening == nil {
		return c.Conn.Write(p)
	}
	all := append(c.opening, p...)
	n, err := c.Conn.Write(all)
	n = max(0, n-len(c.opening))
	c.opening = nil
	return n, err
}

func (c *earlyConn) Read(p []byte) (int, error) {
	if !c.answered {
		if err := c.readAnswers(); err != nil {
			return 0, err
		}
		c.answered = true
	}
	return c.Conn.Read(p)
}

// readAnswers reads what the proxy says to the opening.
func (c *earlyConn) readAnswers() error {
	method := byte(methodNone)
	if c.login {
		method = methodPassword
	}
	answer := make([]byte, 4, 2+255)
	if _, err := io.ReadFull(c.Conn, answer[:2]); err != nil {
		return err
	}
	if answer[0] != socksVersion || answer[1] != method {
		return fmt.Errorf("%w the greeting", errRefused)
	}
	if c.login {
		if _, err := io.ReadFull(c.Conn, answer[:2]); err != nil {
			return err
		}
		if answer[1] != 0 {
			return fmt.Errorf("%w user and password", errRefused)
		}
	}
	if _, err := io.ReadFull(c.Conn, answer[:4]); err != nil {
		return err
	}
	if answer[1] != replySucceeds {
		return fmt.Errorf("%w the connection (code %d)", errRefused, answer[1])
	}
	rest := 0
	switch answer[3] {
	case addressIPv4:
		rest = net.IPv4len + 2
	case addressIPv6:
		rest = net.IPv6len + 2
	case addressName:
		if _, err := io.ReadFull(c.Conn, answer[:1]); err != nil {
			return err
		}
		rest = int(answer[0]) + 2
	default:
		return fmt.Errorf("%w in an answer that is not SOCKS5", errRefused)
	}
	_, err := io.ReadFull(c.Conn, answer[:rest])
	return err
}
