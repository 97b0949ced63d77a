// Package route reports whether this machine could send anything anywhere, by the kernel's routing
// table. It sends nothing and resolves nothing. Whether anybody answers is for probes to find out.
package route

import (
	"net"
	"net/netip"
)

// somewhere are well-known public addresses that stand for "beyond the local network". Nothing is
// sent to them.
var somewhere = []string{"1.1.1.1", "2606:4700:4700::1111"}

// Exists reports whether there is a route to the host, if that is an IP address, or else to
// anywhere beyond the local network. A name is not looked up, since that takes a network. localhost
// always has a route.
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

// reaches connects a UDP socket: the kernel looks up a route, and sends nothing.
func reaches(address string) bool {
	conn, err := net.Dial("udp", net.JoinHostPort(address, "9"))
	if err != nil {
		return false
	}
	conn.Close()
	return true
}
