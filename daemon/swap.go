package daemon

import (
	"context"
	"encoding/json"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
)

// swap makes next the session that serves, and lets the one before drain.
func (s *Supervisor) swap(op *operation, next *session) {
	st := &s.st
	old := st.active
	st.active = next
	next.servingSince = time.Now()
	st.health, st.hints, st.urgent, st.strongWait, st.condition = health{}, 0, false, passiveSpacing, ""
	s.callOffCheck()
	next.standby = false
	s.Front.SetTarget(next.target())
	failpoint("after-swap")
	next.endpoints = s.endpoints(notChecked, notChecked, "reachable")
	rotated := json.RawMessage(nil)
	if from := st.served; from != nil && from.config.ID != next.config.ID {
		s.noteRotated(op, from, next)
		rotated = encodeRotation(st.lastRotation)
	}
	if st.crashing != next.config.ID {
		st.crashing, st.crashes = next.config.ID, 0
	}
	st.served = next
	st.timerAt = time.Time{}
	s.planTimer()
	if !next.watched {
		next.watched = true
		s.watch(next)
	} else {
		select {
		case <-next.core.Done(): // the loop was told while an operation had it
			s.work(func(context.Context) func() { return func() { s.coreExited(next) } })
		default:
		}
	}
	if st.standby != nil && st.standby.config.ID == next.config.ID {
		s.dropStandby()
	}
	st.checkAt = time.Now() // all of it has been asked soon after, the front included
	st.passiveWait = passiveSpacing
	st.standbyAt = time.Now().Add(standbyPause)
	st.desired.Connected, st.desired.ConfigID = true, next.config.ID
	desired := st.desired
	s.Log.Info().Int64("session", next.id).Int64("config", next.config.ID).Int("pid", next.core.Identity().PID).
		Str("trigger", string(next.trigger)).Str("reason", next.reasonCode).Msg("session serves")
	s.publish() // who is answered may ask for the status next
	s.journal.Append(func(ctx context.Context) error {
		s.note(ctx, next.id, func(r *store.Session) { r.Status, r.Rotation = store.StatusRunning, rotated })
		return s.Store.SetDesired(ctx, desired)
	}, func(err error) {
		message := "connected to " + next.config.Name
		if err != nil {
			s.Log.Error().Err(err).Msg("saving the desired state")
			message += "; this could not be saved, so that it is forgotten when the daemon restarts: " + err.Error()
		}
		op.answer(answer{payload: op.payload(next), message: message})
	})
	// After the record of the one that serves now, so that there is always one.
	if old != nil {
		why := op.reason
		why.dead = op.trigger == ipc.TriggerHealthCheckFailed && !op.manual
		s.retire(old, why, op.began)
	}
}

// payload is what the request for op is answered with.
func (op *operation) payload(next *session) any {
	pid := next.core.Identity().PID
	if op.kind != opReplace {
		return ipc.ConnectPayload{ConfigID: next.config.ID, SessionID: next.id, PID: pid, ConfigName: next.config.Name}
	}
	p := ipc.ReplacePayload{
		Trigger: op.trigger, Replaced: true,
		NewConfigID: next.config.ID, NewSessionID: next.id, NewPID: pid, NewConfigName: next.config.Name,
	}
	if op.from != nil {
		p.OldSessionID = &op.from.id
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
