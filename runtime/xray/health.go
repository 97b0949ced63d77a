package xray

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/runtime/probe"
)

// inboundTimeout bounds a handshake with an inbound, which takes less than a millisecond on an idle
// machine.
const inboundTimeout = 2 * time.Second

// handshake checks that the inbound answers and accepts its user and password. Another program on
// the same port would not know them.
func handshake(ctx context.Context, in Inbound) error {
	ctx, cancel := context.WithTimeout(ctx, inboundTimeout)
	defer cancel()
	return probe.Handshake(ctx, probe.Proxy{Address: in.Address, User: in.User, Password: in.Password})
}

// Health reports whether the core serves: nil if its sockets are the planned ones, nobody shares
// its port and its inbound has answered a handshake. It takes 2 s at most. An *ExitError means that
// the core is gone.
func (c *Core) Health(ctx context.Context) error {
	select {
	case <-c.done:
		return &c.exit
	default:
	}
	// The sockets first: whoever shares the port would receive the password.
	if err := checkSockets(c.identity.PID, c.plan, false); err != nil {
		return err
	}
	return handshake(ctx, c.inbound)
}
