package session

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// Core is one running core process.
type Core interface {
	Identity() xray.Identity
	Inbound() xray.Inbound
	// Done is closed when the process has exited; ExitReason then says why.
	Done() <-chan struct{}
	ExitReason() string
	// Killed reports, after Done, whether a signal ended it.
	Killed() bool
	// Health returns why the inbound does not serve, or that somebody shares its port; nil: it
	// serves.
	Health(ctx context.Context) error
	// Stop ends the process; it may take grace to end by itself.
	Stop(ctx context.Context, grace time.Duration) error
}

// Cores starts core processes and takes over those of a daemon that is gone.
type Cores interface {
	Start(ctx context.Context, spec xray.Spec, started func(xray.Identity, xray.Inbound) error) (Core, error)
	Adopt(ctx context.Context, id xray.Identity, in xray.Inbound) (Core, error)
	End(ctx context.Context, id xray.Identity, grace time.Duration) error
	FindByNonce(nonce string) (xray.Identity, error)
}

// XrayCores are the real cores.
type XrayCores struct {
	Log      zerolog.Logger
	Versions *xray.Versions
}

// Start implements Cores.
func (c XrayCores) Start(ctx context.Context, spec xray.Spec, started func(xray.Identity, xray.Inbound) error) (Core, error) {
	spec.Version = c.Versions.Of(ctx, spec.Executable)
	core, err := xray.Start(ctx, c.Log, spec, started)
	if err != nil {
		return nil, err // not a nil *xray.Core in an interface
	}
	return core, nil
}

// Adopt implements Cores.
func (c XrayCores) Adopt(ctx context.Context, id xray.Identity, in xray.Inbound) (Core, error) {
	core, err := xray.Adopt(ctx, c.Log, id, in)
	if err != nil {
		return nil, err
	}
	return core, nil
}

// End implements Cores.
func (c XrayCores) End(ctx context.Context, id xray.Identity, grace time.Duration) error {
	return xray.End(ctx, c.Log, id, grace)
}

// FindByNonce implements Cores.
func (c XrayCores) FindByNonce(nonce string) (xray.Identity, error) { return xray.FindByNonce(nonce) }

// recordOf returns what the record of a session has of where its core serves.
func recordOf(in xray.Inbound) []store.Inbound {
	return []store.Inbound{
		{Protocol: "socks", Address: in.Address, User: in.User, Password: in.Password},
		{Protocol: "trojan", Address: in.Relay, Password: in.Password},
	}
}

// inboundOf is the reverse of recordOf.
func inboundOf(r store.Session) xray.Inbound {
	var in xray.Inbound
	for _, i := range r.Inbounds {
		switch i.Protocol {
		case "socks":
			in.Address, in.User, in.Password = i.Address, i.User, i.Password
		case "trojan":
			in.Relay = i.Address
		}
	}
	return in
}
