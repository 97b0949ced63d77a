package front

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// socks4 is the first byte of the older protocol.
const socks4 = 0x04

var errTooLong = errors.New("handshake is too long")

// intake collects what a client says before its destination is known.
type intake struct {
	conn  *net.TCPConn
	pools *pools
	buf   *buffer
	data  []byte // read and not yet taken, within buf
}

// newIntake reads the client's first bytes. When there are none it closes c and returns nil.
func (f *Front) newIntake(c *net.TCPConn) *intake {
	c.SetReadDeadline(time.Now().Add(handshakeTimeout))
	b := f.pools.get(smallBuffer)
	in := &intake{c, f.pools, b, b.b[:0]}
	if err := in.fill(); err != nil {
		in.release()
		c.Close()
		return nil
	}
	return in
}

func (in *intake) release() {
	in.buf.release()
	in.data = nil
}

// fill reads more.
func (in *intake) fill() error {
	if len(in.data) == cap(in.data) {
		b := in.buf
		if len(in.data) == len(b.b) {
			if len(b.b) == largeBuffer {
				return errTooLong
			}
			b = in.pools.get(largeBuffer)
		}
		n := copy(b.b, in.data)
		if b != in.buf {
			in.buf.release()
			in.buf = b
		}
		in.data = b.b[:n]
	}
	n, err := in.conn.Read(in.data[len(in.data):cap(in.data)])
	in.data = in.data[:len(in.data)+n]
	if n > 0 {
		return nil
	}
	return err
}

// take reads until parse has what it needs, and takes that away.
func (in *intake) take(parse func(b []byte) (n int, err error)) error {
	for {
		n, err := parse(in.data)
		if err == nil {
			in.data = in.data[n:]
			return nil
		}
		if !errors.Is(err, socks5.ErrShort) {
			return err
		}
		if err := in.fill(); err != nil {
			return err
		}
	}
}

// serveAny serves a client of the listener that speaks both protocols. The first byte tells them
// apart.
func (f *Front) serveAny(ctx context.Context, c *net.TCPConn) {
	in := f.newIntake(c)
	if in == nil {
		return
	}
	switch in.data[0] {
	case socks5.Version:
		f.serveSOCKS(ctx, in)
	case socks4:
		// The whole protocol has a version of its own for "no": zero, 91, and six bytes that do not
		// matter.
		in.release()
		refuse(c, []byte{0, 91, 0, 0, 0, 0, 0, 0})
	default:
		f.serveHTTPIntake(ctx, in)
	}
}

// refuse says msg and closes. The client may still be sending; closing with unread bytes would be a
// reset, and could destroy msg on its way.
func refuse(c *net.TCPConn, msg []byte) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	if _, err := c.Write(msg); err != nil {
		return
	}
	c.CloseWrite()
	var scrap [512]byte
	for range 128 {
		if _, err := c.Read(scrap[:]); err != nil {
			return
		}
	}
}
