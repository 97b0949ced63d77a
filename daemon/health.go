package daemon

import (
	"cmp"
	"context"
	"errors"
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
	// maxStrongWait is the longest time between two checks that strong hints bring
	// about although they were wrong before.
	maxStrongWait = 5 * time.Second
	// saveSpacing is how often a session's counters, and how often what is known
	// of a config, are written while all is well.
	saveSpacing = time.Minute
	tellSpacing = 10 * time.Minute
)

// health is what is known of the active session's way out.
type health struct {
	doubt    bool // a check is under way that has not begun well
	dead     bool // the last one found it dead
	failures int  // that it found
	good     int  // checks in a row that ended well since then
	since    time.Time
}

// recovered is how many checks in a row must end well for a session that was
// dead to be well again: one may be chance.
const recovered = 2

func (h health) doubtful() bool { return h.doubt || h.dead }

// checkResult is what one health check saw.
type checkResult struct {
	core      error // why the core's inbound does not answer
	endpoints []ipc.EndpointPayload
	findings
	control *store.Config // what the control was; nil: there was none
	urgent  bool          // strong hints had brought it about
	offline bool
}

// checkRun is a check in flight.
type checkRun struct{ cancel context.CancelFunc }

// callOffCheck ends the check in flight, whose session is not the active one any more.
func (s *Supervisor) callOffCheck() {
	if run := s.st.check; run != nil {
		run.cancel()
		s.st.check = nil
	}
}

// startCheck checks the active session, unless something is going on that will
// replace it anyway.
func (s *Supervisor) startCheck(now time.Time) {
	st := &s.st
	w := st.active
	if w == nil {
		return
	}
	interval := s.Settings.Health.Interval.Std()
	// A rotation may take long to find a candidate; the active session is watched
	// meanwhile.
	if st.check != nil || st.op != nil && st.op.kind != opReplace {
		st.checkAt = now.Add(min(interval, time.Second))
		return
	}
	if !st.checkedAt.IsZero() && rotation.Slept(st.checkedAt, now, max(2*interval, 30*time.Second)) {
		s.Log.Info().Msg("the machine slept or its clock was set; health is counted anew")
		st.health, st.hints, st.urgent = health{}, 0, false
	}
	ctx, cancel := context.WithCancel(s.base)
	run := &checkRun{cancel}
	st.check = run
	hinted, offline := st.urgent, st.condition == ipc.ConditionOffline
	st.urgent, st.hints = false, 0
	e := examination{
		threshold: s.Settings.Health.Threshold, timeout: s.Settings.Health.Timeout.Std(), usual: w.usual, urgent: hinted || st.health.dead,
		measure: s.measuring(w),
		doubtful: func() {
			s.tell(func() { st.health.doubt = st.health.doubt || st.active == w && st.check == run })
		},
	}
	var control *store.Config
	if st.standby != nil {
		e.control, control = s.measuring(st.standby), &st.standby.config
	}
	s.work(func(context.Context) func() {
		defer cancel()
		var result checkResult
		if offline && !s.Online(w.config.Address) {
			result.offline = true
		} else {
			result = s.check(ctx, w, e)
			result.control, result.urgent = control, hinted
			s.CapLog()
		}
		return func() { s.checkedSession(run, w, result) }
	})
}

// measuring returns how a session's way out is measured. Without URLs that is
// only whether its inbound answers.
func (s *Supervisor) measuring(w *session) func(context.Context, int) probe.Result {
	proxy, core := w.proxy(), w.core
	if len(s.Settings.Health.URLs) > 0 {
		return func(ctx context.Context, first int) probe.Result { return s.Probe(ctx, proxy, first) }
	}
	return func(ctx context.Context, _ int) probe.Result {
		ctx, cancel := context.WithTimeout(ctx, s.Settings.Health.Timeout.Std())
		defer cancel()
		if err := core.Health(ctx); err != nil {
			return probe.Result{Class: codeInbound, Err: err}
		}
		return probe.Result{OK: true, Class: probe.ClassOK}
	}
}

// codeInbound is the code of a core that does not answer.
const codeInbound = "inbound_unreachable"

