package daemon

import (
	"context"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
)

// intent handles one request in the loop. Each is answered exactly once.
func (s *Supervisor) intent(r request) {
	if s.st.stopping && r.Type != ipc.KindDaemonShutdown {
		r.reply <- answer{err: errShuttingDown}
		return
	}
	switch r.Type {
	case ipc.KindRuntimeConnect:
		s.connect(r)
	case ipc.KindRuntimeReplace:
		s.replace(r)
	case ipc.KindRuntimeDisconnect:
		s.endSessions(r, opDisconnect)
	case ipc.KindDaemonShutdown:
		s.endSessions(r, opShutdown)
	case ipc.KindProxyStart, ipc.KindProxyStop:
		s.switchRotation(r)
	default:
		r.reply <- answer{err: ipc.Errorf(ipc.CodeInternalError, "the request %s has no handler", r.Type)}
	}
}

// occupied tells whether an intent of the user is being carried out, and says so.
// What the daemon does by itself gives way instead.
func (s *Supervisor) occupied(r request) bool {
	op := s.st.op
	if op == nil || !op.manual && op.kind != opDisconnect && op.kind != opShutdown {
		return false
	}
	doing := map[opKind]string{
		opConnect: "is connecting", opReplace: "is rotating", opDisconnect: "is disconnecting", opShutdown: "is shutting down",
	}[op.kind]
	advice := "wait for it"
	if op.manual {
		advice += ", or run `xrat disconnect` to stop it"
	}
	r.reply <- answer{err: ipc.Errorf(ipc.CodeBusy, "the daemon %s: %s", doing, advice)}
	return true
}

// connect starts a session, or moves to another config without a gap.
func (s *Supervisor) connect(r request) {
	st := &s.st
	if s.occupied(r) {
		return
	}
	if a := st.active; a != nil && st.frontOpen && (r.ConfigID == nil || *r.ConfigID == a.config.ID) {
		if st.op != nil { // the daemon's own, about to leave what the user wants
			s.abandon(st.op)
		}
		r.reply <- answer{
			payload: ipc.ConnectPayload{ConfigID: a.config.ID, SessionID: a.id, PID: a.core.Identity().PID, ConfigName: a.config.Name},
			message: "already connected to " + a.config.Name,
		}
		return
	}
	op := &operation{kind: opConnect, manual: true, replies: []chan<- answer{r.reply}}
	p := plan{
		checked: !r.Unchecked, trigger: ipc.TriggerManual, reason: reason{code: reasonUser, text: "the user asked for it"},
		openFront: !st.frontOpen, closeFront: !st.frontOpen && !st.desired.Connected,
	}
	if r.ConfigID != nil {
		op.wanted = *r.ConfigID
		p.candidates = s.selected(rotation.Selection{Only: r.ConfigID})
	} else {
		p.candidates = s.selected(rotation.Selection{Wanted: st.desired.ConfigID, Preference: rotation.PreferBest})
		p.keep = 1
	}
	s.begin(op, p)
}

// replace rotates, by hand or, when a client asks for one of those triggers, as
// the timer or the health check would.
func (s *Supervisor) replace(r request) {
	st := &s.st
	if s.occupied(r) {
		return
	}
	refuse := func(format string, args ...any) {
		r.reply <- answer{err: ipc.Errorf(ipc.CodeInvalidState, format, args...)}
	}
	active := st.active
	if active == nil && !st.desired.Connected {
		refuse("not connected: use `xrat connect`")
		return
	}
	why := reason{code: reasonUser, text: "the user asked for it"}
	if r.Trigger != ipc.TriggerManual {
		why = reason{code: string(r.Trigger), text: "a client asked for it"}
		if !s.rotates() {
			refuse("rotation is switched off: use `xrat proxy start`")
			return
		}
	}
	p := plan{checked: true, trigger: r.Trigger, reason: why, openFront: !st.frontOpen}
	var activeID int64
	if active != nil {
		activeID = active.config.ID
	}
	switch {
	case r.CandidateID != nil && active != nil && *r.CandidateID == activeID:
		refuse("%s is the active config already", active.config.Name)
		return
	case r.CandidateID != nil:
		p.candidates = s.selected(rotation.Selection{Only: r.CandidateID})
	case r.Trigger == ipc.TriggerHealthCheckFailed:
		p.candidates = s.selected(rotation.Selection{Preference: rotation.PreferBest, Exclude: []int64{activeID}})
	default:
		p.candidates = s.selected(rotation.Selection{Preference: rotation.PreferNext, Exclude: []int64{activeID}})
	}
	op := &operation{kind: opReplace, manual: true, replies: []chan<- answer{r.reply}}
	if r.CandidateID != nil {
		op.wanted = *r.CandidateID
	}
	s.begin(op, p)
}

// endSessions disconnects or shuts down; a second request for what is being
// done already waits for its end.
func (s *Supervisor) endSessions(r request, kind opKind) {
	if op := s.st.op; op != nil && (op.kind == kind || op.kind == opShutdown) {
		op.replies = append(op.replies, r.reply)
		return
	}
	s.tearDown(kind, r.reply)
}

// switchRotation turns automatic rotation on or off, for good.
func (s *Supervisor) switchRotation(r request) {
	st := &s.st
	st.desired.RotationOff = r.Type == ipc.KindProxyStop
	desired, payload := st.desired, ipc.ProxySwitchPayload{RotationEnabled: s.rotates()}
	message := "automatic rotation is on"
	switch {
	case st.desired.RotationOff:
		message = "automatic rotation is off"
		if op := st.op; op != nil && op.kind == opReplace && !op.manual {
			s.abandon(op)
		}
	case !payload.RotationEnabled:
		message = "automatic rotation stays off: rotation.enabled is false in the settings"
	}
	s.planTimer()
	s.journal.Append(func(ctx context.Context) error { return s.Store.SetDesired(ctx, desired) }, func(err error) {
		if err != nil {
			message += "; this could not be saved: " + err.Error()
		}
		r.reply <- answer{payload: payload, message: message}
	})
}
