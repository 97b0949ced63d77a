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
	if st.active != w {
		return
	}
	st.active = nil
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
		checked: true, trusted: st.desired.ConfigID, openFront: !st.frontOpen,
	}
	switch {
	case st.crashLoop:
		p.reason.code = reasonCrashLoop
		p.candidates = s.desiredLast(st.desired.ConfigID, s.rotates())
	case st.served == nil && st.attempts == 0:
		p.trigger, p.reason = ipc.TriggerManual, reason{code: reasonRestore, text: "the daemon was restarted while connected"}
		fallthrough
	default:
		if st.attempts > 0 {
			p.reason.code = reasonRetry
		}
		p.candidates = s.desiredFirst(st.desired.ConfigID, s.rotates())
	}
	s.begin(&operation{kind: opRecover}, p)
}

// desiredFirst names the config that the user asked for and, if others may take
// its place, those.
func (s *Supervisor) desiredFirst(id int64, others bool) configsFunc {
	return func(ctx context.Context) ([]store.Config, error) {
		wanted, err := s.only(id)(ctx)
		if ipc.CodeOf(err) == ipc.CodeNotFound {
			wanted, others, err = nil, true, nil // removed meanwhile
		}
		if err != nil || !others {
			return wanted, err
		}
		rest, err := s.candidates(rotation.PreferBest, id)(ctx)
		return append(wanted, rest...), err
	}
}

// desiredLast names the other configs, if those may take its place, and then the
// one that the user asked for.
func (s *Supervisor) desiredLast(id int64, others bool) configsFunc {
	first := s.desiredFirst(id, others)
	return func(ctx context.Context) ([]store.Config, error) {
		configs, err := first(ctx)
		if err != nil || len(configs) < 2 || configs[0].ID != id {
			return configs, err
		}
		return append(configs[1:], configs[0]), nil
	}
}
