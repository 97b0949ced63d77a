//go:build !linux

package xray

import (
	"net/netip"
	"syscall"

	gopsutilnet "github.com/shirou/gopsutil/v4/net"
)

// sockets lists the TCP listeners and UDP sockets that process pid has. Those of others are not
// seen on this system.
func sockets(pid int, _ plan) ([]socket, error) {
	connections, err := gopsutilnet.ConnectionsPid("inet", int32(pid))
	if err != nil {
		return nil, err
	}
	var all []socket
	for _, c := range connections {
		network := "udp"
		if c.Type == syscall.SOCK_STREAM {
			network = "tcp"
		}
		if network == "tcp" && c.Status != "LISTEN" || network == "udp" && c.Raddr.Port != 0 {
			continue
		}
		host := c.Laddr.IP
		if host == "*" || host == "" {
			host = "0.0.0.0"
		}
		address, err := netip.ParseAddr(host)
		if err != nil {
			return nil, err
		}
		all = append(all, socket{network, netip.AddrPortFrom(address, uint16(c.Laddr.Port)), true})
	}
	return all, nil
}
