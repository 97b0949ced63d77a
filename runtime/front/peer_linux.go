package front

import (
	"errors"
	"net"
	"net/netip"

	"github.com/xrat-tray/xrat/runtime/sockdiag"
)

// peerHasRead reports whether the other end of c, on this machine, has read the first n bytes of c,
// and whether the system could tell. An end that is gone has read all it ever will.
func peerHasRead(c *net.TCPConn, n int) (read, known bool) {
	ours, ok1 := c.LocalAddr().(*net.TCPAddr)
	theirs, ok2 := c.RemoteAddr().(*net.TCPAddr)
	if !ok1 || !ok2 {
		return true, true
	}
	received, unread, err := sockdiag.Received(theirs.AddrPort(), ours.AddrPort())
	if errors.Is(err, sockdiag.ErrNotFound) {
		return true, true
	}
	if err != nil {
		return false, false
	}
	return received >= uint64(n) && received-uint64(unread) >= uint64(n), true
}

// ownerOf returns the user of this machine whose socket own is, as seen from peer; ok is false for
// one of another machine, or of nobody.
func ownerOf(network string, own, peer netip.AddrPort) (uid uint32, ok bool) {
	uid, err := sockdiag.Owner(network, own, peer)
	return uid, err == nil
}
