package daemon

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
)

// Handle answers one request of a client; see ipc.Handler. What can be read is
// read without the loop; what changes something goes through it.
func (s *Supervisor) Handle(ctx context.Context, r ipc.Request) (payload any, message string, err error) {
	switch r.Type {
	case ipc.KindDaemonPing:
		return ipc.PingPayload{DaemonReady: !s.snapshot.Load().stopping, PID: s.pid, Version: s.Version}, "pong", nil
	case ipc.KindRuntimeStatus:
		return s.runtimeStatus(), "", nil
	case ipc.KindStatus:
		status := s.status()
		return status, status.Message, nil
	case ipc.KindProxyStatus:
		return s.status().Rotation, "", nil
	case ipc.KindConfigList, ipc.KindConfigImport, ipc.KindConfigUpdate, ipc.KindConfigRemove,
		ipc.KindSubscriptionAdd, ipc.KindSubscriptionList, ipc.KindSubscriptionUpdate, ipc.KindSubscriptionRemove:
		return s.catalog.Handle(ctx, r)
	case ipc.KindSessionList:
		payload, err := s.listSessions(ctx, r.Limit)
		return payload, "", err
	default:
		return s.ask(ctx, r)
	}
}

// Test measures configs; see ipc.Server.
func (s *Supervisor) Test(ctx context.Context, r ipc.Request) (<-chan ipc.TestEventPayload, error) {
	return s.tester.Test(ctx, r)
}

// Subscribe begins a subscription to the state; see ipc.Handler.
func (s *Supervisor) Subscribe() (<-chan ipc.EventPayload, func()) { return s.hub.subscribe(s.status) }

func (s *Supervisor) runtimeStatus() ipc.RuntimeStatusPayload {
	snap := s.snapshot.Load()
	status := snap.status
	p := ipc.RuntimeStatusPayload{
		DaemonReady: true, State: status.State, RuntimeStatus: string(store.StatusStopped),
		ActiveConfigID: status.Rotation.ActiveConfigID, InboundHealth: snap.endpoints,
	}
	switch {
	case status.Session != nil:
		id := status.Session.ID
		p.RuntimeOwned, p.PIDRunning, p.SessionID = true, true, &id
		p.RuntimeStatus = string(store.StatusRunning)
	case status.State == ipc.StateConnecting:
		p.RuntimeStatus = string(store.StatusStarting)
	case status.State == ipc.StateFailed:
		p.RuntimeStatus = string(store.StatusFailed)
	}
	return p
}

func (s *Supervisor) listSessions(ctx context.Context, limit int) (ipc.SessionListPayload, error) {
	payload := ipc.SessionListPayload{Sessions: []ipc.SessionRecordPayload{}}
	records, err := s.Store.Sessions(ctx, cmp.Or(max(limit, 0), 100))
	if err != nil {
		return payload, fmt.Errorf("reading the sessions: %w", err)
	}
	snap := s.snapshot.Load()
	for _, r := range records {
		p := ipc.SessionRecordPayload{
			ID: r.ID, ConfigID: r.ConfigID, ConfigName: r.ConfigName, Status: string(r.Status), Trigger: triggerOf(r),
			ReasonCode: r.ReasonCode, Reason: r.Reason, EndCode: r.EndCode, EndReason: r.EndReason,
			PID: r.PID, StartedAt: r.StartedAt, EndedAt: timeOrNil(r.EndedAt),
			UpBytes: r.UpBytes, DownBytes: r.DownBytes, Connections: r.Connections, Rotation: decodeRotation(r.Rotation),
		}
		if r.PreviousID != 0 {
			p.PreviousSessionID = &r.PreviousID
		}
		if r.ID == snap.sessionID {
			t := s.status().Traffic // newer than the record
			p.UpBytes, p.DownBytes, p.Connections = t.UpBytes, t.DownBytes, t.Connections
		}
		payload.Sessions = append(payload.Sessions, p)
	}
	return payload, nil
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
