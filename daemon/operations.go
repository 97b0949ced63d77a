package daemon

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/ports"
)

// begin makes op the current operation and lets a worker carry out its plan. An
// operation in flight is superseded: cancelled, waited for, and cleaned up after.
func (s *Supervisor) begin(op *operation, p plan) {
	previous := s.supersede(op)
	ctx, cancel := context.WithCancel(s.base)
	op.cancel, op.done, op.since, op.from = cancel, make(chan struct{}), time.Now(), s.st.active
	op.trigger, op.reason = p.trigger, p.reason
	p.turn = s.st.attempts
	if op.from != nil {
		p.previous = op.from.id
	}
	s.work(func(context.Context) func() {
		defer cancel()
		s.disposeOf(previous)
		p.opened = previous != nil && previous.outcome.opened
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
	switch previous.kind {
	case opDisconnect, opShutdown:
		return previous // goes on to its end, and answers then
	case opReplace:
		s.st.lastResult = "canceled"
	}
	previous.answer(answer{err: ipc.Errorf(ipc.CodeInvalidState, "canceled: another request took its place")})
	return previous
}

// disposeOf waits, in a worker, for a superseded operation and stops what it
// brought up all the same.
func (s *Supervisor) disposeOf(op *operation) {
	if op == nil {
		return
	}
	<-op.done
	if orphan := op.outcome.session; orphan != nil {
		s.stopCore(orphan.core)
		s.close(orphan.id, store.StatusStopped, codeCanceled, nil)
	}
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
	if op.kind == opReplace {
		s.noteRotation(op)
	}
	st.frontOpen = st.frontOpen || op.outcome.opened
	if next := op.outcome.session; next != nil {
		st.attempts, st.message = 0, ""
		s.swap(op, next)
		return
	}
	err := op.outcome.err
	if err == nil { // only the front was missing
		st.attempts, st.message = 0, ""
		return
	}
	s.Log.Warn().Err(err).Str("trigger", string(op.trigger)).Msg("no session came up")
	switch {
	case op.kind == opConnect && !st.desired.Connected:
		// The user tried, it did not work, nothing has changed.
	default:
		st.attempts++
		st.message = err.Error()
		wait := rotation.Backoff(st.attempts, rand.Float64())
		if st.active == nil || !st.frontOpen {
			st.retryAt = time.Now().Add(wait)
		} else if st.health.Failures > 0 && !op.manual {
			st.message = fmt.Sprintf("no working config found, staying on %s: %s", st.active.config.Name, err)
			st.rotateAfter = time.Now().Add(wait)
		}
	}
	op.answer(answer{err: err})
}

// swap makes next the session that serves, and lets the one before drain.
func (s *Supervisor) swap(op *operation, next *session) {
	st := &s.st
	old := st.active
	st.active = next
	next.servingSince = time.Now()
	st.health = rotation.Health{}
	in := next.core.Inbound()
	s.Front.SetTarget(&front.Target{ID: next.id, Address: in.Address, User: in.User, Password: in.Password})
	failpoint("after-swap")
	next.endpoints = s.endpoints(ipc.EndpointPayload{State: "reachable"}, ipc.EndpointPayload{State: "reachable"}, "reachable")
	if old != nil {
		s.retire(old, op.reason)
		s.noteRotated(op, old, next)
	} else if s.Settings.Rotation.Interval > 0 {
		st.timerAt = time.Now().Add(s.Settings.Rotation.Interval.Std())
	}
	s.watch(next)
	st.checkAt = time.Now().Add(s.Settings.Health.Interval.Std())
	if !next.verified {
		st.checkAt = time.Now() // not proven yet
	}
	st.desired.Connected, st.desired.ConfigID = true, next.config.ID
	desired := st.desired
	s.Log.Info().Int64("session", next.id).Int64("config", next.config.ID).Int("pid", next.core.Identity().PID).
		Str("trigger", string(next.trigger)).Str("reason", next.reasonCode).Msg("session serves")
	s.journal.Append(func(ctx context.Context) error {
		s.note(ctx, next.id, func(r *store.Session) { r.Status = store.StatusRunning })
		return s.Store.SetDesired(ctx, desired)
	}, func(err error) {
		message := "connected to " + next.config.Name
		if err != nil {
			s.Log.Error().Err(err).Msg("saving the desired state")
			message += "; this could not be saved, so that it is forgotten when the daemon restarts: " + err.Error()
		}
		op.answer(answer{payload: op.payload(old, next), message: message})
	})
}

// payload is what the request for op is answered with.
func (op *operation) payload(old, next *session) any {
	pid := next.core.Identity().PID
	if op.kind != opReplace {
		return ipc.ConnectPayload{ConfigID: next.config.ID, SessionID: next.id, PID: pid, ConfigName: next.config.Name}
	}
	p := ipc.ReplacePayload{
		Trigger: op.trigger, Replaced: true,
		NewConfigID: next.config.ID, NewSessionID: next.id, NewPID: pid, NewConfigName: next.config.Name,
	}
	if old != nil {
		p.OldSessionID = &old.id
	}
	return p
}

// watch tells the loop when a session's core ends.
func (s *Supervisor) watch(w *session) {
	s.work(func(ctx context.Context) func() {
		select {
		case <-w.core.Done():
			return func() { s.coreExited(w) }
		case <-ctx.Done():
			return nil
		}
	})
}

// coreExited handles the end of a core that nobody asked for.
func (s *Supervisor) coreExited(w *session) {
	st := &s.st
	if st.active != w {
		return
	}
	st.active = nil
	s.Front.SetTarget(nil) // new connections wait from here on
	cause := w.core.ExitReason()
	s.Log.Warn().Int64("session", w.id).Str("cause", cause).Msg("the core has exited")
	st.message = "the core has exited: " + cause
	st.checkAt = time.Time{}
	now := time.Now()
	if now.Sub(w.servingSince) > stableAfter {
		st.crashes = 0
	}
	if !endedFromOutside(cause) {
		st.crashes++
		if st.crashes >= crashLimit {
			st.retryAt = now.Add(rotation.Backoff(st.crashes-crashLimit+1, rand.Float64()))
		}
	}
	final := s.counted(w)
	s.Front.Forget(w.id)
	s.journal.Append(func(ctx context.Context) error {
		s.finish(ctx, w, final, store.StatusFailed, reasonCoreExited, cause)
		return nil
	}, nil)
}

const (
	// stableAfter is how long a core must live for its end not to count as one
	// more crash in a row.
	stableAfter = time.Minute
	// crashLimit is the number of crashes in a row after which its config is
	// given up for another. Before, it is restarted: that a core ends says
	// little about the server.
	crashLimit = 3
)

// endedFromOutside tells whether a core was killed, as opposed to having ended
// by itself: somebody's signal, or the kernel's when memory runs out. A Go
// program that crashes exits with a status.
func endedFromOutside(cause string) bool { return strings.HasPrefix(cause, "signal: ") }

// startRecovery brings back a session that should be there.
func (s *Supervisor) startRecovery() {
	st := &s.st
	if st.active != nil {
		// Only the front is missing, whose port was taken.
		s.begin(&operation{kind: opRecover}, plan{openFront: true})
		return
	}
	p := plan{trigger: ipc.TriggerHealthCheckFailed, reason: reason{reasonCoreExited, st.message}, openFront: !st.frontOpen}
	switch {
	case st.crashes >= crashLimit:
		p.reason.code = reasonCrashLoop
		p.candidates = s.desiredLast(st.desired.ConfigID, s.rotates())
	case st.crashes == 0 && st.attempts == 0 && st.message == "":
		p.trigger, p.reason = ipc.TriggerManual, reason{reasonRestore, "the daemon was restarted while connected"}
		fallthrough
	default:
		if st.attempts > 0 {
			p.reason.code = reasonRetry
		}
		p.candidates = s.desiredFirst(st.desired.ConfigID, s.rotates())
	}
	s.begin(&operation{kind: opRecover}, p)
}

// desiredFirst names the config that the user asked for and, if others may take
// its place, those.
func (s *Supervisor) desiredFirst(id int64, others bool) configsFunc {
	return func(ctx context.Context) ([]store.Config, error) {
		wanted, err := s.only(id)(ctx)
		if ipc.CodeOf(err) == ipc.CodeNotFound {
			wanted, others, err = nil, true, nil // removed meanwhile
		}
		if err != nil || !others {
			return wanted, err
		}
		rest, err := s.candidates(rotation.PreferBest, id)(ctx)
		return append(wanted, rest...), err
	}
}

// desiredLast names the other configs, if those may take its place, and then the
// one that the user asked for.
func (s *Supervisor) desiredLast(id int64, others bool) configsFunc {
	first := s.desiredFirst(id, others)
	return func(ctx context.Context) ([]store.Config, error) {
		configs, err := first(ctx)
		if err != nil || len(configs) < 2 || configs[0].ID != id {
			return configs, err
		}
		return append(configs[1:], configs[0]), nil
	}
}

// retire lets a session drain, then ends it.
func (s *Supervisor) retire(old *session, why reason) {
	drain, hurry := context.WithTimeout(s.base, s.Settings.Rotation.Drain.Std())
	r := &retirement{session: old, hurry: hurry, done: make(chan struct{})}
	s.st.retired[old.id] = r
	s.journal.Append(func(ctx context.Context) error {
		s.note(ctx, old.id, func(r *store.Session) { r.Status = store.StatusDraining })
		return nil
	}, nil)
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

// tearDown ends every session: for good when the user disconnects, until the
// next start when the daemon shuts down. It wins over everything in flight.
func (s *Supervisor) tearDown(kind opKind, reply chan<- answer) {
	st := &s.st
	op := &operation{kind: kind, cancel: func() {}, done: make(chan struct{})}
	if reply != nil {
		op.replies = append(op.replies, reply)
	}
	previous := s.supersede(op)
	active := st.active
	st.active, st.health = nil, rotation.Health{}
	st.checkAt, st.timerAt, st.retryAt = time.Time{}, time.Time{}, time.Time{}
	st.attempts, st.message, st.crashes = 0, "", 0
	s.Front.SetTarget(nil)
	why := reason{reasonUser, "the user disconnected"}
	if kind == opShutdown {
		st.stopping = true
		why = reason{"daemon_shutdown", "the daemon was stopped"}
	} else {
		st.desired.Connected = false
	}
	desired := st.desired
	saved := make(chan error, 1)
	// First of all, so that a crash from here on does not reconnect.
	s.journal.Append(func(ctx context.Context) error { return s.Store.SetDesired(ctx, desired) }, func(err error) { saved <- err })
	var retired []*retirement
	for _, r := range st.retired {
		retired = append(retired, r)
	}
	s.work(func(ctx context.Context) func() {
		// It may be about to open the front, so it comes first; cancelled, it
		// does not take long.
		s.disposeOf(previous)
		var sessions sync.WaitGroup
		if active != nil {
			sessions.Go(func() { s.end(active, why) })
		}
		for _, r := range retired {
			r.hurry()
		}
		if err := s.Front.Close(); err != nil {
			s.Log.Error().Err(err).Msg("closing the front")
		}
		for _, r := range retired {
			<-r.done
		}
		sessions.Wait()
		err := <-saved
		// Nobody is told before the records are there.
		flush, cancel := context.WithTimeout(ctx, recordTime)
		defer cancel()
		if ferr := s.journal.Flush(flush); err == nil {
			err = ferr
		}
		close(op.done)
		return func() {
			if s.st.op == op {
				s.st.op = nil
			}
			s.st.frontOpen = false
			s.tornDown(op, active != nil, err)
		}
	})
}

// tornDown answers those who wait for the end of everything.
func (s *Supervisor) tornDown(op *operation, stopped bool, err error) {
	a := answer{payload: ipc.DisconnectPayload{StoppedSession: stopped}, message: "disconnected"}
	if !stopped {
		a.message = "was not connected"
	}
	if op.kind == opShutdown {
		s.st.ended = true
		a.payload = ipc.ShutdownPayload{DaemonReady: false, RuntimeDisconnected: stopped}
		a.message = "the daemon stops"
	}
	if err != nil {
		s.Log.Error().Err(err).Msg("saving the desired state")
		a.message += "; this could not be saved: " + err.Error()
	}
	op.answer(a)
}

// describeFront explains why the front does not open, naming the program that
// holds a port where the system tells.
func (s *Supervisor) describeFront(err error) error {
	var reasons []error
	for _, address := range []string{s.Settings.Front.SOCKS, s.Settings.Front.HTTP} {
		if taken := ports.CheckFree(address); taken != nil {
			reasons = append(reasons, taken)
		}
	}
	if len(reasons) == 0 {
		return fmt.Errorf("opening the front: %w", err)
	}
	return ipc.Errorf(ipc.CodeInvalidState, "opening the front: %v (its addresses are in the [front] section of the settings)", errors.Join(reasons...))
}
