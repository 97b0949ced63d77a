package session

import (
	"context"
	"fmt"
)

// promote makes sure that the spec's ready session still works. Its record changes when it serves.
func (l *Lifecycle) promote(ctx context.Context, spec Spec) (Proof, *Failure) {
	s := spec.Ready
	if s.Ended() {
		return Proof{}, failure(ctx, s.Config, codeStartFailed, fmt.Errorf("its core has ended: %s", s.Core.ExitReason()))
	}
	proof := Proof{Worked: spec.Fresh}
	if spec.Checked && !spec.Fresh && len(l.Settings.Health.URLs) > 0 {
		var failed *Failure
		if proof, failed = l.prove(ctx, s, l.asksWork(spec)); failed != nil {
			return Proof{}, failed
		}
	}
	if ctx.Err() != nil {
		return Proof{}, failure(ctx, s.Config, CodeCanceled, context.Cause(ctx))
	}
	return proof, nil
}
