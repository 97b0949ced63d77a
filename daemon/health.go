package daemon

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
)

const (
	// passiveSpacing is the shortest time between two checks that the front's
	// signals bring about.
	passiveSpacing = time.Second
	// saveSpacing is how often a session's counters, and how often what is known
	// of a config, are written while all is well.
	saveSpacing = time.Minute
	tellSpacing = 10 * time.Minute
)

// checkResult is what one health check saw.
type checkResult struct {
	core      error // why the core's inbound does not answer
	endpoints []ipc.EndpointPayload
	wayOut    probe.Result
	checked   bool // there are URLs to probe
}

func (r checkResult) ok() bool { return r.core == nil && (!r.checked || r.wayOut.OK) }

// startCheck checks the active session, unless something is going on that will
// replace it anyway.
func (s *Supervisor) startCheck(now time.Time) {
	st := &s.st
	w := st.active
	if w == nil {
		return
	}
	interval := s.Settings.Health.Interval.Std()
	if st.checking || st.op != nil {
		st.checkAt = now.Add(min(interval, time.Second))
		return
	}
	if !st.checkedAt.IsZero() && rotation.Slept(st.checkedAt, now, max(2*interval, 30*time.Second)) {
		s.Log.Info().Msg("the machine slept or its clock was set; health is counted anew")
		st.health = rotation.Health{}
	}
	st.checking = true
	s.work(func(ctx context.Context) func() {
		result := s.check(ctx, w)
		s.CapLog()
		return func() { s.checkedSession(w, result) }
	})
}

// check measures, in a worker, everything that a session needs to work.
func (s *Supervisor) check(ctx context.Context, w *session) checkResult {
	ctx, cancel := context.WithTimeout(ctx, 2*s.Settings.Health.Timeout.Std())
	defer cancel()
	var result checkResult
	var socksErr, httpErr error
	socks, http := s.frontInbounds()
	handshakes, stop := context.WithTimeout(ctx, s.Settings.Health.Timeout.Std())
	defer stop()
	var checks sync.WaitGroup
	checks.Go(func() { socksErr = s.Handshake(handshakes, socks) })
	checks.Go(func() { httpErr = s.HTTPInbound(handshakes, http) })
	checks.Go(func() { result.core = w.core.Health(handshakes) })
	if len(s.Settings.Health.URLs) > 0 {
		result.checked = true
		checks.Go(func() { result.wayOut = s.Probe(ctx, w.proxy()) })
	}
	checks.Wait()
	coreState := "reachable"
	if result.core != nil {
		coreState = "unreachable"
	}
	result.endpoints = s.endpoints(endpointState(socksErr), endpointState(httpErr), coreState)
	return result
}

func endpointState(err error) ipc.EndpointPayload {
	if err != nil {
		return ipc.EndpointPayload{State: "unreachable", Detail: err.Error()}
	}
	return ipc.EndpointPayload{State: "reachable"}
}

// frontInbounds are the front's listeners as a prober wants them.
func (s *Supervisor) frontInbounds() (socks, http probe.Proxy) {
	socksAddress, httpAddress := s.addresses()
	f := s.Settings.Front
	return probe.Proxy{Address: socksAddress, User: f.Username, Password: f.Password},
		probe.Proxy{Address: httpAddress, User: f.Username, Password: f.Password}
}

// addresses are where applications reach the front, or will once it is open.
func (s *Supervisor) addresses() (socks, http string) {
	socks, http = s.Front.Addresses()
	return cmp.Or(socks, s.Settings.Front.SOCKS), cmp.Or(http, s.Settings.Front.HTTP)
}

// endpoints lists the addresses with their states; the core's inbound, which is
// nobody's business but the daemon's, comes last and without its address.
func (s *Supervisor) endpoints(socks, http ipc.EndpointPayload, core string) []ipc.EndpointPayload {
	socks.Protocol, http.Protocol = "socks", "http"
	socks.Address, http.Address = s.addresses()
	return []ipc.EndpointPayload{socks, http, {Protocol: "core", State: core}}
}

// checkedSession draws the conclusions from a check.
func (s *Supervisor) checkedSession(w *session, result checkResult) {
	st := &s.st
	st.checking = false
	now := time.Now()
	if st.active != w {
		return // it is about a session that does not serve any more
	}
	st.checkedAt = now
	w.endpoints = result.endpoints
	threshold := s.Settings.Health.Threshold
	var verdict rotation.Verdict
	st.health, verdict = st.health.Record(result.ok(), threshold)
	st.checkAt = now.Add(st.health.Spacing(s.Settings.Health.Interval.Std(), threshold))
	s.saveCounters(w, now)
	if verdict == rotation.Alive {
		// A site whose connections end empty must not have the server asked
		// every second for hours.
		st.passiveWait = min(2*max(st.passiveWait, passiveSpacing), s.Settings.Health.Interval.Std())
		first := !w.verified
		w.verified, w.latency = w.verified || result.checked, result.wayOut.Latency
		if !result.checked {
			w.verified = true
		}
		st.attempts, st.message, st.rotateAfter = 0, "", time.Time{}
		if result.checked && (first || now.Sub(w.toldAt) > tellSpacing) {
			w.toldAt = now
			s.work(func(ctx context.Context) func() {
				s.recordOutcome(ctx, w.config.ID, func(h rotation.History) rotation.History { return h.Succeeded(now, result.wayOut.Latency) })
				return nil
			})
		}
		return
	}
	st.passiveWait = passiveSpacing
	cause := result.core
	code := "inbound_unreachable"
	if cause == nil {
		cause, code = result.wayOut.Err, "probe_"+result.wayOut.Class
	}
	text := fmt.Sprintf("%s: %v", sinceText(st.health.Failures), cause)
	s.Log.Info().Int64("session", w.id).Int("failures", st.health.Failures).Str("code", code).Err(cause).Msg("health check failed")
	if st.attempts == 0 {
		st.message = text
	}
	if verdict == rotation.Dead && s.Settings.Health.Enabled && s.rotates() && st.op == nil && !now.Before(st.rotateAfter) {
		s.healthRotation(reason{code: code, text: text})
	}
}

// passive takes a hint from the front that something may be wrong. It only
// brings the next check forward: what an application sees may be the fault of the
// place it connects to.
func (s *Supervisor) passive(signal front.Signal) {
	st := &s.st
	if st.active == nil || signal.TargetID != st.active.id || st.checking || st.op != nil {
		return
	}
	soonest := st.checkedAt.Add(max(st.passiveWait, passiveSpacing))
	if now := time.Now(); soonest.Before(now) {
		soonest = now
	}
	if st.checkAt.IsZero() || soonest.Before(st.checkAt) {
		st.checkAt = soonest
	}
}

// saveCounters writes a session's counters now and then, so that a crash of the
// daemon does not lose them all.
func (s *Supervisor) saveCounters(w *session, now time.Time) {
	c := s.counted(w)
	c.Open = 0
	if c == w.saved || now.Sub(w.savedAt) < saveSpacing {
		return
	}
	w.saved, w.savedAt = c, now
	s.journal.Append(func(ctx context.Context) error {
		s.note(ctx, w.id, func(r *store.Session) { r.UpBytes, r.DownBytes, r.Connections = c.UpBytes, c.DownBytes, c.Connections })
		return nil
	}, nil)
}
