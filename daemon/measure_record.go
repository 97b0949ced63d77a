package daemon

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
)

// learned is a change to what is known of a config.
type learned struct {
	configID int64
	change   func(rotation.History) rotation.History
}

// learn keeps what a result says about a config, until record. The lock is held.
func (t *configTest) learn(s *subject, r ipc.TestResultPayload) {
	now := time.Now()
	if r.OK {
		t.worked = true
		if t.arguments.TCPOnly {
			return // that a server takes connections does not mean that it works
		}
		latency := millis(r.DelayMillis)
		t.learned = append(t.learned, learned{s.config.ID, func(h rotation.History) rotation.History { return h.Succeeded(now, latency) }})
		return
	}
	switch r.Code {
	case ipc.TestCodeCoreFailed, ipc.TestCodeNoTCP:
		return // not its fault, or not known to be
	}
	if active := t.s.snapshot.Load().status.Rotation.ActiveConfigID; active != nil && *active == s.config.ID {
		return // of the one in use the health check knows more
	}
	cooldown := t.s.Settings.Rotation.Cooldown.Std()
	t.learned = append(t.learned, learned{s.config.ID, func(h rotation.History) rotation.History { return h.Failed(now, cooldown) }})
}

// record stores what was learned, as soon as anything has worked: while nothing
// does, the network may be at fault, or what is asked for.
func (t *configTest) record(ctx context.Context) {
	t.mu.Lock()
	var all []learned
	if t.worked {
		all, t.learned = t.learned, nil
	}
	t.mu.Unlock()
	t.s.recordLearned(ctx, all...)
}
