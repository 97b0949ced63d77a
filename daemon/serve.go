package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/link"
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
	case ipc.KindConfigList:
		payload, err := s.listConfigs(ctx)
		return payload, "", err
	case ipc.KindConfigImport:
		return s.importConfigs(ctx, r.Text)
	case ipc.KindConfigRemove:
		return s.removeConfigs(ctx, r.IDs)
	case ipc.KindSessionList:
		payload, err := s.listSessions(ctx, r.Limit)
		return payload, "", err
	default:
		return s.ask(ctx, r)
	}
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

func (s *Supervisor) listConfigs(ctx context.Context) (ipc.ConfigListPayload, error) {
	payload := ipc.ConfigListPayload{Configs: []ipc.ConfigPayload{}}
	k, err := s.lookUp(ctx)
	if err != nil {
		return payload, err
	}
	active := s.snapshot.Load().status.Rotation.ActiveConfigID
	now := time.Now()
	ranks := make(map[int64]int, len(k.candidates))
	for i, c := range rotation.Rank(now, rotation.PreferBest, 0, k.candidates) {
		ranks[c.ConfigID] = i + 1
	}
	for _, c := range k.candidates {
		p, h := configPayload(k.configs[c.ConfigID]), c.History
		p.Rank = ranks[c.ConfigID]
		p.Active = active != nil && *active == c.ConfigID
		p.Successes, p.Failures, p.LatencyMillis = h.Successes, h.Failures, h.Latency.Milliseconds()
		p.LastSuccess, p.LastFailure = timeOrNil(h.LastSuccess), timeOrNil(h.LastFailure)
		payload.Configs = append(payload.Configs, p)
	}
	return payload, nil
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// configPayload is a config without its secrets.
func configPayload(c store.Config) ipc.ConfigPayload {
	return ipc.ConfigPayload{
		ID: c.ID, Name: c.Name, Protocol: c.Protocol, Address: c.Address, Port: c.Port,
		Network: c.Network, Security: c.Security, Source: c.Source, CreatedAt: c.CreatedAt,
	}
}

// importConfigs stores the good links of a text and names the bad ones.
func (s *Supervisor) importConfigs(ctx context.Context, text string) (any, string, error) {
	payload := ipc.ConfigImportPayload{Added: []ipc.ConfigPayload{}, Existing: []ipc.ConfigPayload{}, Errors: []ipc.ImportErrorPayload{}}
	var configs []store.Config
	for _, line := range link.ParseList(text) {
		if line.Err != nil {
			e := ipc.ImportErrorPayload{Line: line.Number, Code: "invalid", Message: line.Err.Error()}
			var bad *link.Error
			if errors.As(line.Err, &bad) {
				e.Code = bad.Code
			}
			payload.Errors = append(payload.Errors, e)
			continue
		}
		configs = append(configs, configOf(line.Link))
	}
	added, existing, err := s.Store.AddConfigs(ctx, configs)
	s.configsChanged(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("storing the configs: %w", err)
	}
	for _, c := range added {
		payload.Added = append(payload.Added, configPayload(c))
	}
	for _, c := range existing {
		payload.Existing = append(payload.Existing, configPayload(c))
	}
	return payload, fmt.Sprintf("%d added, %d there already, %d not understood", len(added), len(existing), len(payload.Errors)), nil
}

func configOf(l link.Link) store.Config {
	return store.Config{
		Name: cmp.Or(l.Name, net.JoinHostPort(l.Host, strconv.Itoa(int(l.Port)))),
		Link: l.URI(), Identity: l.Identity(),
		Protocol: string(l.Protocol), Address: l.Host, Port: l.Port, Network: l.Network(), Security: l.Security(),
		Source: "import", CreatedAt: time.Now(),
	}
}

func (s *Supervisor) removeConfigs(ctx context.Context, ids []int64) (any, string, error) {
	active := s.snapshot.Load().status.Session
	for _, id := range ids {
		if active != nil && id == active.ConfigID {
			return nil, "", ipc.Errorf(ipc.CodeInvalidState, "%s is in use: run `xrat disconnect` or `xrat rotate` first", active.ConfigName)
		}
		if _, err := s.Store.Config(ctx, id); errors.Is(err, store.ErrNotFound) {
			return nil, "", ipc.Errorf(ipc.CodeNotFound, "there is no config %d: see `xrat list`", id)
		}
	}
	removed, err := s.Store.RemoveConfigs(ctx, ids)
	s.configsChanged(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("removing configs: %w", err)
	}
	return ipc.ConfigRemovePayload{Removed: removed}, fmt.Sprintf("%d removed", removed), nil
}

// configsChanged lets the loop know how many there are now, and through it the
// subscribers. A change that failed halfway counts, too.
func (s *Supervisor) configsChanged(ctx context.Context) {
	configs, err := s.Store.Configs(ctx)
	if err != nil {
		s.Log.Error().Err(err).Msg("counting the configs")
		return
	}
	select {
	case s.reports <- func() {
		s.st.configs = len(configs)
		s.st.revision++
		if s.st.standby == nil {
			s.st.standbys, s.st.standbyAt = 0, time.Time{}
		}
	}:
	case <-s.ended:
	}
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
