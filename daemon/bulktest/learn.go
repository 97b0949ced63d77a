package bulktest

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// learn keeps what a result says about a config, until record. The lock is held.
func (t *run) learn(s *subject, r ipc.TestResultPayload) {
	now := time.Now()
	if r.OK {
		t.worked = true
		if t.arguments.TCPOnly {
			return // that a server takes connections does not mean that it works
		}
		t.learned = append(t.learned, rotation.Worked(s.config.ID, now, time.Duration(r.DelayMillis)*time.Millisecond))
		switch {
		case r.Work == probe.ClassOK:
			t.didWork = true
			t.learned = append(t.learned, rotation.DidWork(s.config.ID))
		case s.strangled:
			t.limited = append(t.limited, rotation.Limited(s.config.ID, now, r.Work))
		}
		return
	}
	switch r.Code {
	case ipc.TestCodeCoreFailed, ipc.TestCodeNoTCP:
		return // not its fault, or not known to be
	}
	if active, _ := t.Supervisor.Active(); active != 0 && active == s.config.ID {
		return // of the one in use the health check knows more
	}
	t.learned = append(t.learned, rotation.Failing(s.config.ID, now, t.Settings.Rotation.Cooldown.Std()))
}

// record stores what was learned, as soon as anything has worked: while nothing does, the network
// may be at fault, or what is asked for.
func (t *run) record(ctx context.Context) {
	t.mu.Lock()
	var all []rotation.Lesson
	if t.worked {
		all, t.learned = t.learned, nil
	}
	if t.didWork {
		all, t.limited = append(all, t.limited...), nil
	}
	t.mu.Unlock()
	t.Catalog.Learn(ctx, all...)
}
