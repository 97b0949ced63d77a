package daemon

import (
	"reflect"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
)

// snapshot is the state as the loop last published it. It is never changed.
type snapshot struct {
	status ipc.StatusPayload
	// all endpoints, the core's own inbound included
	endpoints []ipc.EndpointPayload
	// what goes on changing between two publications
	stopping      bool
	connecting    bool // for the first time, or again, and it has not failed yet
	sessionID     int64
	standbyID     int64 // 0: there is none
	carried       front.Counters
	cooldownUntil time.Time
}

var notChecked = ipc.EndpointPayload{State: "not_checked"}

// publish makes the state visible to readers and subscribers, if it has changed.
func (s *Supervisor) publish() {
	st := &s.st
	next := &snapshot{stopping: st.stopping, connecting: st.desired.Connected && st.active == nil && st.attempts == 0, cooldownUntil: st.cooldownUntil, endpoints: s.endpoints(notChecked, notChecked, "not_checked")}
	status := ipc.StatusPayload{
		State: st.name(), Message: st.message, Condition: st.condition, Attempts: st.attempts, LastRotation: st.lastRotation,
		Standby: s.standbyPayload(),
		Configs: st.configs, ConfigsRevision: st.revision,
		Warnings: append([]string{}, s.Warnings...),
		Rotation: ipc.ProxyStatusPayload{
			DaemonReady: true, RotationEnabled: s.rotates(),
			IntervalSecs:         seconds(s.Settings.Rotation.Interval.Std()),
			HealthTriggerEnabled: s.Settings.Health.Enabled,
			CooldownSecs:         seconds(s.Settings.Rotation.Cooldown.Std()),
			LastTrigger:          st.lastTrigger, LastResult: st.lastResult,
			LastCandidateConfigID: st.lastCandidate, LastCandidateResult: st.lastVerdict,
			ConsecutiveFailures: st.health.failures,
		},
	}
	if !st.timerAt.IsZero() {
		at := st.timerAt.Unix()
		status.Rotation.NextTimerEpochSecs = &at
	}
	if w := st.active; w != nil {
		id := w.config.ID
		status.Rotation.ActiveConfigID = &id
		status.Session = &ipc.SessionPayload{
			ID: w.id, ConfigID: id, ConfigName: w.config.Name, PID: w.core.Identity().PID,
			Trigger: w.trigger, ReasonCode: w.reasonCode, StartedAt: w.startedAt, LatencyMillis: w.latency.Milliseconds(),
		}
		next.sessionID, next.carried, next.endpoints = w.id, w.carried, w.endpoints
	}
	if st.standby != nil {
		next.standbyID = st.standby.id
	}
	status.Inbounds = next.endpoints[:2:2]
	next.status = status
	if last := s.snapshot.Load(); last != nil && reflect.DeepEqual(last, next) {
		return
	}
	s.snapshot.Store(next)
	s.hub.send(func() ipc.StatusPayload { return s.status() })
}

// seconds rounds up, so that a short duration is not reported as none.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// status returns the newest state with its moving parts filled in. Any goroutine
// may call it.
func (s *Supervisor) status() ipc.StatusPayload {
	snap := s.snapshot.Load()
	status := snap.status
	status.Daemon = &ipc.DaemonPayload{PID: s.pid, Version: s.Version, UptimeSecs: int64(time.Since(s.startedAt).Seconds())}
	status.Rotation.CooldownActive = time.Now().Before(snap.cooldownUntil)
	if snap.sessionID != 0 {
		c := s.Front.Counters(snap.sessionID)
		status.Traffic = ipc.TrafficPayload{
			UpBytes: snap.carried.UpBytes + c.UpBytes, DownBytes: snap.carried.DownBytes + c.DownBytes,
			Connections: snap.carried.Connections + c.Connections, Open: c.Open,
			Waited: c.Waited, Replayed: c.Replayed, Rescued: c.Rescued,
		}
		if snap.standbyID != 0 { // what was rescued counts where it went
			standby := s.Front.Counters(snap.standbyID)
			status.Traffic.Replayed += standby.Replayed
			status.Traffic.Rescued += standby.Rescued
		}
	}
	return status
}

// hub hands the newest state to every subscriber, without waiting for any.
type hub struct {
	mu          sync.Mutex
	seq         uint64
	closed      bool
	subscribers map[chan ipc.EventPayload]struct{}
}

func (h *hub) send(status func() ipc.StatusPayload) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	if len(h.subscribers) == 0 {
		return
	}
	event := ipc.EventPayload{Seq: h.seq, Status: status()}
	for c := range h.subscribers {
		select {
		case <-c: // an older state that nobody has taken
		default:
		}
		c <- event // has room: only this function sends, under the lock
	}
}

func (h *hub) subscribe(status func() ipc.StatusPayload) (<-chan ipc.EventPayload, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := make(chan ipc.EventPayload, 1)
	if h.closed {
		close(c)
		return c, func() {}
	}
	if h.subscribers == nil {
		h.subscribers = make(map[chan ipc.EventPayload]struct{})
	}
	h.subscribers[c] = struct{}{}
	c <- ipc.EventPayload{Seq: h.seq, Status: status()}
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subscribers, c)
	}
}

// close ends every subscription.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for c := range h.subscribers {
		close(c)
	}
	h.subscribers = nil
}

func triggerOf(r store.Session) ipc.Trigger { return ipc.Trigger(r.Trigger) }
