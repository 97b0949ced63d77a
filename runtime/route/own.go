package route

import (
	"context"
	"net"
	"net/netip"
)

// Own reports whether a host is this machine: by an address of it, in whatever spelling, or by a
// name that the system's resolver turns into one. A name that cannot be resolved is not.
func Own(ctx context.Context, host string) bool {
	addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host) // an address is not looked up
	if err != nil {
		return false
	}
	for _, address := range addresses {
		if address = address.Unmap().WithZone(""); address.IsLoopback() || address.IsUnspecified() || assigned(address) {
			return true
		}
	}
	return false
}

// assigned reports whether an interface of this machine has the address.
func assigned(address netip.Addr) bool {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range all {
		network, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		if own, ok := netip.AddrFromSlice(network.IP); ok && own.Unmap() == address {
			return true
		}
	}
	return false
}
