package lab

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// backlog is a queue in which the connections of a bench have room.
const backlog = 4096

// unlisten has the kernel refuse connections while the socket keeps its port: a port that was given
// up could be taken by anybody.
func unlisten(l *net.TCPListener) error {
	return withSocket(l, func(fd int) error { return unix.Shutdown(fd, unix.SHUT_RD) })
}

// relisten takes connections again.
func relisten(l *net.TCPListener) error {
	return withSocket(l, func(fd int) error { return unix.Listen(fd, backlog) })
}

// listenNarrow leaves a queue for one connection.
func listenNarrow(l *net.TCPListener) error {
	return withSocket(l, func(fd int) error { return unix.Listen(fd, 0) })
}

func withSocket(l syscall.Conn, do func(fd int) error) error {
	conn, err := l.SyscallConn()
	if err != nil {
		return err
	}
	var result error
	if err := conn.Control(func(fd uintptr) { result = do(int(fd)) }); err != nil {
		return err
	}
	return result
}

// reservedPort is a loopback port that others can listen on, of this user and with SO_REUSEPORT, as
// the core does, and that the kernel gives to nobody by chance: a socket that does not listen holds
// it while a server is down.
type reservedPort struct {
	number int
	fd     int
}

// reservePort reserves a port; with udp, one that nobody gets by chance for UDP either.
func reservePort(udp bool) (*reservedPort, error) {
	if !udp {
		return holdPort(0)
	}
	// A socket that held the port for UDP would get a part of the datagrams.
	const tries = 100
	for try := 1; ; try++ {
		p, err := holdPort(quietPort())
		if err == nil {
			if err = freeForUDP(p.number); err == nil {
				return p, nil
			}
			p.close()
		}
		if try == tries {
			return nil, err
		}
	}
}

func holdPort(number int) (*reservedPort, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: number})
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return &reservedPort{number: name.(*unix.SockaddrInet4).Port, fd: fd}, nil
}

func (p *reservedPort) address() string { return loopback(p.number) }

func (p *reservedPort) close() { _ = unix.Close(p.fd) }
