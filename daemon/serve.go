package daemon

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/supervisor"
)

// Handle answers one request of a client; see ipc.Handler. What can be read is read without the
// loop; what changes a session goes through it.
func (d *Daemon) Handle(ctx context.Context, r ipc.Request) (payload any, message string, err error) {
	switch r.Type {
	case ipc.KindDaemonPing:
		return d.remote.Ping(), "pong", nil
	case ipc.KindRuntimeStatus:
		return d.remote.RuntimeStatus(), "", nil
	case ipc.KindStatus:
		status := d.remote.Status()
		return status, status.Message, nil
	case ipc.KindProxyStatus:
		return d.remote.Status().Rotation, "", nil
	case ipc.KindSessionList:
		payload, err := d.listSessions(ctx, r.Limit)
		return payload, "", err
	case ipc.KindRuntimeConnect, ipc.KindRuntimeReplace, ipc.KindRuntimeDisconnect, ipc.KindDaemonShutdown,
		ipc.KindProxyStart, ipc.KindProxyStop:
		return d.intend(ctx, r)
	default:
		return d.catalog.Handle(ctx, r)
	}
}

// Subscribe begins a subscription to the state; see ipc.Handler.
func (d *Daemon) Subscribe() (<-chan ipc.EventPayload, func()) { return d.remote.Subscribe() }

// Test measures configs; see ipc.Server.
func (d *Daemon) Test(ctx context.Context, r ipc.Request) (<-chan ipc.TestEventPayload, error) {
	return d.tester.Test(ctx, r)
}

// intend has the supervisor carry out what a request wants, and answers with what became of it.
func (d *Daemon) intend(ctx context.Context, r ipc.Request) (payload any, message string, err error) {
	var done supervisor.Done
	switch r.Type {
	case ipc.KindRuntimeConnect:
		done, err = d.remote.Connect(ctx, r.ConfigID, r.Unchecked)
		s := done.Session
		payload = ipc.ConnectPayload{ConfigID: s.ConfigID, SessionID: s.ID, PID: s.PID, ConfigName: s.ConfigName}
	case ipc.KindRuntimeReplace:
		done, err = d.remote.Replace(ctx, rotation.Trigger(r.Trigger), r.CandidateID)
		s := done.Session
		p := ipc.ReplacePayload{
			Trigger: ipc.Trigger(done.Trigger), Replaced: true,
			NewConfigID: s.ConfigID, NewSessionID: s.ID, NewPID: s.PID, NewConfigName: s.ConfigName,
		}
		if done.ReplacedID != 0 {
			p.OldSessionID = &done.ReplacedID
		}
		payload = p
	case ipc.KindRuntimeDisconnect:
		done, err = d.remote.Disconnect(ctx)
		payload = ipc.DisconnectPayload{StoppedSession: done.Stopped}
	case ipc.KindDaemonShutdown:
		if r.Keep {
			done, err = d.remote.Leave(ctx)
		} else {
			done, err = d.remote.Shutdown(ctx)
		}
		payload = ipc.ShutdownPayload{DaemonReady: false, RuntimeDisconnected: done.Stopped}
	default:
		done, err = d.remote.SwitchRotation(ctx, r.Type == ipc.KindProxyStart)
		payload = ipc.ProxySwitchPayload{RotationEnabled: done.Rotates}
	}
	if err != nil {
		return nil, "", err
	}
	return payload, done.Message, nil
}

// listSessions lists the records of sessions, the newest first.
func (d *Daemon) listSessions(ctx context.Context, limit int) (ipc.SessionListPayload, error) {
	payload := ipc.SessionListPayload{Sessions: []ipc.SessionRecordPayload{}}
	records, err := d.store.Sessions(ctx, cmp.Or(max(limit, 0), 100))
	if err != nil {
		return payload, fmt.Errorf("reading the sessions: %w", err)
	}
	status := d.remote.Status()
	for _, r := range records {
		p := sessionPayload(r)
		if status.Session != nil && r.ID == status.Session.ID { // newer than the record
			p.UpBytes, p.DownBytes, p.Connections = status.Traffic.UpBytes, status.Traffic.DownBytes, status.Traffic.Connections
		}
		payload.Sessions = append(payload.Sessions, p)
	}
	return payload, nil
}

// sessionPayload is a record as the wire shows it: without what identifies the process, and without
// the inbound's password.
func sessionPayload(r store.Session) ipc.SessionRecordPayload {
	p := ipc.SessionRecordPayload{
		ID: r.ID, ConfigID: r.ConfigID, ConfigName: r.ConfigName, Status: string(r.Status), Trigger: ipc.Trigger(r.Trigger),
		ReasonCode: r.ReasonCode, Reason: r.Reason, EndCode: r.EndCode, EndReason: r.EndReason,
		PID: r.PID, StartedAt: r.StartedAt, EndedAt: timeOrNil(r.EndedAt),
		UpBytes: r.UpBytes, DownBytes: r.DownBytes, Connections: r.Connections, Rotation: supervisor.ReportPayload(r.Rotation),
	}
	if r.PreviousID != 0 {
		p.PreviousSessionID = &r.PreviousID
	}
	return p
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
