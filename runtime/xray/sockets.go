package xray

import (
	"errors"
	"fmt"
	"net/netip"
)

// Why the sockets of a core are not the planned ones.
var (
	errNotListening = errors.New("the core does not listen on its planned address")
	errForeign      = errors.New("another program listens on the core's port")
	errUnplanned    = errors.New("the core listens on an address that was not planned")
)

// socket is a local socket: a TCP listener, or a UDP socket.
type socket struct {
	network string // "tcp" or "udp"
	address netip.AddrPort
	own     bool // belongs to the process in question
}

// judge compares the sockets that were seen with the plan: TCP and UDP on
// planned, by the process alone, and perhaps TCP on the detour. strict forbids further UDP sockets; a core that
// has served may have some for its way out.
func judge(seen []socket, planned netip.AddrPort, strict bool) error {
	missing := map[string]bool{"tcp": true, "udp": true}
	for _, s := range seen {
		address := netip.AddrPortFrom(s.address.Addr().Unmap(), s.address.Port())
		onPlan := address == planned
		isDetour := s.network == "tcp" && address.Port() == planned.Port() && address.Addr().String() == detourHost
		shadows := address.Port() == planned.Port() && address.Addr().IsUnspecified()
		switch {
		case s.own && onPlan:
			delete(missing, s.network)
		case s.own && isDetour:
			// where a core may listen for itself
		case s.own && (s.network == "tcp" || strict):
			return fmt.Errorf("%w: %s %s", errUnplanned, s.network, address)
		case !s.own && (onPlan || shadows && s.network == "tcp"):
			return fmt.Errorf("%w: %s %s", errForeign, s.network, address)
		}
	}
	for network := range missing {
		return fmt.Errorf("%w: %s %s", errNotListening, network, planned)
	}
	return nil
}

// checkSockets reports whether process pid, and it alone, listens on planned
// for TCP and UDP and, as far as judge's strict says, on nothing else.
func checkSockets(pid int, planned string, strict bool) error {
	address, err := netip.ParseAddrPort(planned)
	if err != nil {
		return fmt.Errorf("checking the core's sockets: %w", err)
	}
	seen, err := sockets(pid, address.Port())
	if err != nil {
		return fmt.Errorf("checking the core's sockets: %w", err)
	}
	return judge(seen, address, strict)
}
