// Package ports reports whether a local address is free, and who has it if not.
//
// It keeps nothing bound: a port that is free now may be taken a moment later.
package ports

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	gopsutilnet "github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"
)

// lookupTime bounds the search for the holder of a port. On Windows and macOS gopsutil has slow
// means only.
const lookupTime = 3 * time.Second

// holder returns the process that listens on address (host:port, TCP), if the system tells: mostly
// it does not for a process of another user. name is empty when only the pid is known.
func holder(address string) (name string, pid int, ok bool) {
	host, port, err := split(address)
	if err != nil {
		return "", 0, false
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupTime)
	defer cancel()
	connections, err := gopsutilnet.ConnectionsWithContext(ctx, "tcp")
	if err != nil {
		return "", 0, false
	}
	for _, c := range connections {
		if c.Status != "LISTEN" || int(c.Laddr.Port) != port || c.Pid == 0 || !overlap(net.ParseIP(c.Laddr.IP), host) {
			continue
		}
		if p, err := process.NewProcessWithContext(ctx, c.Pid); err == nil {
			name, _ = p.NameWithContext(ctx)
		}
		return name, int(c.Pid), true
	}
	return "", 0, false
}

// CheckFree returns nil if address (host:port, TCP) could be listened on now. To find out it binds
// it exclusively for a moment. Port 0 is always free. The error, which is fit to show, names the
// process that has the address if the system tells; finding that process may take three seconds.
func CheckFree(address string) error {
	listener, err := net.Listen("tcp", address) // Go sets no SO_REUSEPORT: exclusive
	if err == nil {
		return listener.Close()
	}
	name, pid, ok := holder(address)
	switch {
	case ok && name != "":
		return fmt.Errorf("%s is in use by %s (pid %d): stop that program or choose another port", address, name, pid)
	case ok:
		return fmt.Errorf("%s is in use by the process with pid %d: stop it or choose another port", address, pid)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use by another program (the system does not say which): choose another port", address)
	}
	return fmt.Errorf("%s cannot be listened on: %w", address, err)
}

func split(address string) (net.IP, int, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, 0, err
	}
	return resolved.IP, resolved.Port, nil
}

// overlap reports whether listeners on a and b exclude each other. A nil address is the unspecified
// one.
func overlap(a, b net.IP) bool {
	return a == nil || b == nil || a.IsUnspecified() || b.IsUnspecified() || a.Equal(b)
}
