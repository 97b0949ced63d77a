package supervisor

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/failpoint"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/store"
)

// swap makes next the session that serves, and lets the one before drain.
func (s *Supervisor) swap(op *operation, next *tracked) {
	old := s.active
	s.active = next
	next.servingSince = time.Now()
	s.callOffCheck()
	s.Front.SetTarget(next.target())
	failpoint.Hit("after-swap")
	next.endpoints = s.Remote.listeners.endpoints(notChecked, reachable)
	var report *store.Report
	if from := s.served; from != nil && from.Config.ID != next.Config.ID {
		s.noteRotated(op, from, next)
		report = s.rotation.report
	}
	if s.crashes.config != next.Config.ID {
		s.crashes = crashes{config: next.Config.ID}
	}
	s.served = next
	s.rotation.timerAt = time.Time{}
	s.planTimer()
	s.watch(next)
	if standby := s.standby.session; standby != nil && standby.Config.ID == next.Config.ID {
		s.dropStandby()
	}
	s.health = health{dueAt: time.Now()} // all of it is asked soon after, the front included
	s.work.begin(next, s.Settings.Health.LooksAtWork(), time.Now())
	s.standby.dueAt = time.Now().Add(standbyPause)
	s.desired.Connected, s.desired.ConfigID = true, next.Config.ID
	s.Log.Info().Int64("session", next.ID).Int64("config", next.Config.ID).Int("pid", next.Core.Identity().PID).
		Str("trigger", string(next.trigger)).Str("reason", next.reasonCode).Msg("session serves")
	s.publish() // who is answered may ask for the status next
	s.recordServing(op, next, report)
	// After the record of the one that serves now, so that there is always one.
	if old != nil {
		s.retire(old, op)
	}
}

// recordServing records that next serves, and what is desired, and then answers those who wait for
// op.
func (s *Supervisor) recordServing(op *operation, next *tracked, report *store.Report) {
	done := op.connected(next)
	promoted, startedAt, desired := op.stepsIn(), next.startedAt, s.desired
	journal, records, log := s.journal, s.Store, s.Log
	journal.Append(func(ctx context.Context) error {
		journal.Record(ctx, next.ID, func(r *store.Session) {
			r.Status, r.Rotation = store.StatusRunning, report
			if promoted { // it was brought up for another reason
				r.Trigger, r.ReasonCode, r.Reason, r.PreviousID = string(op.trigger), op.reason.Code, op.reason.Text, op.previous
				r.StartedAt = startedAt
			}
		})
		return records.SetDesired(ctx, desired)
	}, func(err error) {
		if err != nil {
			log.Error().Err(err).Msg("saving the desired state")
			done.Message += "; this could not be saved, so that it is forgotten when the daemon restarts: " + err.Error()
		}
		op.answer(answer{done: done})
	})
}

// connected is what those who wait for op are told: next serves.
func (op *operation) connected(next *tracked) Done {
	done := Done{Message: "connected to " + next.Config.Name, Session: next.serving(), Trigger: op.trigger}
	if op.from != nil {
		done.ReplacedID = op.from.ID
	}
	return done
}

// watch has the loop learn of the end of a session's core, once for each session.
func (s *Supervisor) watch(t *tracked) {
	if t.watched && !t.Ended() {
		return
	}
	// If it has ended, the loop was told so while an operation had the session in hand.
	t.watched = true
	ended := t.Core.Done()
	work(s, func(ctx context.Context) bool {
		select {
		case <-ended:
			return true
		case <-ctx.Done():
			return false
		}
	}, func(s *Supervisor, ended bool) {
		if ended {
			s.coreExited(t)
		}
	})
}

// retire lets a session drain, and then stops it, in workers. op is the operation that took its
// place.
func (s *Supervisor) retire(old *tracked, op *operation) {
	life, left, why := s.life, old.Session, op.reason
	s.journal.Update(left.ID, func(r *store.Session) { r.Status = store.StatusDraining })
	s.letGo(left, func(drain context.Context) { life.Retire(drain, left, why) })
	if !op.automatic() {
		return
	}
	for _, r := range s.retired { // earlier ones with the same server have the same fate
		if r.session.Config.ID == left.Config.ID {
			s.cutHanging(r, op.limited, op.findings.Began)
		}
	}
}

// dismiss ends, in a worker, a session that never served.
func (s *Supervisor) dismiss(t *tracked) {
	life, unused := s.life, t.Session
	s.letGo(unused, func(drain context.Context) { life.Dismiss(drain, unused) })
}

// letGo notes that a session is on its way out, which end carries out in a worker. The context that
// this is given is over when the drain is.
func (s *Supervisor) letGo(left *session.Session, end func(drain context.Context)) {
	id := left.ID
	drain, hurry := context.WithTimeout(s.workers.base, s.Settings.Rotation.Drain.Std())
	r := &retirement{session: left, drain: drain, hurry: hurry, done: make(chan struct{})}
	s.retired[id] = r
	work(s, func(context.Context) int64 {
		defer close(r.done)
		defer hurry()
		end(drain)
		return id
	}, func(s *Supervisor, id int64) { delete(s.retired, id) })
}
