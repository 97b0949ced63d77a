package session

import (
	"context"
	"errors"
	"time"

	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
)

// errCanceled is why a session that was superseded has ended.
var errCanceled = errors.New("another request took its place")

// update changes a session's record now. Records are for restarts and for the history; that one
// cannot be written must not stop the work.
func (l *Lifecycle) update(ctx context.Context, id int64, change func(*store.Session)) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	l.Journal.Record(ctx, id, change)
}

// neverServed completes the record of a session that never served; that of a standby is of no
// interest to anybody.
func (l *Lifecycle) neverServed(id int64, why Failure, standby bool) {
	if standby {
		l.forget(id)
		return
	}
	l.update(context.Background(), id, func(r *store.Session) {
		r.Status, r.EndedAt = store.StatusFailed, time.Now()
		if why.Code == CodeCanceled {
			r.Status = store.StatusStopped
		}
		r.EndCode, r.EndReason = why.Code, why.Err.Error()
	})
}

// forget removes the record of a session.
func (l *Lifecycle) forget(id int64) {
	if id < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordTime)
	defer cancel()
	if err := l.Store.RemoveSession(ctx, id); err != nil {
		l.Log.Error().Err(err).Int64("session", id).Msg("forgetting a session")
	}
}

// Finish queues the completion of a session's record: counters is what it carried. It does not
// block.
func (l *Lifecycle) Finish(s *Session, counters front.Counters, status store.Status, why Reason) {
	l.Journal.Update(s.ID, func(r *store.Session) {
		r.Status, r.EndedAt = status, time.Now()
		r.EndCode, r.EndReason = why.Code, why.Text
		r.UpBytes, r.DownBytes, r.Connections = counters.UpBytes, counters.DownBytes, counters.Connections
	})
}
