package supervisor

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
)

// begin makes op the current operation and lets a worker carry out its spec. An operation in flight
// is superseded: cancelled, waited for, and cleaned up after.
func (s *Supervisor) begin(op *operation, spec session.Spec) {
	before := append([]*operation{s.supersede(op)}, s.leaving...)
	ctx, cancel := context.WithCancel(s.workers.base)
	op.cancel, op.since, op.from = cancel, time.Now(), s.active
	op.disposal = newDisposal()
	op.trigger, op.reason = spec.Trigger, spec.Reason
	spec.Turn = s.retry.attempts
	if spec.Candidates != nil {
		s.lend(op, &spec)
	}
	if s.served != nil {
		op.previous = s.served.ID
		spec.PreviousID = op.previous
	}
	life := s.life
	work(s, func(context.Context) *operation {
		defer cancel()
		dispose(life, before...)
		op.result = life.BringUp(ctx, spec)
		close(op.done)
		return op
	}, (*Supervisor).concluded)
}

// selected names the candidates of a selection.
func selected(catalog Catalog, selection rotation.Selection) session.Candidates {
	return func(ctx context.Context) ([]session.Candidate, error) { return catalog.Candidates(ctx, selection) }
}

// supersede makes op current and returns the operation that was, cancelled.
func (s *Supervisor) supersede(op *operation) *operation {
	previous := s.op
	s.op = op
	if previous == nil {
		return nil
	}
	previous.cancel()
	if previous.lent != nil {
		s.Front.SetStandby(nil) // it is disposed of with the rest
	}
	switch previous.kind {
	case opDisconnect, opShutdown, opLeave:
		return previous // goes on to its end, and answers then
	case opReplace:
		s.rotation.lastTrigger, s.rotation.lastResult = previous.trigger, "canceled"
	}
	previous.answer(answer{err: ipc.Errorf(ipc.CodeInvalidState, "canceled: another request took its place")})
	return previous
}

// abandon cancels an operation of the daemon's own, with nothing in its place. Whatever begins next
// waits for its end.
func (s *Supervisor) abandon(op *operation) {
	s.supersede(nil)
	s.leaving = append(s.leaving, op)
	life := s.life
	work(s, func(context.Context) *operation {
		dispose(life, op)
		return op
	}, func(s *Supervisor, op *operation) {
		s.leaving = slices.DeleteFunc(s.leaving, func(l *operation) bool { return l == op })
	})
}

// answer replies to everybody who waits for op.
func (op *operation) answer(a answer) {
	for _, reply := range op.replies {
		reply <- a // has room for it
	}
	op.replies = nil
}

// concluded takes what an operation came to over into the state.
func (s *Supervisor) concluded(op *operation) {
	if s.op != op {
		return // its successor disposes of it
	}
	s.op = nil
	defer s.giveBack(op)
	if op.kind == opReplace {
		s.noteRotation(op)
	}
	s.frontOpen = s.frontOpen || op.result.Opened
	switch err := op.result.Err; {
	case op.result.Session != nil:
		s.retry = retry{}
		next := s.won(op)
		if next.verified {
			var spared int64
			if s.served != nil && op.automatic() {
				spared = s.served.Config.ID // it is blamed for the rotation
			}
			s.learn(op.result.Lessons(spared, s.Settings.Rotation.Cooldown.Std(), next.latency)...)
		}
		s.swap(op, next)
	case errors.Is(err, session.ErrAnswers):
		s.Log.Info().Msg("the server in use answers again and stays")
		s.health.dueAt = time.Now()
		if op.limited {
			s.work.dueAt = s.health.dueAt
		}
	case err == nil: // only the front was missing
		s.retry.attempts, s.retry.message = 0, ""
	default:
		s.nothingWorked(op, err)
	}
}

// automatic reports whether op is a rotation away from a server that was found dead.
func (op *operation) automatic() bool {
	return op.trigger == rotation.TriggerHealthCheckFailed && !op.manual
}

// won returns the session that an operation has brought up, with the reasons of the operation.
func (s *Supervisor) won(op *operation) *tracked {
	next := op.lent
	if op.stepsIn() {
		next.startedAt = time.Now()
		next.proven(op.result.Proof)
	} else {
		next = track(op.result)
	}
	next.trigger, next.reasonCode = op.trigger, op.reason.Code
	return next
}

// stepsIn reports whether the session that came up is the standby.
func (op *operation) stepsIn() bool { return op.lent != nil && op.lent.Session == op.result.Session }

// nothingWorked plans what follows an operation that brought nothing up, and answers.
func (s *Supervisor) nothingWorked(op *operation, err error) {
	s.Log.Warn().Err(err).Str("trigger", string(op.trigger)).Msg("no session came up")
	if !op.manual && len(op.result.Tried) > 0 && s.retry.condition != conditionOffline && s.retry.condition != conditionClock {
		s.Catalog.NothingWorks()
	}
	if !op.manual && (s.active == nil || !s.frontOpen || s.health.dead) {
		s.retry.attempts++
		s.retry.message = err.Error()
	}
	wait := rotation.Backoff(s.retry.attempts, rand.Float64())
	switch {
	case !s.desired.Connected || s.active != nil && s.frontOpen && op.manual:
		// The user tried, it did not work, nothing has changed.
	case s.active == nil || !s.frontOpen:
		s.retry.at = time.Now().Add(wait)
	case op.limited && s.active.limit == classSlow:
		s.active.limit = "" // if that lasts, the checks find it again
	case op.limited:
		s.work.inVain(s.active, time.Now())
	case s.health.dead:
		s.retry.message = fmt.Sprintf("no working config found, staying on %s: %s", s.active.Config.Name, err)
		s.retry.condition = conditionNoWorking
		s.retry.rotateAfter = time.Now().Add(wait)
	}
	s.publish() // who is answered may ask for the status next
	op.answer(answer{err: err})
}
