package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/daemon/store"
)

// promote makes sure that the plan's ready session still works, and gives it the
// plan's reasons. It runs in a worker.
func (s *Supervisor) promote(ctx context.Context, p plan) *attempt {
	w := p.ready
	fail := func(code string, err error) *attempt {
		if ctx.Err() != nil {
			code = codeCanceled
		}
		return &attempt{w.config, code, err}
	}
	select {
	case <-w.core.Done():
		return fail(codeStartFailed, fmt.Errorf("its core has ended: %s", w.core.ExitReason()))
	default:
	}
	if p.checked && !p.fresh && len(s.Settings.Health.URLs) > 0 {
		result := s.Probe(ctx, w.proxy(), 0)
		if !result.OK {
			return fail("probe_"+result.Class, fmt.Errorf("no answer through it: %w", result.Err))
		}
		w.measured(result.Latency)
	}
	if ctx.Err() != nil {
		return fail(codeCanceled, context.Cause(ctx))
	}
	w.trigger, w.reasonCode, w.startedAt = p.trigger, p.reason.code, time.Now()
	started := w.startedAt
	s.journal.Append(func(ctx context.Context) error {
		s.note(ctx, w.id, func(r *store.Session) {
			// The status stays, as it does not serve before the swap.
			r.Trigger, r.ReasonCode, r.Reason, r.PreviousID = string(p.trigger), p.reason.code, p.reason.text, p.previous
			r.StartedAt = started
		})
		return nil
	}, nil)
	return nil
}
