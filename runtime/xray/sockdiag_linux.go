package xray

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Sizes and offsets of sock_diag(7): struct inet_diag_req_v2 and inet_diag_msg,
// in both of which the socket's own port and address follow after four bytes.
const (
	diagRequestSize = 56
	diagReplySize   = 72
	diagSourcePort  = 4 // in network byte order, as the address
	diagSource      = 8
	diagInode       = 68
	diagListen      = 1 << 10 // the states as a set of bits; TCP_LISTEN is 10
)

// listeners asks the kernel for the TCP listeners of one address family. /proc
// has them too, but walks through every connection of the machine to tell: 5 ms
// at each look, against some 50 µs.
func listeners(family uint8) ([]listedSocket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return nil, err
	}
	request := make([]byte, unix.SizeofNlMsghdr+diagRequestSize)
	order := binary.NativeEndian
	order.PutUint32(request[0:], uint32(len(request)))
	order.PutUint16(request[4:], unix.SOCK_DIAG_BY_FAMILY)
	order.PutUint16(request[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	body := request[unix.SizeofNlMsghdr:]
	body[0], body[1] = family, unix.IPPROTO_TCP
	order.PutUint32(body[4:], diagListen)
	if err := unix.Sendto(fd, request, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}

	var found []listedSocket
	buffer := make([]byte, 64<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err != nil {
			return nil, err
		}
		messages, err := syscall.ParseNetlinkMessage(buffer[:n])
		if err != nil {
			return nil, err
		}
		for _, message := range messages {
			switch {
			case message.Header.Type == unix.NLMSG_DONE:
				return found, nil
			case message.Header.Type == unix.NLMSG_ERROR:
				return nil, errors.New("the kernel lists no sockets (netlink error)")
			case len(message.Data) < diagReplySize:
				return nil, errors.New("the kernel's list of sockets is cut")
			}
			found = append(found, diagSocket(message.Data))
		}
	}
}

// diagSocket reads one struct inet_diag_msg.
func diagSocket(data []byte) listedSocket {
	port := binary.BigEndian.Uint16(data[diagSourcePort:])
	address := netip.AddrFrom4([4]byte(data[diagSource:]))
	if data[0] == unix.AF_INET6 {
		address = netip.AddrFrom16([16]byte(data[diagSource:]))
	}
	inode := binary.NativeEndian.Uint32(data[diagInode:])
	return listedSocket{
		socket: socket{network: "tcp", address: netip.AddrPortFrom(address, port)},
		inode:  strconv.FormatUint(uint64(inode), 10),
	}
}
