package supervisor

import (
	"math/rand/v2"
	"time"

	"github.com/xrat-tray/xrat/daemon/liveness"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/store"
)

const (
	// stableAfter is how long a core must live for its end not to count as one more crash in a row.
	stableAfter = time.Minute
	// crashLimit is the number of crashes in a row after which its config is given up for another.
	// Before, it is restarted: that a core ends says little about the server, and nothing at all if
	// it was killed, by somebody or by the kernel when memory ran out.
	crashLimit = 3

	// reasonCoreExited is the reason code of a core that has ended by itself.
	reasonCoreExited = "core_exited"
)

// coreExited handles the end of a core that nobody asked for.
func (s *Supervisor) coreExited(t *tracked) {
	if s.standby.session == t {
		s.standbyExited(t)
		return
	}
	if s.op != nil && s.op.lent == t {
		s.Front.SetStandby(nil) // whoever has it in hand finds out
	}
	if s.active != t {
		return
	}
	s.active = nil
	s.callOffCheck()
	s.Front.SetTarget(nil) // new connections wait from here on, or go to the standby
	cause := t.Core.ExitReason()
	s.Log.Warn().Int64("session", t.ID).Str("cause", cause).Msg("the core has exited")
	s.retry.message = "the core has exited: " + cause
	s.health.dueAt = time.Time{}
	if pause := s.crashes.exited(t.Core.Killed(), time.Since(t.servingSince)); pause > 0 {
		s.retry.at = time.Now().Add(pause)
	}
	if op := s.op; op != nil && op.kind == opReplace && !op.manual {
		// To have a core again comes first: reconcile sees to it.
		s.abandon(op)
	}
	final := s.life.Counted(t.Session)
	s.Front.Forget(t.ID)
	s.life.Finish(t.Session, final, store.StatusFailed, session.Reason{Code: reasonCoreExited, Text: cause})
}

// exited counts a core that has ended by itself. It returns how long to pause after one too many.
func (c *crashes) exited(killed bool, served time.Duration) (pause time.Duration) {
	if served > stableAfter {
		c.n = 0
	}
	c.loop = false
	if killed {
		return 0
	}
	c.n++
	if c.n < crashLimit {
		return 0
	}
	c.loop = true
	return rotation.Backoff(c.n-crashLimit+1, rand.Float64())
}

// startRecovery brings back a session that should be there.
func (s *Supervisor) startRecovery() {
	op := &operation{kind: opRecover}
	if s.active != nil {
		s.begin(op, session.Spec{OpenFront: true}) // only the front is missing, whose port was taken
		return
	}
	// The config that served is started without a probe, to be there at once; another one must
	// prove itself.
	spec := session.Spec{
		Trigger: rotation.TriggerHealthCheckFailed, Reason: session.Reason{Code: reasonCoreExited, Text: s.retry.message},
		Checked: true, Keep: 1, Trusted: s.desired.ConfigID, OpenFront: !s.frontOpen,
		Candidates: selected(s.Catalog, rotation.Selection{
			Wanted: s.desired.ConfigID, Alone: !s.rotates(), Spent: s.crashes.loop, Preference: rotation.PreferBest,
		}),
	}
	switch {
	case s.crashes.loop:
		spec.Reason.Code = "core_crash_loop"
	case s.retry.attempts > 0:
		spec.Reason.Code = "retry"
	case s.served == nil:
		spec.Trigger = rotation.TriggerManual
		spec.Reason = session.Reason{Code: "restored", Text: "the daemon was restarted while connected"}
	}
	s.begin(op, widened(spec, s.retry.attempts))
}

// replaceCore starts another core with the config in use, since the one that there is is silent:
// frozen, or out of breath. No server is to blame for that, and so none is left.
func (s *Supervisor) replaceCore(why session.Reason, found liveness.Findings) {
	s.begin(&operation{kind: opRecover, findings: found}, session.Spec{
		Trigger: rotation.TriggerHealthCheckFailed, Reason: why, Trusted: s.active.Config.ID, Checked: true,
		Candidates: selected(s.Catalog, rotation.Selection{Wanted: s.active.Config.ID, Alone: true}),
	})
}

// configsChanged takes a change of the configs over into the state.
func (s *Supervisor) configsChanged(count int, eligible map[int64]bool) {
	s.configs = count
	s.revision++
	if s.retry.attempts > 0 { // there may be one that works now
		s.retry.at, s.retry.rotateAfter = time.Time{}, time.Time{}
	}
	switch t := s.standby.session; {
	case t == nil:
		s.standby.failures, s.standby.dueAt = 0, time.Time{}
	case eligible != nil && !eligible[t.Config.ID]:
		s.dropStandby()
	}
}
