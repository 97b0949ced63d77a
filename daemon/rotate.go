package daemon

import (
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
	if st.active == nil || st.op != nil || !s.rotates() || now.Before(st.cooldownUntil) || st.health.dead || st.condition != "" {
		return
	}
	s.begin(&operation{kind: opReplace}, plan{
		checked: true, trigger: ipc.TriggerTimer, reason: reason{code: reasonTimer, text: "rotation.interval has passed"},
		candidates: s.selected(rotation.Selection{Preference: rotation.PreferNext, Exclude: []int64{st.active.config.ID}}),
	})
}

// healthRotation rotates away from a server that is dead. The cooldown does not
// hold it back, since its purpose is to spare servers that work. A standby that
// has answered while the active one did not steps in at once; otherwise a few are
// tried at a time.
func (s *Supervisor) healthRotation(why reason, found checkResult) {
	st := &s.st
	wanted := rotation.Selection{Preference: rotation.PreferBest, Exclude: []int64{st.active.config.ID}}
	p := plan{checked: true, trigger: ipc.TriggerHealthCheckFailed, reason: why, race: healthRace}
	if st.standby != nil && found.controlOK {
		p.fresh, p.keep = true, 1
		wanted.First = st.standby.config.ID
	}
	p.candidates = s.selected(wanted)
	s.begin(&operation{kind: opReplace, findings: found.findings, control: found.control}, p)
}

// healthRace is how many candidates are tried at a time when the active server is
// dead.
const healthRace = 3

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
	automatic := op.trigger == ipc.TriggerHealthCheckFailed && !op.manual
	st.lastRotation, st.lastLeft = s.account(op, old, next, now), old.id
	st.cooldownUntil = now.Add(s.Settings.Rotation.Cooldown.Std())
	st.lastTrigger, st.lastResult, st.lastVerdict = &op.trigger, "replaced", "healthy"
	id := next.config.ID
	st.lastCandidate = &id
	s.learn(id, func(h rotation.History) rotation.History { return h.Used(now) })
	change := func(h rotation.History) rotation.History { return h.Used(now) }
	if automatic {
		st.pace = st.pace.Rotated(now)
		if next.verified {
			// The new one works where the old one did not: that is proof.
			served, cooldown := now.Sub(old.servingSince), s.Settings.Rotation.Cooldown.Std()
			change = func(h rotation.History) rotation.History { return h.RotatedAway(now, served, cooldown) }
		}
	}
	s.learn(old.config.ID, change)
}

func sinceText(n int) string {
	if n == 1 {
		return "1 failed check"
	}
	return fmt.Sprintf("%d failed checks in a row", n)
}
