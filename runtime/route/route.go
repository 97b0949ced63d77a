// Package route tells whether this machine has a way to send anything anywhere,
// as the kernel's routing table says. It sends nothing and resolves nothing, and
// does not tell whether anybody answers: that is for probes.
package route

import (
	"net"
	"net/netip"
)

// somewhere are well-known public addresses. Nothing is sent to them: they only
// stand for "beyond the local network".
var somewhere = []string{"1.1.1.1", "2606:4700:4700::1111"}

// Exists tells whether there is a route to the host, an IP address. A name cannot
// be resolved without a network, so for one the question is whether there is a
// route to anywhere.
func Exists(host string) bool {
	if _, err := netip.ParseAddr(host); err == nil {
		if reaches(host) {
			return true
		}
	} else if host == "localhost" {
		return true
	}
	for _, address := range somewhere {
		if reaches(address) {
			return true
		}
	}
	return false
}

// reaches connects a UDP socket, for which the kernel looks up a route and sends
// nothing.
func reaches(address string) bool {
	conn, err := net.Dial("udp", net.JoinHostPort(address, "9"))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
