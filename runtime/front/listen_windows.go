package front

import (
	"syscall"

	"golang.org/x/sys/windows"
)

const acceptKeepAlive = 0 // the net package's default

// controlListener makes the port exclusive: without the option another program could take it over
// with SO_REUSEADDR.
func controlListener(_, _ string, c syscall.RawConn) error {
	const exclusiveAddrUse = ^windows.SO_REUSEADDR // SO_EXCLUSIVEADDRUSE in winsock2.h
	var err error
	if cerr := c.Control(func(fd uintptr) {
		err = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, exclusiveAddrUse, 1)
	}); cerr != nil {
		return cerr
	}
	return err
}
