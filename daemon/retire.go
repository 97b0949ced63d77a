package daemon

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
)

// retire lets a session drain, then ends it. If its server died, doubted is when
// the first sign of that was.
func (s *Supervisor) retire(old *session, why reason, doubted time.Time) {
	drain, hurry := context.WithTimeout(s.base, s.Settings.Rotation.Drain.Std())
	r := &retirement{session: old, hurry: hurry, done: make(chan struct{})}
	s.st.retired[old.id] = r
	s.journal.Append(func(ctx context.Context) error {
		s.note(ctx, old.id, func(r *store.Session) { r.Status = store.StatusDraining })
		return nil
	}, nil)
	if why.dead && s.Settings.Rotation.Cut {
		s.work(func(context.Context) func() {
			s.cutSilent(drain, old.id, doubted)
			return nil
		})
	}
	s.work(func(context.Context) func() {
		defer close(r.done)
		defer hurry()
		if cut := s.Front.Drain(drain, old.id); cut > 0 {
			s.Log.Info().Int64("session", old.id).Int("connections", cut).Msg("connections cut at the end of the drain")
		}
		s.end(old, why)
		return func() { delete(s.st.retired, old.id) }
	})
}

// silence is how long nothing may come on a connection through a dead server
// before it is cut, so that its application notices and connects anew.
const silence = 3 * time.Second

// cutSilent cuts what hangs on a dead server: first what has been silent since
// the first sign of its death, then what has been for a while. It runs in a
// worker until the drain has ended.
func (s *Supervisor) cutSilent(drain context.Context, id int64, doubted time.Time) {
	cut := func(since time.Time) {
		if n := s.Front.Cut(id, since); n > 0 {
			s.Log.Info().Int64("session", id).Int("connections", n).Msg("connections cut that hung on the dead server")
			s.tell(func() { s.noteCut(id, n) })
		}
	}
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	if !doubted.IsZero() && time.Since(doubted) > time.Second {
		cut(doubted)
	}
	for {
		select {
		case <-drain.Done():
			return
		case <-ticker.C:
			cut(time.Now().Add(-silence))
		}
	}
}

// end stops a session's core and completes its record; it runs in a worker.
func (s *Supervisor) end(w *session, why reason) {
	s.journal.Append(func(ctx context.Context) error {
		s.note(ctx, w.id, func(r *store.Session) { r.Status = store.StatusStopping })
		return nil
	}, nil)
	s.stopCore(w.core)
	final := s.counted(w)
	s.Front.Forget(w.id)
	s.journal.Append(func(ctx context.Context) error {
		s.finish(ctx, w, final, store.StatusStopped, why.code, why.text)
		return nil
	}, nil)
}

// counted is what a session carried, under this daemon and earlier ones.
func (s *Supervisor) counted(w *session) front.Counters {
	c := s.Front.Counters(w.id)
	c.UpBytes += w.carried.UpBytes
	c.DownBytes += w.carried.DownBytes
	c.Connections += w.carried.Connections
	return c
}

// finish completes a session's record.
func (s *Supervisor) finish(ctx context.Context, w *session, c front.Counters, status store.Status, code, text string) {
	s.note(ctx, w.id, func(r *store.Session) {
		r.Status, r.EndedAt = status, time.Now()
		r.EndCode, r.EndReason = code, text
		r.UpBytes, r.DownBytes, r.Connections = c.UpBytes, c.DownBytes, c.Connections
	})
}
