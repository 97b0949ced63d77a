package daemon

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
)

// coreExited handles the end of a core that nobody asked for.
func (s *Supervisor) coreExited(w *session) {
	st := &s.st
	if st.standby == w {
		s.standbyExited(w)
		return
	}
	if st.op != nil && st.op.lent == w {
		s.Front.SetStandby(nil) // whoever has it in hand finds out
	}
	if st.active != w {
		return
	}
	st.active = nil
	s.callOffCheck()
	s.Front.SetTarget(nil) // new connections wait from here on
	cause := w.core.ExitReason()
	s.Log.Warn().Int64("session", w.id).Str("cause", cause).Msg("the core has exited")
	st.message = "the core has exited: " + cause
	st.checkAt = time.Time{}
	now := time.Now()
	if now.Sub(w.servingSince) > stableAfter {
		st.crashes = 0
	}
	st.crashLoop = false
	if !w.core.Killed() {
		st.crashes++
		if st.crashes >= crashLimit {
			st.crashLoop = true
			st.retryAt = now.Add(rotation.Backoff(st.crashes-crashLimit+1, rand.Float64()))
		}
	}
	if op := st.op; op != nil && op.kind == opReplace && !op.manual {
		// To have a core again comes first: reconcile sees to it.
		s.abandon(op)
	}
	final := s.counted(w)
	s.Front.Forget(w.id)
	s.journal.Append(func(ctx context.Context) error {
		s.finish(ctx, w, final, store.StatusFailed, reasonCoreExited, cause)
		return nil
	}, nil)
}

const (
	// stableAfter is how long a core must live for its end not to count as one
	// more crash in a row.
	stableAfter = time.Minute
	// crashLimit is the number of crashes in a row after which its config is
	// given up for another. Before, it is restarted: that a core ends says
	// little about the server, and nothing at all if it was killed, by somebody
	// or by the kernel when memory ran out.
	crashLimit = 3
)

// startRecovery brings back a session that should be there.
func (s *Supervisor) startRecovery() {
	st := &s.st
	if st.active != nil {
		// Only the front is missing, whose port was taken.
		s.begin(&operation{kind: opRecover}, plan{openFront: true})
		return
	}
	// The config that served is started without a probe, to be there at once;
	// another one must prove itself.
	p := plan{
		trigger: ipc.TriggerHealthCheckFailed, reason: reason{code: reasonCoreExited, text: st.message},
		checked: true, keep: 1, trusted: st.desired.ConfigID, openFront: !st.frontOpen,
	}
	switch {
	case st.crashLoop:
		p.reason.code = reasonCrashLoop
		p.candidates = s.selected(rotation.Selection{Wanted: st.desired.ConfigID, Alone: !s.rotates(), Spent: true, Preference: rotation.PreferBest})
	case st.served == nil && st.attempts == 0:
		p.trigger, p.reason = ipc.TriggerManual, reason{code: reasonRestore, text: "the daemon was restarted while connected"}
		fallthrough
	default:
		if st.attempts > 0 {
			p.reason.code = reasonRetry
		}
		p.candidates = s.selected(rotation.Selection{Wanted: st.desired.ConfigID, Alone: !s.rotates(), Preference: rotation.PreferBest})
	}
	s.begin(&operation{kind: opRecover}, p)
}
