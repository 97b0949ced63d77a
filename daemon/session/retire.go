package session

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/store"
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
	l.neverServed(s.ID, Failure{s.Config, CodeCanceled, errCanceled}, s.Standby)
}

const (
	// silence is how long nothing may come on a connection through a dead server before it is cut,
	// so that its application notices and connects anew.
	silence = 3 * time.Second
	// cutSpacing is how often such connections are looked for.
	cutSpacing = time.Second
)

// CutSilent cuts what hangs on a dead server until the context drain ends: first what has been
// silent since doubted, the first sign of its death, then what has been silent for a while. It
// calls cut with how many there were.
func (l *Lifecycle) CutSilent(drain context.Context, id int64, doubted time.Time, cut func(connections int)) {
	since := func(t time.Time) {
		if n := l.Front.Cut(id, t); n > 0 {
			l.Log.Info().Int64("session", id).Int("connections", n).Msg("connections cut that hung on the dead server")
			cut(n)
		}
	}
	ticker := time.NewTicker(cutSpacing)
	defer ticker.Stop()
	if !doubted.IsZero() && time.Since(doubted) > time.Second {
		since(doubted)
	}
	for {
		select {
		case <-drain.Done():
			return
		case <-ticker.C:
			since(time.Now().Add(-silence))
		}
	}
}
