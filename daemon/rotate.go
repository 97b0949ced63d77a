package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
)

// rotates tells whether automatic rotation is on: the settings allow it and the
// user has not switched it off.
func (s *Supervisor) rotates() bool {
	return s.Settings.Rotation.Enabled && !s.st.desired.RotationOff
}

// planTimer sets or clears the time of the next timer rotation.
func (s *Supervisor) planTimer() {
	st := &s.st
	interval := s.Settings.Rotation.Interval.Std()
	switch {
	case interval <= 0 || st.active == nil || !s.rotates():
		st.timerAt = time.Time{}
	case st.timerAt.IsZero():
		st.timerAt = time.Now().Add(interval)
	}
}

// timerRotation rotates because the time has come. During the cooldown after
// another rotation, or while something else is going on, it waits for the next turn.
func (s *Supervisor) timerRotation(now time.Time) {
	st := &s.st
	s.planTimer()
	if st.active == nil || st.op != nil || !s.rotates() || now.Before(st.cooldownUntil) {
		return
	}
	s.begin(&operation{kind: opReplace}, plan{
		checked: true, trigger: ipc.TriggerTimer, reason: reason{code: reasonTimer, text: "rotation.interval has passed"},
		candidates: s.candidates(rotation.PreferNext, st.active.config.ID),
	})
}

// healthRotation rotates away from a server that is dead. The cooldown does not
// hold it back, since its purpose is to spare servers that work.
func (s *Supervisor) healthRotation(why reason) {
	s.begin(&operation{kind: opReplace}, plan{
		checked: true, trigger: ipc.TriggerHealthCheckFailed, reason: why,
		candidates: s.candidates(rotation.PreferBest, s.st.active.config.ID),
	})
}

// noteRotation keeps what a rotation that was tried came to.
func (s *Supervisor) noteRotation(op *operation) {
	st := &s.st
	st.lastTrigger = &op.trigger
	tried := op.outcome.tried
	switch {
	case op.outcome.session != nil:
		st.lastResult, st.lastVerdict = "replaced", "healthy"
		id := op.outcome.session.config.ID
		st.lastCandidate = &id
	case len(tried) > 0:
		st.lastResult, st.lastVerdict = "all_failed", tried[len(tried)-1].code
		id := tried[len(tried)-1].config.ID
		st.lastCandidate = &id
	default:
		st.lastResult, st.lastVerdict, st.lastCandidate = "no_candidate", "none", nil
	}
}

// noteRotated keeps what a rotation that took place did, and begins the cooldown.
func (s *Supervisor) noteRotated(op *operation, old, next *session) {
	st := &s.st
	now := time.Now()
	st.lastRotation = &ipc.RotationPayload{
		At: now, Trigger: op.trigger, ReasonCode: op.reason.code, Reason: op.reason.text,
		FromConfigID: old.config.ID, FromConfigName: old.config.Name,
		ToConfigID: next.config.ID, ToConfigName: next.config.Name,
		DurationMillis: now.Sub(op.since).Milliseconds(),
	}
	st.cooldownUntil = now.Add(s.Settings.Rotation.Cooldown.Std())
	st.lastTrigger, st.lastResult, st.lastVerdict = &op.trigger, "replaced", "healthy"
	id := next.config.ID
	st.lastCandidate = &id
	if op.trigger == ipc.TriggerHealthCheckFailed && !op.manual && next.verified {
		// The new one works where the old one did not: that is proof.
		cooldown := s.Settings.Rotation.Cooldown.Std()
		s.work(func(ctx context.Context) func() {
			s.recordOutcome(ctx, old.config.ID, func(h rotation.History) rotation.History { return h.Failed(now, cooldown) })
			return nil
		})
	}
}

func sinceText(n int) string {
	if n == 1 {
		return "1 failed check"
	}
	return fmt.Sprintf("%d failed checks in a row", n)
}
