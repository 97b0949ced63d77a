package supervisor

import (
	"time"

	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
)

// healthRace is how many candidates are tried at a time when the active server is dead.
const healthRace = 3

const (
	// wideRace is how many are tried at a time when an attempt has found none that works, and
	// headStart the time that the first has before the others.
	wideRace  = 10
	headStart = 300 * time.Millisecond
)

// widened has more candidates tried at a time after attempts that were in vain.
func widened(spec session.Spec, attempts int) session.Spec {
	if attempts > 0 {
		spec.Race, spec.HeadStart = wideRace, headStart
	}
	return spec
}

// rotates reports whether automatic rotation is on: the settings allow it and the user has not
// switched it off.
func (s *Supervisor) rotates() bool {
	return s.Settings.Rotation.Enabled && !s.desired.RotationOff
}

// planTimer sets or clears the time of the next timer rotation.
func (s *Supervisor) planTimer() {
	interval := s.Settings.Rotation.Interval.Std()
	switch {
	case interval <= 0 || s.active == nil || !s.rotates():
		s.rotation.timerAt = time.Time{}
	case s.rotation.timerAt.IsZero():
		s.rotation.timerAt = time.Now().Add(interval)
	}
}

// timerRotation rotates because the time has come. During the cooldown after another rotation, or
// while something else is going on, it waits for the next turn.
func (s *Supervisor) timerRotation(now time.Time) {
	s.planTimer()
	if s.active == nil || s.op != nil || !s.rotates() || now.Before(s.rotation.cooldownUntil) ||
		s.health.dead || s.retry.condition != conditionNone {
		return
	}
	s.begin(&operation{kind: opReplace}, session.Spec{
		Checked: true, Work: !s.noPages, Trigger: rotation.TriggerTimer, Reason: session.Reason{Code: "timer", Text: "rotation.interval has passed"},
		Candidates: selected(s.Catalog, rotation.Selection{Preference: rotation.PreferNext, Exclude: []int64{s.active.Config.ID}}),
	})
}

// moveAway begins op, which moves away from a server that is dead or limited. The cooldown does not
// hold it back, since its purpose is to spare servers that work. ready tells that the standby has
// just done what the server in use has not: then it steps in at once. Otherwise a few are tried at
// a time, and it may be the network that is at fault.
func (s *Supervisor) moveAway(op *operation, ready bool, spec session.Spec) {
	selection := rotation.Selection{Preference: rotation.PreferBest, Exclude: []int64{s.active.Config.ID}}
	if s.standby.session != nil && ready {
		spec.Fresh, spec.Keep = true, 1
		selection.First = s.standby.session.Config.ID
	}
	if !ready {
		spec.Against = s.active.Session
	}
	op.kind = opReplace
	spec.Checked, spec.Trigger, spec.Candidates = true, rotation.TriggerHealthCheckFailed, selected(s.Catalog, selection)
	s.begin(op, spec)
}

// noteRotation keeps what a rotation that was tried came to.
func (s *Supervisor) noteRotation(op *operation) {
	r := &s.rotation
	r.lastTrigger = op.trigger
	tried := op.result.Tried
	switch {
	case op.result.Session != nil:
		r.replaced(op.result.Session.Config.ID)
	case len(tried) > 0:
		last := tried[len(tried)-1]
		r.lastResult, r.candidateResult, r.lastCandidate = "all_failed", last.Code, &last.Config.ID
	default:
		r.lastResult, r.candidateResult, r.lastCandidate = "no_candidate", "none", nil
	}
}

func (r *rotations) replaced(configID int64) {
	r.lastResult, r.candidateResult, r.lastCandidate = "replaced", "healthy", &configID
}

// noteRotated keeps what a rotation that took place did, and begins the cooldown.
func (s *Supervisor) noteRotated(op *operation, old, next *tracked) {
	now, cooldown := time.Now(), s.Settings.Rotation.Cooldown.Std()
	s.rotation.report, s.rotation.left = s.report(op, old, next, now), old.ID
	s.rotation.cooldownUntil = now.Add(cooldown)
	s.rotation.lastTrigger = op.trigger
	s.rotation.replaced(next.Config.ID)
	used := func(h rotation.History) rotation.History { return h.Used(now) }
	left := used
	if limit := old.limit; op.limited {
		s.rotation.pace = s.rotation.pace.Rotated(now)
		left = func(h rotation.History) rotation.History { return h.LimitedBy(now, limit).Used(now) }
	} else if op.automatic() {
		s.rotation.pace = s.rotation.pace.Rotated(now)
		if next.verified {
			// The new one works where the old one did not: that is proof.
			served := now.Sub(old.servingSince)
			left = func(h rotation.History) rotation.History { return h.RotatedAway(now, served, cooldown) }
		}
	}
	s.learn(rotation.Lesson{ConfigID: next.Config.ID, Change: used}, rotation.Lesson{ConfigID: old.Config.ID, Change: left})
}
