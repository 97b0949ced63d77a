package front

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// acceptKeepAlive tells the net package to leave keep-alive alone: on Linux accepted sockets
// inherit it from the listener, which saves four system calls for each connection.
const acceptKeepAlive = -1

func controlListener(_, _ string, c syscall.RawConn) error {
	var err error
	set := func(fd, level, option, value int) {
		if e := unix.SetsockoptInt(fd, level, option, value); e != nil && err == nil {
			err = e
		}
	}
	if cerr := c.Control(func(fd uintptr) {
		set(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		set(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15)
		set(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
		set(int(fd), unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9)
		// Clients speak first. Until one does there is nothing to do, and no reason to be woken;
		// after the time, in seconds, it is accepted all the same.
		set(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, 1)
	}); cerr != nil {
		return cerr
	}
	return err
}
