package session

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// The codes of sessions that could not be taken over.
const (
	codePIDMissing = "reattach_pid_missing"
	codeMismatch   = "reattach_identity_mismatch"
	codeUnhealthy  = "reattach_unhealthy"
	// CodeNotNeeded: the user does not want the session, or another one was taken over.
	CodeNotNeeded = "reattach_not_needed"
)

// SortLeftovers puts records of an earlier daemon in the order in which to take one over: those
// that served come first, the newest before the others. A session that was only starting has not
// proven itself, and no connection is lost with it.
func SortLeftovers(records []store.Session) {
	rank := func(r store.Session) int {
		if r.Status == store.StatusRunning {
			return 0
		}
		return 1
	}
	slices.SortFunc(records, func(a, b store.Session) int { return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(b.ID, a.ID)) })
}

// Adoptable reports whether the session of a record served, or was about to.
func Adoptable(record store.Session) bool {
	return record.Status == store.StatusRunning || record.Status == store.StatusStarting
}

// Reattach takes over the core that an earlier daemon left for a config, or returns in a code why
// it cannot; the code is empty if it could. counted is what the front has of the session already.
func (l *Lifecycle) Reattach(ctx context.Context, record store.Session, config store.Config, counted front.Counters) (s *Session, code string) {
	if len(record.Inbounds) == 0 {
		// The daemon died between the spawn and the record of it; what port and password that core
		// has is lost with it.
		return nil, codePIDMissing
	}
	in := inboundOf(record)
	core, err := l.Cores.Adopt(ctx, identityOf(record), in)
	if err != nil {
		l.Log.Warn().Err(err).Int64("session", record.ID).Int("pid", record.PID).Msg("the core of the last session cannot be taken over")
		switch {
		case errors.Is(err, xray.ErrIdentityMismatch):
			return nil, codeMismatch
		case errors.Is(err, xray.ErrPIDMissing):
			return nil, codePIDMissing
		default:
			return nil, codeUnhealthy
		}
	}
	l.Log.Info().Int64("session", record.ID).Int("pid", record.PID).Msg("core taken over")
	return &Session{
		ID: record.ID, Config: config, Core: core, StartedAt: record.StartedAt,
		Carried: carried(record, counted),
	}, ""
}

// carried is what a record has counted beyond what the front has, which may have gone on without a
// daemon.
func carried(r store.Session, counted front.Counters) (c front.Counters) {
	c.UpBytes = r.UpBytes - min(r.UpBytes, counted.UpBytes)
	c.DownBytes = r.DownBytes - min(r.DownBytes, counted.DownBytes)
	c.Connections = r.Connections - min(r.Connections, counted.Connections)
	return c
}

// EndLeftover ends the core of a session that is not taken over, if it is still that very process,
// and completes the record with the code.
func (l *Lifecycle) EndLeftover(ctx context.Context, record store.Session, code string) {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	id, err := identityOf(record), error(nil)
	if id.PID == 0 {
		id, err = l.Cores.FindByNonce(record.Nonce)
	}
	if err == nil {
		err = l.Cores.End(ctx, id, stopGrace)
	}
	if errors.Is(err, xray.ErrIdentityMismatch) {
		// A script that has become the core since looks like a stranger; the nonce in its
		// environment is ours all the same.
		if id, err = l.Cores.FindByNonce(record.Nonce); err == nil {
			err = l.Cores.End(ctx, id, stopGrace)
		}
	}
	if err != nil && !errors.Is(err, xray.ErrPIDMissing) && !errors.Is(err, xray.ErrIdentityMismatch) {
		l.Log.Error().Err(err).Int64("session", record.ID).Int("pid", id.PID).Msg("ending the core of an old session")
		return // the record stays live, so that the next daemon tries again
	}
	if record.Status == store.StatusStandby {
		l.forget(record.ID)
		return
	}
	l.update(ctx, record.ID, func(r *store.Session) {
		r.Status, r.EndedAt = store.StatusFailed, time.Now()
		if code == CodeNotNeeded {
			r.Status = store.StatusStopped
		}
		r.EndCode, r.EndReason = code, "the daemon that ran it is gone"
	})
}
