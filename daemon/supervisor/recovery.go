package supervisor

import (
	"math/rand/v2"
	"time"

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
	s.Front.SetTarget(nil) // new connections wait from here on
	cause := t.Core.ExitReason()
	s.Log.Warn().Int64("session", t.ID).Str("cause", cause).Msg("the core has exited")
	s.retry.message = "the core has exited: " + cause
	s.health.dueAt = time.Time{}
	s.countCrash(t, time.Now())
	if op := s.op; op != nil && op.kind == opReplace && !op.manual {
		// To have a core again comes first: reconcile sees to it.
		s.abandon(op)
	}
	final := s.life.Counted(t.Session)
	s.Front.Forget(t.ID)
	s.life.Finish(t.Session, final, store.StatusFailed, session.Reason{Code: reasonCoreExited, Text: cause})
}

// countCrash counts a core that has ended by itself, and plans a pause after one too many.
func (s *Supervisor) countCrash(t *tracked, now time.Time) {
	if now.Sub(t.servingSince) > stableAfter {
		s.crashes.n = 0
	}
	s.crashes.loop = false
	if t.Core.Killed() {
		return
	}
	s.crashes.n++
	if s.crashes.n >= crashLimit {
		s.crashes.loop = true
		s.retry.at = now.Add(rotation.Backoff(s.crashes.n-crashLimit+1, rand.Float64()))
	}
}

// startRecovery brings back a session that should be there.
func (s *Supervisor) startRecovery() {
	op := &operation{kind: opRecover}
	if s.active != nil {
		s.begin(op, session.Spec{OpenFront: true}) // only the front is missing, whose port was taken
		return
	}
	// The config that served is started without a probe, to be there at once; another one must prove
	// itself.
	spec := session.Spec{
		Trigger: rotation.TriggerHealthCheckFailed, Reason: session.Reason{Code: reasonCoreExited, Text: s.retry.message},
		Checked: true, Keep: 1, Trusted: s.desired.ConfigID, OpenFront: !s.frontOpen,
		Candidates: s.selected(rotation.Selection{
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
	s.begin(op, spec)
}

// inUse returns the configs that a session has, or is about to have.
func (s *Supervisor) inUse() map[int64]bool {
	used := make(map[int64]bool)
	if s.desired.Connected {
		used[s.desired.ConfigID] = true
	}
	sessions := []*tracked{s.active, s.standby.session}
	if s.op != nil {
		used[s.op.wanted] = true
		sessions = append(sessions, s.op.lent)
	}
	for _, t := range sessions {
		if t != nil {
			used[t.Config.ID] = true
		}
	}
	return used
}

// configsChanged takes a change of the configs over into the state.
func (s *Supervisor) configsChanged(count int, eligible map[int64]bool) {
	s.configs = count
	s.revision++
	switch t := s.standby.session; {
	case t == nil:
		s.standby.failures, s.standby.dueAt = 0, time.Time{}
	case eligible != nil && !eligible[t.Config.ID]:
		s.dropStandby()
	}
}
