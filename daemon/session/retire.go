package session

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
)

// Retire lets the connections of a session drain until the context drain ends, and then stops it.
func (l *Lifecycle) Retire(drain context.Context, s *Session, why Reason) {
	if cut := l.Front.Drain(drain, s.ID); cut > 0 {
		l.Log.Info().Int64("session", s.ID).Int("connections", cut).Msg("connections cut at the end of the drain")
	}
	if !l.Left() {
		l.Stop(s, why)
	}
}

// Stop ends the core of a session that has served and completes its record.
func (l *Lifecycle) Stop(s *Session, why Reason) {
	l.Journal.Update(s.ID, func(r *store.Session) { r.Status = store.StatusStopping })
	l.stopCore(s.Core)
	final := l.Counted(s)
	l.Front.Forget(s.ID)
	l.Finish(s, final, store.StatusStopped, why)
}

// Dismiss ends a session that never served. Connections that were rescued through it have the same
// time as those of a session that is left.
func (l *Lifecycle) Dismiss(drain context.Context, s *Session) {
	l.Front.Drain(drain, s.ID)
	if !l.Left() {
		l.Discard(s)
	}
}

// Discard ends, at once, a session that came up and is not wanted any more.
func (l *Lifecycle) Discard(s *Session) {
	l.stopCore(s.Core)
	l.Front.Forget(s.ID) // a standby may have carried rescued connections
	l.neverServed(s.ID, Failure{Config: s.Config, Code: CodeCanceled, Err: errCanceled}, s.Standby)
}

const (
	// silence is how long nothing may come on a connection through a dead server before it is cut,
	// so that its application notices and connects anew.
	silence = 3 * time.Second
	// limitedPatience is how long something may be waited for through a server that strangles work.
	limitedPatience = time.Second
	// cutSpacing is how often such connections are looked for.
	cutSpacing = time.Second
)

// CutHanging cuts what hangs on a server that was left because it is dead or limited, until the
// context drain ends. It calls cut with how many there were.
//
// Of a dead one that is first what waits for something, or has been silent since doubted, the first
// sign of its death, and then what has been silent for a while. A limited one still carries what
// asks little of it: of that only what waits, or is strangled, is cut.
func (l *Lifecycle) CutHanging(drain context.Context, id int64, limited bool, doubted time.Time, cut func(connections int)) {
	hanging := front.Hanging{Waiting: limitedPatience, Strangled: true}
	if !limited {
		hanging = front.Hanging{Waiting: 1, Strangled: true}
		if silent := time.Since(doubted); !doubted.IsZero() && silent > time.Second {
			hanging.Silent = silent
		}
	}
	ticker := time.NewTicker(cutSpacing)
	defer ticker.Stop()
	for {
		if n := l.Front.Cut(id, hanging); n > 0 {
			l.Log.Info().Int64("session", id).Int("connections", n).Msg("connections cut that hung on the server that was left")
			cut(n)
		}
		if !limited {
			hanging = front.Hanging{Silent: silence, Waiting: limitedPatience}
		}
		select {
		case <-drain.Done():
			return
		case <-ticker.C:
		}
	}
}
