package xray

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/runtime/probe"
)

// inboundTimeout bounds one look at an inbound, which takes less than a
// millisecond on a machine that is well.
const inboundTimeout = 2 * time.Second

// handshake asks the inbound to answer and to accept its user and password,
// which nobody who took over the port would know.
func handshake(ctx context.Context, in Inbound) error {
	ctx, cancel := context.WithTimeout(ctx, inboundTimeout)
	defer cancel()
	return probe.Handshake(ctx, probe.Proxy{Address: in.Address, User: in.User, Password: in.Password})
}

// Health reports whether the core serves: nil when its sockets are the planned
// ones, nobody shares its port and its inbound has answered a handshake. It
// takes at most some 2 s; the error says what is wrong, an *ExitError that the
// core is gone.
func (c *Core) Health(ctx context.Context) error {
	select {
	case <-c.done:
		return &c.exit
	default:
	}
	// The sockets first: who shares the port would get the password.
	if err := checkSockets(c.identity.PID, c.plan, false); err != nil {
		return err
	}
	return handshake(ctx, c.inbound)
}
