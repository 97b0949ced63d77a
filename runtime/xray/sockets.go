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
	errUnplanned    = errors.New("the core listens on an address that was not planned")
)

// socket is a local socket: a TCP listener, or a UDP socket.
type socket struct {
	network string // "tcp" or "udp"
	address netip.AddrPort
	own     bool // belongs to the process in question
}

// relayUse says whether a core listens for itself, on its port at relayHost.
type relayUse int

const (
	relayUnknown relayUse = iota // adopted: its server is not known
	relayUnused
	relayUsed
)

// plan is what a core is to listen on: TCP and UDP on inbound, and TCP on the relay, if it uses
// one.
type plan struct {
	inbound netip.AddrPort
	relay   relayUse
	noUDP   bool
}

// newPlan makes the plan of a core whose inbound has this address.
func newPlan(in Inbound, relay relayUse) (plan, error) {
	address, err := netip.ParseAddrPort(in.Address)
	if err != nil {
		return plan{}, fmt.Errorf("reading the address of the core's inbound: %w", err)
	}
	return plan{inbound: address, relay: relay}, nil
}

func (p plan) relayAddress() netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(relayHost), p.inbound.Port())
}

// covers reports whether the core may have a socket there.
func (p plan) covers(network string, address netip.AddrPort) bool {
	return address == p.inbound && (network == "tcp" || !p.noUDP) || p.relay != relayUnused && network == "tcp" && address == p.relayAddress()
}

// judge compares the sockets that were seen with the plan: the process has all that it needs, and
// has them alone. strict forbids further UDP sockets; a core that has served may have some for its
// way out.
func judge(seen []socket, p plan, strict bool) error {
	type place struct {
		network string
		address netip.AddrPort
	}
	missing := []place{{"tcp", p.inbound}}
	if !p.noUDP {
		missing = append(missing, place{"udp", p.inbound})
	}
	if p.relay == relayUsed {
		missing = append(missing, place{"tcp", p.relayAddress()})
	}
	for _, s := range seen {
		address := netip.AddrPortFrom(s.address.Addr().Unmap(), s.address.Port())
		covered := p.covers(s.network, address)
		shadows := s.network == "tcp" && address.Port() == p.inbound.Port() && address.Addr().IsUnspecified()
		switch {
		case s.own && covered:
			missing = slices.DeleteFunc(missing, func(m place) bool { return m == place{s.network, address} })
		case s.own && (s.network == "tcp" || strict):
			return fmt.Errorf("%w: %s %s", errUnplanned, s.network, address)
		case !s.own && (covered || shadows):
			return fmt.Errorf("%w: %s %s", errForeign, s.network, address)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("%w: %s %s", errNotListening, missing[0].network, missing[0].address)
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
