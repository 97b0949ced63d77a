package daemon

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/xray"
)

// XrayCores are the real cores.
type XrayCores struct{ Log zerolog.Logger }

// Start implements Cores.
func (c XrayCores) Start(ctx context.Context, spec xray.Spec, started func(xray.Identity, xray.Inbound) error) (Core, error) {
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
