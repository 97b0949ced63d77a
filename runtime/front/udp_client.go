package front

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// ownerCheck is how often it is looked up whether the port of a client is still its own.
const ownerCheck = time.Second

// client is who may use an association: the address of its TCP connection, with the port of the
// first datagram that comes from there. On this machine it is also the user of that connection,
// where the kernel tells whose sockets are: any program can send from any port that is free.
type client struct {
	relay netip.AddrPort // where it sends its datagrams
	addr  netip.Addr

	uid   uint32
	local bool // uid is known, and is to be the sender's

	mu      sync.Mutex
	port    uint16 // 0: nothing has come yet
	checked time.Time
	ok      bool // at checked
}

// newClient returns the client that has asked for relay over its connection from remote to local.
func newClient(relay *net.UDPConn, remote, local netip.AddrPort) *client {
	bound := relay.LocalAddr().(*net.UDPAddr).AddrPort()
	c := &client{relay: netip.AddrPortFrom(bound.Addr().Unmap(), bound.Port()), addr: remote.Addr().Unmap()}
	uid, ok := ownerOf("tcp", remote, local)
	if _, tells := ownerOf("udp", c.relay, remote); ok && tells { // the kernel knows our own
		c.uid, c.local = uid, true
	}
	return c
}

// sent reports whether what came from there is the client's.
func (c *client) sent(from netip.AddrPort) bool {
	if from.Addr() != c.addr {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.port == 0 {
		if !c.owns(from) {
			return false
		}
		c.port, c.ok, c.checked = from.Port(), true, time.Now()
	}
	return c.port == from.Port() && c.fresh()
}

// address returns where the client gets its datagrams, if it still does.
func (c *client) address() (to netip.AddrPort, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return netip.AddrPortFrom(c.addr, c.port), c.port != 0 && c.fresh()
}

// fresh needs mu. It reports whether the port is the client's, as of the last second.
func (c *client) fresh() bool {
	if now := time.Now(); c.local && now.Sub(c.checked) > ownerCheck {
		c.ok, c.checked = c.owns(netip.AddrPortFrom(c.addr, c.port)), now
	}
	return c.ok
}

// owns reports whether the socket there is the client's, as far as that can be told.
func (c *client) owns(from netip.AddrPort) bool {
	if !c.local {
		return true
	}
	uid, ok := ownerOf("udp", from, c.relay)
	return ok && uid == c.uid
}
