package front

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes and offsets of sock_diag(7): struct inet_diag_req_v2 and inet_diag_msg, in both of which the identity of the socket
// follows after some bytes: ports and addresses in network byte order, interface, cookie.
const (
	diagRequestSize = 56
	diagRequestID   = 8
	diagReplySize   = 72
	diagState       = 1
	diagReadQueue   = 56

	diagPeerPort = 2 // in the identity, as the following
	diagSource   = 4
	diagPeer     = 20
	diagCookie   = 40

	diagInfo = 2 // INET_DIAG_INFO: the reply carries a struct tcp_info

	// Of net/tcp_states.h: a socket that no longer has our connection, or never had it.
	tcpTimeWait, tcpClose, tcpListen = 6, 7, 10
)

// errPeerGone says that nobody has the other end of a connection.
var errPeerGone = errors.New("no such socket")

// peerHasRead tells whether the other end of c, in this machine, has read the first n bytes of c, and whether the system could
// tell. An end that is gone has read all it ever will.
func peerHasRead(c *net.TCPConn, n int) (read, known bool) {
	received, queued, err := askPeer(c)
	if errors.Is(err, errPeerGone) {
		return true, true
	}
	if err != nil {
		return false, false
	}
	return received >= uint64(n) && received-uint64(queued) >= uint64(n), true
}

// askPeer asks the kernel how many bytes the socket at the other end of c has received, and how many of these its owner has
// not read yet.
func askPeer(c *net.TCPConn) (received uint64, queued uint32, err error) {
	ours, ok1 := c.LocalAddr().(*net.TCPAddr)
	theirs, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return 0, 0, errPeerGone
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return 0, 0, err
	}
	request := diagRequest(theirs.AddrPort(), ours.AddrPort())
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, 0, err
	}
	var reply [4 << 10]byte
	n, _, err := unix.Recvfrom(fd, reply[:], 0)
	if err != nil {
		return 0, 0, err
	}
	messages, err := syscall.ParseNetlinkMessage(reply[:n])
	if err != nil || len(messages) == 0 {
		return 0, 0, errors.Join(err, unix.EBADMSG)
	}
	m := messages[0]
	if m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4 {
		if code := -int32(binary.NativeEndian.Uint32(m.Data)); code != int32(unix.ENOENT) {
			return 0, 0, unix.Errno(code)
		}
		return 0, 0, errPeerGone
	}
	return readDiag(m.Data)
}

// diagRequest asks for the one socket with these addresses.
func diagRequest(own, peer netip.AddrPort) []byte {
	order := binary.NativeEndian
	b := make([]byte, unix.SizeofNlMsghdr+diagRequestSize)
	order.PutUint32(b[0:], uint32(len(b)))
	order.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	order.PutUint16(b[6:], unix.NLM_F_REQUEST)
	body := b[unix.SizeofNlMsghdr:]
	from, to := own.Addr().Unmap(), peer.Addr().Unmap()
	body[0], body[1], body[2] = unix.AF_INET6, unix.IPPROTO_TCP, 1<<(diagInfo-1)
	if from.Is4() {
		body[0] = unix.AF_INET
	}
	order.PutUint32(body[4:], ^uint32(0)) // in any state
	id := body[diagRequestID:]
	binary.BigEndian.PutUint16(id, own.Port())
	binary.BigEndian.PutUint16(id[diagPeerPort:], peer.Port())
	copy(id[diagSource:], from.AsSlice())
	copy(id[diagPeer:], to.AsSlice())
	order.PutUint64(id[diagCookie:], ^uint64(0)) // none
	return b
}

// readDiag reads a struct inet_diag_msg and the struct tcp_info behind it.
func readDiag(b []byte) (received uint64, queued uint32, err error) {
	if len(b) < diagReplySize {
		return 0, 0, unix.EBADMSG
	}
	switch b[diagState] {
	case tcpTimeWait, tcpClose, tcpListen:
		return 0, 0, errPeerGone
	}
	queued = binary.NativeEndian.Uint32(b[diagReadQueue:])
	const at = unsafe.Offsetof(unix.TCPInfo{}.Bytes_received)
	for b = b[diagReplySize:]; len(b) >= unix.SizeofRtAttr; {
		n, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if n < unix.SizeofRtAttr || n > len(b) {
			break
		}
		if info := b[unix.SizeofRtAttr:n]; kind == diagInfo && len(info) >= int(at)+8 {
			return binary.NativeEndian.Uint64(info[at:]), queued, nil
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return 0, 0, unix.EBADMSG
}
