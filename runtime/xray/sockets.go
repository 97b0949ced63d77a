package xray

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Why the sockets of a core are not the planned ones.
var (
	errNotListening = errors.New("the core does not listen on its planned address")
	errForeign      = errors.New("another program listens on the core's port")
	errNoRelay      = errors.New("the core was started by an earlier xrat, and takes datagrams from anybody")
	errUnplanned    = errors.New("the core listens on an address that was not planned")
)

// socket is a local socket: a TCP listener, or a UDP socket.
type socket struct {
	network string // "tcp" or "udp"
	address netip.AddrPort
	own     bool // belongs to the process in question
}

// plan is where a core is to listen, by TCP alone.
type plan []netip.AddrPort

// newPlan makes the plan of a core with this inbound.
func newPlan(in Inbound) (plan, error) {
	var p plan
	for _, text := range []string{in.Address, in.Relay} {
		if text == "" {
			continue
		}
		address, err := netip.ParseAddrPort(text)
		if err != nil {
			return nil, fmt.Errorf("reading the address of the core's inbound: %w", err)
		}
		p = append(p, address)
	}
	return p, nil
}

// covers reports whether the core is to have a socket there.
func (p plan) covers(network string, address netip.AddrPort) bool {
	return network == "tcp" && slices.Contains(p, address)
}

func (p plan) hasPort(port uint16) bool {
	return slices.ContainsFunc(p, func(a netip.AddrPort) bool { return a.Port() == port })
}

// judge compares the sockets that were seen with the plan: the process has all that it needs, and
// has them alone. strict forbids further UDP sockets; a core that has served may have some for its
// way out.
func judge(seen []socket, p plan, strict bool) error {
	missing := slices.Clone(p)
	for _, s := range seen {
		address := netip.AddrPortFrom(s.address.Addr().Unmap(), s.address.Port())
		covered := p.covers(s.network, address)
		shadows := s.network == "tcp" && p.hasPort(address.Port()) && address.Addr().IsUnspecified()
		switch {
		case s.own && covered:
			missing = slices.DeleteFunc(missing, func(m netip.AddrPort) bool { return m == address })
		case s.own && (s.network == "tcp" || strict):
			return fmt.Errorf("%w: %s %s", errUnplanned, s.network, address)
		case !s.own && (covered || shadows):
			return fmt.Errorf("%w: %s %s", errForeign, s.network, address)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: %s", errNotListening, missing[0])
	}
	return nil
}

// checkSockets reports whether process pid, and it alone, listens as planned and, as far as judge's
// strict says, on nothing else.
func checkSockets(pid int, p plan, strict bool) error {
	seen, err := sockets(pid, p)
	if err != nil {
		return fmt.Errorf("checking the core's sockets: %w", err)
	}
	return judge(seen, p, strict)
}
