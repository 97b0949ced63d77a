package store

import (
	"context"
	"errors"
	"time"
)

// keep does what has a deadline, until ctx ends: it saves the probe history, exports, and closes
// the idle database. Without a deadline it sleeps without a timer.
func (s *Store) keep(ctx context.Context) {
	defer close(s.done)
	timer := time.NewTimer(time.Hour)
	timer.Stop()
	for {
		s.mu.Lock()
		due := s.due
		s.mu.Unlock()
		next := earliest(due.export, due.outcomes, due.idle)
		var wake <-chan time.Time
		if !next.IsZero() {
			timer.Reset(time.Until(next))
			wake = timer.C
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-s.kick:
			continue
		case <-wake:
		}
		s.tend(ctx, time.Now())
	}
}

func (s *Store) tend(ctx context.Context, now time.Time) {
	s.mu.Lock()
	due := s.due
	open := s.db != nil
	// The deadline is only refreshed here, not by every call: a busy store costs the keeper one
	// wake-up each IdleClose.
	if reached(due.idle, now) && s.lastUse.Add(s.o.IdleClose).After(now) {
		s.due.idle = s.lastUse.Add(s.o.IdleClose)
		due.idle = s.due.idle
	}
	s.mu.Unlock()

	idle := reached(due.idle, now)
	if reached(due.outcomes, now) || idle {
		s.report(ctx, "saving the probe history", s.flushOutcomes(ctx), func() { s.due.outcomes = now.Add(retryDelay) })
	}
	if reached(due.export, now) || idle && !due.export.IsZero() {
		s.report(ctx, "exporting the store", s.export(ctx), func() { s.due.export = now.Add(retryDelay) })
	}
	// What the keeper has opened for itself it closes at once: an open database wakes up about 200
	// times a second.
	if idle || !open {
		s.report(ctx, "closing the idle database", s.closeIdle(ctx), func() { s.due.idle = now.Add(retryDelay) })
	}
}

// report logs a failed task and arranges for another try.
func (s *Store) report(ctx context.Context, task string, err error, again func()) {
	if err == nil || errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return
	}
	s.log.Warn().Err(err).Msg(task)
	s.mu.Lock()
	defer s.mu.Unlock()
	again()
}

func reached(deadline, now time.Time) bool { return !deadline.IsZero() && !deadline.After(now) }

func earliest(times ...time.Time) (first time.Time) {
	for _, t := range times {
		if !t.IsZero() && (first.IsZero() || t.Before(first)) {
			first = t
		}
	}
	return first
}
