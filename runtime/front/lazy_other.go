//go:build !unix

package front

import (
	"net"
	"net/netip"
	"syscall"
)

// lazyReader is the plain form for systems without non-blocking reads on a raw descriptor: it holds
// its buffer while it waits.
type lazyReader struct {
	conn  syscall.Conn
	pools *pools
}

func newLazyReader(p *pools, c syscall.Conn) (*lazyReader, error) {
	return &lazyReader{c, p}, nil
}

func newLazyPacketReader(p *pools, c *net.UDPConn) (*lazyReader, error) {
	return newLazyReader(p, c)
}

func (r *lazyReader) read(size int) (*buffer, int, error) {
	b := r.pools.get(size)
	n, err := r.conn.(net.Conn).Read(b.b)
	if err != nil {
		b.release()
		return nil, 0, err
	}
	return b, n, nil
}

func (r *lazyReader) poll() (*buffer, int) { return nil, 0 }

func (r *lazyReader) readFrom(size int) (*buffer, int, netip.AddrPort, error) {
	b := r.pools.get(size)
	n, from, err := r.conn.(*net.UDPConn).ReadFromUDPAddrPort(b.b)
	if err != nil {
		b.release()
		return nil, 0, netip.AddrPort{}, err
	}
	return b, n, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), nil
}
