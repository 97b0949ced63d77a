package supervisor

import (
	"os"
	"reflect"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// tellSkew is how wrong the clock must be to be worth a warning: some protocols allow half a
// minute.
const tellSkew = 30 * time.Second

// snapshot is the state as the loop last published it. It is never changed.
type snapshot struct {
	status ipc.StatusPayload
	report *store.Report // of the last rotation; nil: none
	// all endpoints, the core's own inbound included
	endpoints  []ipc.EndpointPayload
	stopping   bool
	connecting bool // and it has not failed yet
	// what goes on changing between two publications
	sessionID     int64
	standbyID     int64 // 0: there is none
	carried       front.Counters
	cooldownUntil time.Time
}

// publish makes the state visible to readers and subscribers, if it has changed. Here, what the
// loop holds becomes what the wire shows.
func (s *Supervisor) publish() {
	next := &snapshot{
		stopping: s.stopping, connecting: s.desired.Connected && s.active == nil && s.retry.attempts == 0,
		cooldownUntil: s.rotation.cooldownUntil, report: s.rotation.report,
	}
	endpoints := s.Remote.listeners.endpoints(notChecked, notChecked)
	status := ipc.StatusPayload{
		State: s.name(), Message: s.message(), Condition: s.retry.condition.payload(), Attempts: s.retry.attempts,
		Daemon:  &ipc.DaemonPayload{PID: os.Getpid(), Ending: s.stopping, Losses: s.Losses, LossReason: s.LossReason},
		Standby: s.standby.payload(),
		Configs: s.configs, ConfigsRevision: s.revision,
		Warnings: append([]string{}, s.Warnings...),
		Rotation: s.proxyStatus(),
	}
	if s.skew.Abs() > tellSkew {
		status.Warnings = append(status.Warnings, "this computer's clock is wrong: "+probe.SkewText(s.skew.Round(tellSkew)))
	}
	if active := s.active; active != nil {
		id := active.Config.ID
		status.Rotation.ActiveConfigID = &id
		status.Session = &ipc.SessionPayload{
			ID: active.ID, ConfigID: id, ConfigName: active.Config.Name, PID: active.Core.Identity().PID,
			Trigger: ipc.Trigger(active.trigger), ReasonCode: active.reasonCode, StartedAt: active.startedAt,
			LatencyMillis: active.latency.Milliseconds(), Limit: active.limit,
		}
		if active.limit != "" && status.Condition == "" {
			status.Condition = ipc.ConditionLimited
		}
		next.sessionID, next.carried = active.ID, active.Carried
		endpoints = active.endpoints
	}
	if standby := s.standby.session; standby != nil {
		next.standbyID = standby.ID
	}
	for _, e := range endpoints {
		next.endpoints = append(next.endpoints, ipc.EndpointPayload{Protocol: e.protocol, Address: e.address, State: e.state, Detail: e.detail})
	}
	status.Inbounds = next.endpoints[:2:2]
	next.status = status
	if last := s.Remote.snapshot.Load(); last != nil && reflect.DeepEqual(last, next) {
		return
	}
	s.Remote.snapshot.Store(next)
	s.Remote.hub.send(s.Remote.Status)
}

// proxyStatus is the rotation as the wire shows it.
func (s *Supervisor) proxyStatus() ipc.ProxyStatusPayload {
	p := ipc.ProxyStatusPayload{
		DaemonReady: true, RotationEnabled: s.rotates(),
		IntervalSecs:         seconds(s.Settings.Rotation.Interval.Std()),
		HealthTriggerEnabled: s.Settings.Health.Enabled,
		CooldownSecs:         seconds(s.Settings.Rotation.Cooldown.Std()),
		LastResult:           s.rotation.lastResult, LastCandidateConfigID: s.rotation.lastCandidate,
		LastCandidateResult: s.rotation.candidateResult, ConsecutiveFailures: s.health.failures,
	}
	if trigger := ipc.Trigger(s.rotation.lastTrigger); trigger != "" {
		p.LastTrigger = &trigger
	}
	if !s.rotation.timerAt.IsZero() {
		at := s.rotation.timerAt.Unix()
		p.NextTimerEpochSecs = &at
	}
	return p
}

func (c condition) payload() ipc.Condition {
	return [...]ipc.Condition{conditionNone: "", conditionOffline: ipc.ConditionOffline, conditionNoWorking: ipc.ConditionNoWorking, conditionClock: ipc.ConditionClock}[c]
}

func (s standby) payload() *ipc.StandbyPayload {
	t := s.session
	if t == nil {
		return nil
	}
	return &ipc.StandbyPayload{
		ConfigID: t.Config.ID, ConfigName: t.Config.Name, PID: t.Core.Identity().PID,
		CheckedAt: t.verifiedAt, LatencyMillis: t.latency.Milliseconds(),
	}
}

// seconds rounds up, so that a short duration is not reported as none.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// Status returns the newest state with its moving parts filled in.
func (r *Remote) Status() ipc.StatusPayload {
	snap := r.snapshot.Load()
	status := snap.status
	status.LastRotation = ReportPayload(snap.report)
	self := *status.Daemon
	self.Version, self.UptimeSecs = r.version, int64(time.Since(r.startedAt).Seconds())
	status.Daemon = &self
	status.Rotation.CooldownActive = time.Now().Before(snap.cooldownUntil)
	if snap.sessionID == 0 {
		return status
	}
	c := r.counters(snap.sessionID)
	status.Traffic = ipc.TrafficPayload{
		UpBytes: snap.carried.UpBytes + c.UpBytes, DownBytes: snap.carried.DownBytes + c.DownBytes,
		Connections: snap.carried.Connections + c.Connections, Open: c.Open,
		Waited: c.Waited, Replayed: c.Replayed, Rescued: c.Rescued,
	}
	if snap.standbyID != 0 { // what was rescued counts where it went
		standby := r.counters(snap.standbyID)
		status.Traffic.Replayed += standby.Replayed
		status.Traffic.Rescued += standby.Rescued
	}
	return status
}

// RuntimeStatus returns the newest state in the short form of runtime_status.
func (r *Remote) RuntimeStatus() ipc.RuntimeStatusPayload {
	snap := r.snapshot.Load()
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

// Subscribe begins a subscription to the state; the channel is closed when the loop ends. The
// function ends it earlier.
func (r *Remote) Subscribe() (<-chan ipc.EventPayload, func()) { return r.hub.subscribe(r.Status) }
