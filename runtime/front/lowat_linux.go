package front

import (
	"net"

	"golang.org/x/sys/unix"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// expectReplies lets the reader sleep until the core's replies and at least one answer byte are
// there. The core sends its replies in three small writes, each of which would otherwise wake it
// for nothing. The end of the stream wakes it in any case.
func expectReplies(c *net.TCPConn, auth bool) {
	n := socks5.MinReplies + 1
	if !auth {
		n -= 2
	}
	setLowWater(c, n)
}

// expectAny undoes expectReplies.
func expectAny(c *net.TCPConn) { setLowWater(c, 1) }

func setLowWater(c *net.TCPConn, n int) {
	rc, err := c.SyscallConn()
	if err != nil {
		return
	}
	rc.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n) })
}
