package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

var errDiskSilent = errors.New("the disk does not answer")

// tearDown ends every session: for good when the user disconnects, until the
// next start when the daemon shuts down. It wins over everything in flight.
func (s *Supervisor) tearDown(kind opKind, reply chan<- answer) {
	st := &s.st
	op := &operation{kind: kind, cancel: func() {}, done: make(chan struct{}), disposed: make(chan struct{})}
	if reply != nil {
		op.replies = append(op.replies, reply)
	}
	previous := s.supersede(op)
	leaving := slices.Clone(st.leaving)
	st.tearing++
	active := st.active
	s.callOffCheck()
	standby, standbyOp := st.standby, st.standbyOp
	st.active, st.served, st.health = nil, nil, health{}
	st.standby, st.standbyOp = nil, nil
	st.checkAt, st.timerAt, st.retryAt, st.standbyAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	st.attempts, st.message, st.condition, st.crashes = 0, "", "", 0
	s.Front.SetTarget(nil)
	s.Front.SetStandby(nil)
	if standbyOp != nil {
		standbyOp.cancel()
	}
	why := reason{code: reasonUser, text: "the user disconnected"}
	if kind == opShutdown {
		st.stopping = true
		why = reason{code: "daemon_shutdown", text: "the daemon was stopped"}
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
		for _, l := range leaving {
			s.disposeOf(l)
		}
		s.disposeOf(standbyOp)
		var sessions sync.WaitGroup
		if active != nil {
			sessions.Go(func() { s.end(active, why) })
		}
		if standby != nil {
			sessions.Go(func() { s.discard(standby) })
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
		// Nobody is told before the records are there, if the disk answers at all.
		flush, cancel := context.WithTimeoutCause(ctx, recordTime, errDiskSilent)
		defer cancel()
		err := s.journal.Flush(flush)
		if err == nil {
			err = <-saved // written before the flush was
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
	s.st.tearing--
	a := answer{payload: ipc.DisconnectPayload{StoppedSession: stopped}, message: "disconnected"}
	if !stopped {
		a.message = "was not connected"
	}
	// A disconnect that the shutdown overtook is answered as well.
	s.st.ended = s.st.stopping && s.st.tearing == 0
	if op.kind == opShutdown {
		a.payload = ipc.ShutdownPayload{DaemonReady: false, RuntimeDisconnected: stopped}
		a.message = "the daemon stops"
	}
	if err != nil {
		s.Log.Error().Err(err).Msg("saving the desired state")
		a.message += "; this could not be saved: " + err.Error()
	}
	s.publish() // who is answered may ask for the status next
	op.answer(a)
}

// describeFront explains why the front does not open, naming the program that
// holds a port where the system tells.
func (s *Supervisor) describeFront(err error) error {
	var reasons []error
	for _, address := range []string{s.Settings.Front.SOCKS, s.Settings.Front.HTTP} {
		if taken := s.CheckFree(address); taken != nil {
			reasons = append(reasons, taken)
		}
	}
	if len(reasons) == 0 {
		return fmt.Errorf("opening the front: %w", err)
	}
	return ipc.Errorf(ipc.CodeInvalidState, "opening the front: %v (its addresses are in the [front] section of the settings)", errors.Join(reasons...))
}
