package supervisor

import (
	"context"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
)

// reasonUser is the reason code of what the user asked for.
const reasonUser = "user_request"

// occupied reports whether an intent of the user is being carried out, and answers that. What the
// daemon does by itself gives way instead.
func (s *Supervisor) occupied(reply chan<- answer) bool {
	op := s.op
	if op == nil || !op.manual && op.kind != opDisconnect && op.kind != opShutdown && op.kind != opLeave {
		return false
	}
	doing := map[opKind]string{
		opConnect: "is connecting", opReplace: "is rotating", opDisconnect: "is disconnecting", opShutdown: "is shutting down", opLeave: "is restarting",
	}[op.kind]
	advice := "wait for it"
	if op.manual {
		advice += ", or run `xrat disconnect` to stop it"
	}
	reply <- answer{err: ipc.Errorf(ipc.CodeBusy, "the daemon %s: %s", doing, advice)}
	return true
}

// connect starts a session, or moves to another config without a gap.
func (s *Supervisor) connect(configID *int64, unchecked bool, reply chan<- answer) {
	if s.occupied(reply) {
		return
	}
	if a := s.active; a != nil && s.frontOpen && (configID == nil || *configID == a.Config.ID) {
		if s.op != nil { // the daemon's own, about to leave what the user wants
			s.abandon(s.op)
		}
		reply <- answer{done: Done{Message: "already connected to " + a.Config.Name, Session: a.serving()}}
		return
	}
	op := &operation{kind: opConnect, manual: true, replies: []chan<- answer{reply}}
	spec := session.Spec{
		Checked: !unchecked, Trigger: rotation.TriggerManual, Reason: session.Reason{Code: reasonUser, Text: "the user asked for it"},
		OpenFront: !s.frontOpen, CloseFront: !s.frontOpen && !s.desired.Connected,
	}
	if configID != nil {
		op.wanted = *configID
		spec.Candidates = selected(s.Catalog, rotation.Selection{Only: configID})
	} else {
		spec.Candidates = selected(s.Catalog, rotation.Selection{Wanted: s.desired.ConfigID, Ruled: true, Preference: rotation.PreferBest})
		spec.Keep = 1
	}
	s.begin(op, spec)
}

// replace rotates, by hand or, when a client asks for one of those triggers, as the timer or the
// health check would.
func (s *Supervisor) replace(trigger rotation.Trigger, configID *int64, reply chan<- answer) {
	if s.occupied(reply) {
		return
	}
	refuse := func(format string, args ...any) {
		reply <- answer{err: ipc.Errorf(ipc.CodeInvalidState, format, args...)}
	}
	if s.active == nil && !s.desired.Connected {
		refuse("not connected: use `xrat connect`")
		return
	}
	why := session.Reason{Code: reasonUser, Text: "the user asked for it"}
	if trigger != rotation.TriggerManual {
		why = session.Reason{Code: string(trigger), Text: "a client asked for it"}
		if !s.rotates() {
			refuse("rotation is switched off: use `xrat proxy start`")
			return
		}
	}
	op := &operation{kind: opReplace, manual: true, replies: []chan<- answer{reply}}
	selection := rotation.Selection{Preference: rotation.PreferNext}
	if s.active != nil {
		selection.Exclude = []int64{s.active.Config.ID}
	}
	switch {
	case configID != nil && s.active != nil && *configID == s.active.Config.ID:
		refuse("%s is the active config already", s.active.Config.Name)
		return
	case configID != nil:
		op.wanted = *configID
		selection.Only = configID
	case trigger == rotation.TriggerHealthCheckFailed:
		selection.Preference = rotation.PreferBest
	}
	s.begin(op, session.Spec{
		Candidates: selected(s.Catalog, selection), Checked: true, Work: selection.Only == nil && !s.noPages, Trigger: trigger, Reason: why, OpenFront: !s.frontOpen,
	})
}

// endSessions disconnects, shuts down or leaves; a second intent for what is being done already
// waits for its end.
func (s *Supervisor) endSessions(kind opKind, reply chan<- answer) {
	if op := s.op; op != nil && (op.kind == kind || op.kind == opShutdown) {
		op.replies = append(op.replies, reply)
		return
	}
	if kind == opLeave {
		s.leave(reply)
		return
	}
	s.tearDown(kind, reply)
}

// switchRotation turns automatic rotation on or off, for good.
func (s *Supervisor) switchRotation(on bool, reply chan<- answer) {
	s.desired.RotationOff = !on
	done := Done{Message: "automatic rotation is on", Rotates: s.rotates()}
	switch {
	case !on:
		done.Message = "automatic rotation is off"
		if op := s.op; op != nil && op.kind == opReplace && !op.manual {
			s.abandon(op)
		}
	case !done.Rotates:
		done.Message = "automatic rotation stays off: rotation.enabled is false in the settings"
	}
	s.planTimer()
	desired, store := s.desired, s.Store
	s.journal.Append(func(ctx context.Context) error { return store.SetDesired(ctx, desired) }, func(err error) {
		if err != nil {
			done.Message += "; this could not be saved: " + err.Error()
		}
		reply <- answer{done: done}
	})
}

// serving is the session as whoever asked for it is told.
func (t *tracked) serving() Serving {
	return Serving{ID: t.ID, ConfigID: t.Config.ID, ConfigName: t.Config.Name, PID: t.Core.Identity().PID}
}