// check measures, in a worker, everything that a session needs to work.
func (s *Supervisor) check(ctx context.Context, w *session, e examination) checkResult {
	var result checkResult
	var socksErr, httpErr error
	socks, http := s.frontInbounds()
	handshakes, stop := context.WithTimeout(ctx, s.Settings.Health.Timeout.Std())
	defer stop()
	var checks sync.WaitGroup
	checks.Go(func() { socksErr = s.Handshake(handshakes, socks) })
	checks.Go(func() { httpErr = s.HTTPInbound(handshakes, http) })
	checks.Go(func() {
		if err := w.core.Health(handshakes); handshakes.Err() == nil || errors.Is(handshakes.Err(), context.DeadlineExceeded) {
			result.core = err
		}
	})
	result.findings = e.run(ctx)
	if !result.alive {
		stop() // the verdict need not wait for the rest
		result.offline = !s.Online(w.config.Address)
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
func (s *Supervisor) checkedSession(run *checkRun, w *session, result checkResult) {
	st := &s.st
	if st.check != run {
		return // called off
	}
	st.check = nil
	now := time.Now()
	st.checkedAt = now
	if result.endpoints != nil {
		w.endpoints = result.endpoints
	}
	s.saveCounters(w, now)
	interval := s.Settings.Health.Interval.Std()
	switch {
	case result.offline:
		if !st.health.dead {
			st.health.since = now
		}
		st.health.doubt, st.health.dead, st.health.good = false, true, 0
		st.condition = ipc.ConditionOffline
		st.message = "offline: this machine has no route to the network; staying on " + w.config.Name
		st.checkAt = now.Add(offlineSpacing) // sends nothing
	case result.alive && !result.success.OK:
		st.checkAt = now.Add(interval) // called off
	case result.alive && result.core == nil:
		s.foundAlive(w, result, now)
	case result.alive && st.health.failures < s.Settings.Health.Threshold && !st.health.dead:
		// The way out works, the inbound did not answer once, or somebody shares
		// its port: that has to last to count.
		st.health.doubt = true
		st.health.failures++
		st.checkAt = now.Add(firstSpacing)
	default:
		s.foundDead(w, result, now)
	}
}

const (
	// offlineSpacing is how often an offline machine is asked for a route.
	offlineSpacing = time.Second
	// A dead server is looked at often at first: it may be the network that is
	// gone for a moment.
	deadSpacing     = time.Second
	longDeadSpacing = 5 * time.Second
	longDead        = time.Minute
)

func (s *Supervisor) foundAlive(w *session, result checkResult, now time.Time) {
	st := &s.st
	interval := s.Settings.Health.Interval.Std()
	st.checkAt = now.Add(interval)
	if st.health.doubt = false; st.health.dead {
		if st.health.good++; st.health.good < recovered {
			st.checkAt = now.Add(min(deadSpacing, interval))
			return
		}
	}
	st.health = health{}
	w.quiet = s.Front.Counters(w.id)
	if st.standby != nil {
		st.standby.quiet = s.Front.Counters(st.standby.id)
	}
	// A site whose connections end empty must not have the server asked every
	// second for hours.
	st.passiveWait = min(2*max(st.passiveWait, passiveSpacing), interval)
	if result.urgent { // the hint was wrong, as with a site that only this server cannot reach
		st.strongWait = min(2*max(st.strongWait, passiveSpacing), maxStrongWait, interval)
	} else {
		st.strongWait = max(st.strongWait/2, passiveSpacing)
	}
	if st.urgent { // there was another while the check ran
		st.checkAt = now.Add(min(st.strongWait, interval))
	}
	unmeasured := len(s.Settings.Health.URLs) == 0
	firstTime := !w.verified
	st.attempts, st.message, st.condition, st.rotateAfter = 0, "", "", time.Time{}
	if unmeasured {
		w.verified, w.verifiedAt = true, now
		return
	}
	w.measured(result.success.Latency)
	if firstTime {
		s.Front.SetTarget(w.target()) // with what is now known of its latency
	}
	if firstTime || now.Sub(w.toldAt) > tellSpacing {
		w.toldAt = now
		latency := result.success.Latency
		s.learn(w.config.ID, func(h rotation.History) rotation.History { return h.Succeeded(now, latency) })
	}
}

func (s *Supervisor) foundDead(w *session, result checkResult, now time.Time) {
	st := &s.st
	if !st.health.dead {
		st.health.since = now
	}
	st.health.doubt, st.health.dead, st.health.good = false, true, 0
	if st.condition == ipc.ConditionOffline {
		st.condition = ""
	}
	spacing := deadSpacing
	if now.Sub(st.health.since) > longDead {
		spacing = longDeadSpacing
	}
	st.checkAt = now.Add(min(spacing, s.Settings.Health.Interval.Std()))
	st.passiveWait, st.strongWait = passiveSpacing, passiveSpacing
	failures := st.health.failures
	st.health.failures = result.rounds
	cause, code := result.cause.Err, result.cause.Class
	if result.core != nil {
		cause, code = result.core, codeInbound
		st.health.failures = max(failures+1, result.rounds)
	}
	if code != codeInbound {
		code = "probe_" + code
	}
	text := fmt.Sprintf("%s: %v", sinceText(st.health.failures), cause)
	s.Log.Info().Int64("session", w.id).Int("failures", st.health.failures).Bool("control", result.controlOK).
		Str("code", code).Err(cause).Msg("health check failed")
	if st.attempts == 0 {
		st.message = text
	}
	if !s.Settings.Health.Enabled || !s.rotates() {
		return
	}
	if op := st.op; op != nil && (op.manual || op.trigger == ipc.TriggerHealthCheckFailed) {
		return // the timer's gives way
	}
	// After a search in vain the next one waits, unless there is an answer now.
	if now.Before(st.rotateAfter) && !result.controlOK {
		return
	}
	if _, allowed := st.pace.Allow(now); !allowed {
		return
	}
	s.healthRotation(reason{code: code, text: text}, result)
}

// hintsOfWeight is how many weak hints weigh as much as a strong one.
const hintsOfWeight = 3

// passive takes a hint from the front that something may be wrong. It only
// brings the next check forward: what an application sees may be the fault of the
// place it connects to. Another server that answered where this one was silent is
// a strong hint, on which the check begins in doubt.
func (s *Supervisor) passive(signal front.Signal) {
	st := &s.st
	if st.active == nil || signal.TargetID != st.active.id || st.op != nil && st.op.kind != opReplace {
		return
	}
	strong := signal.Kind == front.Rescued || signal.Kind == front.DialRefused
	if st.hints++; st.hints >= hintsOfWeight && signal.Kind == front.Silent {
		strong = true
	}
	if st.check != nil {
		st.urgent = st.urgent || strong
		return
	}
	wait := max(st.passiveWait, passiveSpacing)
	if strong {
		st.urgent, wait = true, max(st.strongWait, passiveSpacing)
	}
	soonest := st.checkedAt.Add(wait)
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
