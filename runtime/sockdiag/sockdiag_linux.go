package sockdiag

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Sizes and offsets of struct inet_diag_req_v2 and inet_diag_msg, in both of which the identity of
// the socket follows after some bytes: ports and addresses in network byte order, interface,
// cookie.
const (
	requestSize = 56
	requestID   = 8
	replySize   = 72
	replyID     = 4
	replyState  = 1
	replyQueue  = 56 // bytes that nobody has read yet
	replyUID    = 64
	replyInode  = 68

	idPeerPort = 2 // in the identity, as the following
	idSource   = 4
	idPeer     = 20
	idCookie   = 40

	info = 2 // INET_DIAG_INFO: the reply carries a struct tcp_info

	// Of net/tcp_states.h.
	stateTimeWait, stateClose, stateListen = 6, 7, 10
)

// ErrNotFound says that there is no such socket.
var ErrNotFound = errors.New("no such socket")

// Listener is one TCP listener.
type Listener struct {
	Address netip.AddrPort
	Inode   uint32 // as /proc/PID/fd has it
}

// Listeners returns everybody's TCP listeners of one family, AF_INET or AF_INET6. /proc has them
// too, but walks through every connection of the machine: 5 ms at each look, against some 50 µs.
func Listeners(family uint8) ([]Listener, error) {
	var found []Listener
	err := ask(request{family: family, states: 1 << stateListen, list: true}, func(reply []byte) error {
		id := reply[replyID:]
		ip := netip.AddrFrom4([4]byte(id[idSource:]))
		if reply[0] == unix.AF_INET6 {
			ip = netip.AddrFrom16([16]byte(id[idSource:]))
		}
		found = append(found, Listener{
			Address: netip.AddrPortFrom(ip, binary.BigEndian.Uint16(id)), Inode: binary.NativeEndian.Uint32(reply[replyInode:]),
		})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return found, nil
}

// Received returns how many bytes the socket of this machine that is bound to own and connected to
// peer has received, and how many of these its owner has not read yet. The error is ErrNotFound
// when nobody has that connection any more.
func Received(own, peer netip.AddrPort) (received uint64, unread uint32, err error) {
	own, peer = unmap(own), unmap(peer)
	r := request{family: unix.AF_INET6, states: ^uint32(0), extensions: 1 << (info - 1), own: own, peer: peer}
	if own.Addr().Is4() {
		r.family = unix.AF_INET
	}
	err = ask(r, func(reply []byte) error {
		switch reply[replyState] {
		case stateTimeWait, stateClose, stateListen:
			return ErrNotFound // it no longer has the connection, or never had it
		}
		unread = binary.NativeEndian.Uint32(reply[replyQueue:])
		var missing error
		received, missing = cutReceived(reply[replySize:])
		return missing
	})
	if err != nil {
		return 0, 0, err
	}
	return received, unread, nil
}

// Owner returns the user who has the socket of this machine that is bound to own and gets what peer
// sends there: by "tcp" the end of a connection with peer, by "udp" also a socket that is not
// connected. The error is ErrNotFound when there is none, and also where the kernel cannot tell.
func Owner(network string, own, peer netip.AddrPort) (uid uint32, err error) {
	r := request{family: unix.AF_INET6, states: ^uint32(0), own: unmap(own), peer: unmap(peer)}
	if r.own.Addr().Is4() {
		r.family = unix.AF_INET
	}
	if network == "udp" {
		r.udp = true
		r.own, r.peer = r.peer, r.own // for UDP the kernel reads them the other way round, see udp_diag.c
	}
	err = ask(r, func(reply []byte) error {
		switch reply[replyState] {
		case stateTimeWait, stateListen:
			return ErrNotFound // it is nobody's, or not that connection
		}
		uid = binary.NativeEndian.Uint32(reply[replyUID:])
		return nil
	})
	return uid, err
}

func unmap(ap netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()) }

// cutReceived finds the struct tcp_info among the attributes behind a reply.
func cutReceived(attributes []byte) (uint64, error) {
	const at = int(unsafe.Offsetof(unix.TCPInfo{}.Bytes_received))
	for b := attributes; len(b) >= unix.SizeofRtAttr; {
		n, kind := int(binary.NativeEndian.Uint16(b)), binary.NativeEndian.Uint16(b[2:])
		if n < unix.SizeofRtAttr || n > len(b) {
			break
		}
		if value := b[unix.SizeofRtAttr:n]; kind == info && len(value) >= at+8 {
			return binary.NativeEndian.Uint64(value[at:]), nil
		}
		b = b[min((n+3)&^3, len(b)):]
	}
	return 0, unix.EBADMSG
}

// request is a question about the one socket with the addresses own and peer, or about the list of
// those in the given states, a set of bits.
type request struct {
	family, extensions uint8
	states             uint32
	list, udp          bool
	own, peer          netip.AddrPort
}

func (r request) encode() []byte {
	order := binary.NativeEndian
	b := make([]byte, unix.SizeofNlMsghdr+requestSize)
	order.PutUint32(b, uint32(len(b)))
	order.PutUint16(b[4:], unix.SOCK_DIAG_BY_FAMILY)
	flags := uint16(unix.NLM_F_REQUEST)
	if r.list {
		flags |= unix.NLM_F_DUMP
	}
	order.PutUint16(b[6:], flags)
	body := b[unix.SizeofNlMsghdr:]
	body[0], body[1], body[2] = r.family, unix.IPPROTO_TCP, r.extensions
	if r.udp {
		body[1] = unix.IPPROTO_UDP
	}
	order.PutUint32(body[4:], r.states)
	if r.list {
		return b
	}
	id := body[requestID:]
	binary.BigEndian.PutUint16(id, r.own.Port())
	binary.BigEndian.PutUint16(id[idPeerPort:], r.peer.Port())
	copy(id[idSource:], r.own.Addr().AsSlice())
	copy(id[idPeer:], r.peer.Addr().AsSlice())
	order.PutUint64(id[idCookie:], ^uint64(0)) // none
	return b
}

// ask calls each with every struct inet_diag_msg of the answer, and what is behind it.
func ask(r request, each func(reply []byte) error) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return err
	}
	if err := unix.Sendto(fd, r.encode(), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	size := 4 << 10
	if r.list {
		size = 64 << 10
	}
	for b := make([]byte, size); ; {
		n, _, err := unix.Recvfrom(fd, b, 0)
		if err != nil {
			return err
		}
		messages, err := syscall.ParseNetlinkMessage(b[:n])
		if err != nil || len(messages) == 0 {
			return errors.Join(err, unix.EBADMSG)
		}
		for _, m := range messages {
			if m.Header.Type == unix.NLMSG_DONE {
				return nil
			}
			if err := check(m); err != nil {
				return err
			}
			if err := each(m.Data); err != nil || !r.list {
				return err
			}
		}
	}
}

// check returns the error that a message of the kernel is.
func check(m syscall.NetlinkMessage) error {
	switch {
	case m.Header.Type == unix.NLMSG_ERROR && len(m.Data) >= 4:
		if code := unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data))); code != unix.ENOENT {
			return fmt.Errorf("asking the kernel about sockets: %w", code)
		}
		return ErrNotFound
	case m.Header.Type == unix.NLMSG_ERROR, len(m.Data) < replySize:
		return unix.EBADMSG
	}
	return nil
}
