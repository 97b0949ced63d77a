//go:build unix

package front

import (
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lazyReader reads from a socket without holding a buffer while there is nothing to read: the
// buffer is borrowed for each try and given back when the try comes too early. One goroutine at a
// time may use it.
type lazyReader struct {
	rc    syscall.RawConn
	pools *pools
	try   func(fd uintptr) bool

	size int
	buf  *buffer
	n    int
	from unix.Sockaddr
	err  error
	late error // what poll met, for the next read
}

func newLazyReader(p *pools, c syscall.Conn) (*lazyReader, error) {
	rc, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	r := &lazyReader{rc: rc, pools: p}
	r.try = r.tryRead
	return r, nil
}

// newLazyPacketReader is for readFrom.
func newLazyPacketReader(p *pools, c *net.UDPConn) (*lazyReader, error) {
	r, err := newLazyReader(p, c)
	if err == nil {
		r.try = r.tryReceive
	}
	return r, err
}

// read waits for data and returns it in a buffer of the given size, which the caller releases. The
// end of a stream is io.EOF; with an error there is no buffer.
func (r *lazyReader) read(size int) (*buffer, int, error) {
	if r.late != nil {
		return nil, 0, r.late
	}
	r.size = size
	err := r.rc.Read(r.try)
	b, n := r.buf, r.n
	r.buf = nil
	if err == nil {
		err = r.err
	}
	if err != nil {
		if b != nil {
			b.release()
		}
		return nil, 0, err
	}
	return b, n, nil
}

// poll returns what is there at this moment, in a small buffer that the caller releases, or nil.
func (r *lazyReader) poll() (*buffer, int) {
	r.size = smallBuffer
	err := r.rc.Read(func(fd uintptr) bool { r.try(fd); return true })
	b, n := r.buf, r.n
	r.buf = nil
	if b == nil {
		return nil, 0
	}
	if err == nil {
		err = r.err
	}
	if err != nil {
		r.late = err
		b.release()
		return nil, 0
	}
	return b, n
}

// readFrom is read for datagrams, with their sender. The reader must be of newLazyPacketReader.
func (r *lazyReader) readFrom(size int) (*buffer, int, netip.AddrPort, error) {
	b, n, err := r.read(size)
	var from netip.AddrPort
	switch sa := r.from.(type) {
	case *unix.SockaddrInet4:
		from = netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		from = netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	r.from = nil
	return b, n, from, err
}

func (r *lazyReader) tryRead(fd uintptr) bool {
	b := r.pools.get(r.size)
	for {
		n, err := unix.Read(int(fd), b.b)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			b.release()
			return false
		case err != nil:
			n, err = 0, os.NewSyscallError("read", err)
		case n == 0:
			err = io.EOF
		}
		r.buf, r.n, r.err = b, n, err
		return true
	}
}

func (r *lazyReader) tryReceive(fd uintptr) bool {
	b := r.pools.get(r.size)
	for {
		n, from, err := unix.Recvfrom(int(fd), b.b, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.EAGAIN:
			b.release()
			return false
		case err != nil:
			n, err = 0, os.NewSyscallError("recvfrom", err)
		}
		r.buf, r.n, r.from, r.err = b, n, from, err
		return true
	}
}
