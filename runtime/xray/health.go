package xray

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/runtime/probe"
)

// Endpoint is one address that the core or the front listens on.
type Endpoint struct {
	Protocol string // "socks", "http"
	Address  string // host:port
}

// EndpointState is what is known about an endpoint.
type EndpointState string

// The states of an endpoint.
const (
	Reachable   EndpointState = "reachable"
	Unreachable EndpointState = "unreachable"
	NotChecked  EndpointState = "not_checked"
)

// EndpointHealth is the state of one endpoint; Detail says why it is unreachable.
type EndpointHealth struct {
	Protocol, Address string
	State             EndpointState
	Detail            string
}

// RuntimeInboundHealth is the state of all endpoints of a session.
type RuntimeInboundHealth struct {
	Endpoints []EndpointHealth
}

// OK reports whether at least one endpoint is reachable and none is known to be
// unreachable.
func (h RuntimeInboundHealth) OK() bool {
	reachable := false
	for _, endpoint := range h.Endpoints {
		switch endpoint.State {
		case Unreachable:
			return false
		case Reachable:
			reachable = true
		}
	}
	return reachable
}

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

// Endpoint gives the core's inbound as an endpoint.
func (c *Core) Endpoint() Endpoint { return Endpoint{Protocol: "socks", Address: c.inbound.Address} }

// InboundHealth asks the core's inbound for a handshake, for at most 2 s.
// NotChecked when ctx ended before there was an answer.
func (c *Core) InboundHealth(ctx context.Context) EndpointState { return c.Health(ctx).State }

// Health is InboundHealth with the reason. Beside the handshake it checks that
// the sockets of the process are the planned ones and that nobody shares its port.
func (c *Core) Health(ctx context.Context) EndpointHealth {
	health := EndpointHealth{Protocol: "socks", Address: c.inbound.Address, State: Unreachable}
	select {
	case <-c.done:
		health.Detail = "the core has exited: " + c.ExitReason()
		return health
	default:
	}
	err := handshake(ctx, c.inbound)
	if err == nil {
		err = checkSockets(c.identity.PID, c.inbound.Address, false)
	}
	switch {
	case err == nil:
		health.State = Reachable
	case ctx.Err() != nil:
		health.State, health.Detail = NotChecked, ctx.Err().Error()
	default:
		health.Detail = err.Error()
	}
	return health
}
