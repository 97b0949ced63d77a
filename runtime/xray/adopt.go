package xray

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
)

// Adopt takes over a core that another program started, if the process is exactly the recorded one
// and serves at in. The error wraps ErrPIDMissing (gone, or recorded before the last boot),
// ErrIdentityMismatch (another process has the pid now) or ErrUnhealthy (the recorded process, but
// useless: call End).
func Adopt(ctx context.Context, log zerolog.Logger, id Identity, in Inbound) (*Core, error) {
	h, err := openHandle(id.PID)
	if err != nil {
		return nil, fmt.Errorf("adopting the core: %w", err)
	}
	// Verified after the handle was opened, so that the answer stays true.
	if err := verify(id); err != nil {
		h.close()
		return nil, fmt.Errorf("adopting the core: %w", err)
	}
	p, err := newPlan(in)
	if err == nil && in.Relay == "" {
		err = errNoRelay
	}
	if err == nil {
		err = checkSockets(id.PID, p, false)
	}
	if err == nil {
		err = handshake(ctx, in)
	}
	if err != nil {
		h.close()
		return nil, fmt.Errorf("adopting the core: %w: %w", ErrUnhealthy, err)
	}
	c := &Core{log: log, identity: id, inbound: in, plan: p, handle: h, secrets: []string{in.User, in.Password}}
	c.watch()
	log.Info().Int("pid", id.PID).Stringer("inbound", in).Msg("core adopted")
	return c, nil
}

// End ends the process that id describes, as Stop does. It is for cores that cannot be adopted. It
// returns nil once that process is gone, also if it was gone before; another process with its pid
// is left alone.
func End(ctx context.Context, log zerolog.Logger, id Identity, grace time.Duration) error {
	h, err := openHandle(id.PID)
	if errors.Is(err, ErrPIDMissing) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("ending the core: %w", err)
	}
	defer h.close()
	if err := verify(id); err != nil {
		log.Debug().Err(err).Int("pid", id.PID).Msg("no core to end")
		return nil
	}
	watch, cancel := context.WithCancel(context.Background())
	gone := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if h.wait(watch) == nil {
			_ = h.signalGroup(signalForce) // what it forked goes with it
			close(gone)
		}
	}()
	defer func() {
		cancel()
		<-ended
	}()
	if err := stop(ctx, h, gone, id.PID, grace); err != nil {
		return fmt.Errorf("ending the core: %w", err)
	}
	log.Info().Int("pid", id.PID).Msg("core ended")
	return nil
}
