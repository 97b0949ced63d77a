package supervisor

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xrat-tray/xrat/daemon/session"
)

// demolition is the end of every session, as seen by the worker that carries it out.
type demolition struct {
	life    *session.Lifecycle
	journal *session.Journal
	why     session.Reason
	// operations are those that have not ended, the one that may be about to open the front first.
	// They are cancelled, so that does not take long.
	operations []*operation
	active     *session.Session // nil: there is none
	standby    *session.Session // nil: there is none
	retired    []*retirement
	saved      <-chan error // what saving the desired state came to
}

// tearDown ends every session: for good when the user disconnects, until the next start when the
// daemon shuts down. It wins over everything in flight.
func (s *Supervisor) tearDown(kind opKind, reply chan<- answer) {
	op := &operation{kind: kind, cancel: func() {}, disposal: newDisposal()}
	if reply != nil {
		op.replies = append(op.replies, reply)
	}
	d := demolition{life: s.life, journal: s.journal, why: session.Reason{Code: reasonUser, Text: "the user disconnected"}}
	d.operations = slices.Concat([]*operation{s.supersede(op)}, s.leaving, []*operation{s.standby.op})
	if s.active != nil {
		d.active = s.active.Session
	}
	if s.standby.session != nil {
		d.standby = s.standby.session.Session
	}
	for _, r := range s.retired {
		d.retired = append(d.retired, r)
	}
	if kind == opShutdown {
		s.stopping = true
		d.why = session.Reason{Code: "daemon_shutdown", Text: "the daemon was stopped"}
	} else {
		s.desired.Connected = false
	}
	// First of all, so that a crash from here on does not reconnect.
	d.saved = s.saveDesired()
	s.forgetSessions()
	s.tearing++
	work(s, func(ctx context.Context) error {
		defer close(op.done)
		return d.carryOut(ctx)
	}, func(s *Supervisor, err error) { s.tornDown(op, d.active != nil, err) })
}

// departure is the end of the daemon alone, as seen by the worker that carries it out.
type departure struct {
	life       *session.Lifecycle
	journal    *session.Journal
	leave      func() bool // gives the front up
	left       *atomic.Bool
	operations []*operation // that have not ended; they are cancelled
}

// leave ends the loop and leaves the sessions as they are, those that drain as well.
func (s *Supervisor) leave(reply chan<- answer) {
	op := &operation{kind: opLeave, cancel: func() {}, disposal: newDisposal(), replies: []chan<- answer{reply}}
	d := departure{life: s.life, journal: s.journal, leave: s.Front.Leave, left: s.left}
	d.operations = slices.Concat([]*operation{s.supersede(op)}, s.leaving, []*operation{s.standby.op})
	s.stopping = true
	s.callOffCheck()
	if s.standby.op != nil {
		s.standby.op.cancel()
		s.standby.op = nil
	}
	if s.active != nil {
		// What a data plane has counted that ends in between is known from the record alone.
		s.active.savedAt = time.Time{}
		s.saveCounters(s.active, time.Now())
	}
	work(s, func(ctx context.Context) bool {
		defer close(op.done)
		return d.carryOut(ctx)
	}, func(s *Supervisor, left bool) {
		if !left {
			s.tearDown(opShutdown, nil)
			s.op.replies = append(s.op.replies, op.replies...)
			return
		}
		s.ended = true
		s.publish()
		op.answer(answer{done: Done{Message: "the daemon ends; connections go on"}})
	})
}

// carryOut reports whether the sessions go on.
func (d departure) carryOut(ctx context.Context) bool {
	dispose(d.life, d.operations...)
	flush, cancel := context.WithTimeoutCause(ctx, recordTime, session.ErrDiskSilent)
	defer cancel()
	if err := d.journal.Flush(flush); err != nil {
		d.life.Log.Warn().Err(err).Msg("the last records are not written yet")
	}
	d.left.Store(true) // before a drain ends because the front is given up
	left := d.leave()
	d.left.Store(left)
	return left
}

// saveDesired records what is desired; the channel has what came of it.
func (s *Supervisor) saveDesired() <-chan error {
	saved := make(chan error, 1)
	desired, store := s.desired, s.Store
	s.journal.Append(func(ctx context.Context) error { return store.SetDesired(ctx, desired) }, func(err error) { saved <- err })
	return saved
}

// forgetSessions resets what is known of sessions; whoever calls it sees to their end.
func (s *Supervisor) forgetSessions() {
	s.callOffCheck()
	if s.standby.op != nil {
		s.standby.op.cancel()
	}
	s.Front.SetTarget(nil)
	s.Front.SetStandby(nil)
	s.active, s.served = nil, nil
	s.health, s.retry, s.crashes = health{}, retry{}, crashes{}
	s.standby = standby{failures: s.standby.failures, looks: s.standby.looks}
	s.planTimer()
}

// carryOut ends everything, and returns why the desired state could not be saved.
func (d demolition) carryOut(ctx context.Context) error {
	dispose(d.life, d.operations...)
	var sessions sync.WaitGroup
	if d.active != nil {
		sessions.Go(func() { d.life.Stop(d.active, d.why) })
	}
	if d.standby != nil {
		sessions.Go(func() { d.life.Discard(d.standby) })
	}
	for _, r := range d.retired {
		r.hurry()
	}
	if err := d.life.Front.Close(); err != nil {
		d.life.Log.Error().Err(err).Msg("closing the front")
	}
	for _, r := range d.retired {
		<-r.done
	}
	sessions.Wait()
	// Nobody is told before the records are there, if the disk answers at all.
	flush, cancel := context.WithTimeoutCause(ctx, recordTime, session.ErrDiskSilent)
	defer cancel()
	if err := d.journal.Flush(flush); err != nil {
		return err
	}
	return <-d.saved // written before the flush was
}

// tornDown answers those who wait for the end of everything.
func (s *Supervisor) tornDown(op *operation, stopped bool, err error) {
	if s.op == op {
		s.op = nil
	}
	s.frontOpen = false
	s.tearing--
	// A disconnect that the shutdown overtook is answered as well.
	s.ended = s.stopping && s.tearing == 0
	done := Done{Stopped: stopped, Message: "disconnected"}
	switch {
	case op.kind == opShutdown:
		done.Message = "the daemon stops"
	case !stopped:
		done.Message = "was not connected"
	}
	if err != nil {
		s.Log.Error().Err(err).Msg("saving the desired state")
		done.Message += "; this could not be saved: " + err.Error()
	}
	s.publish() // who is answered may ask for the status next
	op.answer(answer{done: done})
}
