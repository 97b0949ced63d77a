package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
)

// errCanceled is why a session that was superseded has ended.
var errCanceled = errors.New("another request took its place")

// begin makes op the current operation and lets a worker carry out its plan. An
// operation in flight is superseded: cancelled, waited for, and cleaned up after.
func (s *Supervisor) begin(op *operation, p plan) {
	previous := s.supersede(op)
	leaving := slices.Clone(s.st.leaving)
	ctx, cancel := context.WithCancel(s.base)
	op.cancel, op.done, op.disposed, op.since, op.from = cancel, make(chan struct{}), make(chan struct{}), time.Now(), s.st.active
	op.trigger, op.reason = p.trigger, p.reason
	p.turn = s.st.attempts
	if p.candidates != nil {
		s.lend(op, &p)
	}
	if s.st.served != nil {
		p.previous = s.st.served.id
	}
	s.work(func(context.Context) func() {
		defer cancel()
		s.disposeOf(previous)
		for _, l := range leaving {
			s.disposeOf(l)
		}
		op.outcome = s.bringUp(ctx, p)
		close(op.done)
		return func() { s.concluded(op) }
	})
}

// supersede makes op current and returns the operation that was, cancelled.
func (s *Supervisor) supersede(op *operation) *operation {
	previous := s.st.op
	s.st.op = op
	if previous == nil {
		return nil
	}
	previous.cancel()
	if previous.lent != nil {
		s.Front.SetStandby(nil) // it is disposed of with the rest
	}
	switch previous.kind {
	case opDisconnect, opShutdown:
		return previous // goes on to its end, and answers then
	case opReplace:
		s.st.lastTrigger, s.st.lastResult = &previous.trigger, "canceled"
	}
	previous.answer(answer{err: ipc.Errorf(ipc.CodeInvalidState, "canceled: another request took its place")})
	return previous
}

// abandon cancels an operation of the daemon's own, with nothing in its place.
// Whatever begins next waits for its end.
func (s *Supervisor) abandon(op *operation) {
	s.supersede(nil)
	s.st.leaving = append(s.st.leaving, op)
	s.work(func(context.Context) func() {
		s.disposeOf(op)
		return func() { s.st.leaving = slices.DeleteFunc(s.st.leaving, func(l *operation) bool { return l == op }) }
	})
}

// disposeOf waits, in a worker, for an operation that is no longer current and
// stops what it brought up all the same. Several may wait for the same.
func (s *Supervisor) disposeOf(op *operation) {
	if op == nil {
		return
	}
	if op.disposal.CompareAndSwap(false, true) {
		<-op.done
		for _, orphan := range []*session{op.outcome.session, op.outcome.unused} {
			if orphan != nil {
				s.discard(orphan)
			}
		}
		close(op.disposed)
	}
	<-op.disposed
}

// answer replies to everybody who waits for op.
func (op *operation) answer(a answer) {
	for _, reply := range op.replies {
		reply <- a // has room for it
	}
	op.replies = nil
}

// concluded takes an operation's outcome over into the state.
func (s *Supervisor) concluded(op *operation) {
	st := &s.st
	if st.op != op {
		return // its successor disposes of it
	}
	st.op = nil
	defer s.giveBack(op)
	if op.kind == opReplace {
		s.noteRotation(op)
	}
	st.frontOpen = st.frontOpen || op.outcome.opened
	if next := op.outcome.session; next != nil {
		st.attempts, st.message = 0, ""
		st.retryAt, st.rotateAfter = time.Time{}, time.Time{}
		var spared int64
		if st.served != nil && op.trigger == ipc.TriggerHealthCheckFailed && !op.manual {
			spared = st.served.config.ID // it is blamed for the rotation
		}
		s.learnAll(s.lessons(op.outcome, spared))
		s.swap(op, next)
		return
	}
	err := op.outcome.err
	if err == nil { // only the front was missing
		st.attempts, st.message = 0, ""
		return
	}
	s.Log.Warn().Err(err).Str("trigger", string(op.trigger)).Msg("no session came up")
	if !op.manual && (st.active == nil || !st.frontOpen || st.health.dead) {
		st.attempts++
		st.message = err.Error()
	}
	wait := rotation.Backoff(st.attempts, rand.Float64())
	switch {
	case !st.desired.Connected || st.active != nil && st.frontOpen && op.manual:
		// The user tried, it did not work, nothing has changed.
	case st.active == nil || !st.frontOpen:
		st.retryAt = time.Now().Add(wait)
	case st.health.dead:
		st.message = fmt.Sprintf("no working config found, staying on %s: %s", st.active.config.Name, err)
		st.condition = ipc.ConditionNoWorking
		st.rotateAfter = time.Now().Add(wait)
	}
	s.publish() // who is answered may ask for the status next
	op.answer(answer{err: err})
}
