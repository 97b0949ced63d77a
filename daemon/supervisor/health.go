package supervisor

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/xrat-tray/xrat/daemon/liveness"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
)

const (
	// hintSpacing is the shortest time between two checks that the front's hints bring about.
	hintSpacing = time.Second
	// maxStrongWait is the longest time between two checks that strong hints bring about although
	// they were wrong before.
	maxStrongWait = 5 * time.Second
	// hintsOfWeight is how many weak hints weigh as much as a strong one.
	hintsOfWeight = 3
	// saveSpacing is how often a session's counters, and tellSpacing how often what is known of a
	// config, are written while all is well.
	saveSpacing = time.Minute
	tellSpacing = 10 * time.Minute

	// inboundSpacing is how soon a core whose inbound did not answer once is asked again.
	inboundSpacing = 200 * time.Millisecond
	// offlineSpacing is how often an offline machine is asked for a route.
	offlineSpacing = time.Second
	// A dead server is looked at often at first: it may be the network that is gone for a moment.
	deadSpacing     = time.Second
	longDeadSpacing = 5 * time.Second
	longDead        = time.Minute
	// inboundsTime is how long the inbounds are believed to be well, if the way out is.
	inboundsTime = 2 * time.Minute
	// silentAgain is how soon after it took the place of a silent core another one must not fall
	// silent, too: then there is more to it.
	silentAgain = 5 * time.Second
	// slowChecks is how many checks in a row must be far slower than those of the standby for the
	// server to be left.
	slowChecks = 3
	// slowSpacing lies between these.
	slowSpacing = 2 * time.Second
	// recovered is how many checks in a row must end well for a session that was dead to be well
	// again: one may be chance.
	recovered = 2
)

// callOffCheck ends the check in flight, whose session is not the active one any more.
func (s *Supervisor) callOffCheck() {
	if c := s.health.check; c != nil {
		c.cancel()
		s.health.check = nil
	}
}

// startCheck checks the active session, unless something is going on that will replace it anyway.
func (s *Supervisor) startCheck(now time.Time) {
	active := s.active
	if active == nil {
		return
	}
	interval := s.Settings.Health.Interval.Std()
	// A rotation may take long to find a candidate; the active session is watched meanwhile.
	if s.health.check != nil || s.op != nil && s.op.kind != opReplace {
		s.health.dueAt = now.Add(min(interval, time.Second))
		return
	}
	if last := s.health.checkedAt; !last.IsZero() && s.Slept(last, now, max(2*interval, 30*time.Second)) {
		s.Log.Info().Msg("the machine slept or its clock was set; health is counted anew")
		s.health.verdict, s.health.hints, s.health.urgent = verdict{}, 0, false
	}
	ctx, cancel := context.WithCancel(s.workers.base)
	run, remote, checker := &check{cancel}, s.Remote, s.checker
	hinted := s.health.urgent
	order := checkOrder{
		session: active.Session, offline: s.retry.condition == conditionOffline, inbounds: s.asksInbounds(active, now),
		exam: liveness.Examination{
			Threshold: s.Settings.Health.Threshold, Timeout: s.Settings.Health.Timeout.Std(),
			Usual: active.usual, Urgent: hinted || s.health.dead || s.health.slow > 0,
		},
		doubtful: func() {
			remote.tell(func(s *Supervisor) { s.health.doubt = s.health.doubt || s.health.check == run })
		},
	}
	if standby := s.standby.session; standby != nil {
		order.control, order.exam.Control = standby.Session, true
	}
	weakly := s.health.hints > 0
	s.health.check, s.health.urgent, s.health.hints = run, false, 0
	work(s, func(context.Context) checkResult {
		defer cancel()
		return checker.check(ctx, order)
	}, func(s *Supervisor, result checkResult) {
		if s.health.check == run { // else it was called off
			result.urgent, result.hinted = hinted, hinted || weakly
			s.checked(active, result)
		}
	})
}

// asksInbounds reports whether a check asks the inbounds, which wakes three processes: not when
// they were well a moment ago and nothing hints at trouble.
func (s *Supervisor) asksInbounds(active *tracked, now time.Time) bool {
	well := !slices.ContainsFunc(active.endpoints, func(e endpoint) bool { return e.state != reachable })
	return !well || s.health.urgent || s.health.doubtful() || now.Sub(active.askedAt) >= inboundsTime
}

// checked draws the conclusions from a check of the active session.
func (s *Supervisor) checked(active *tracked, result checkResult) {
	now := time.Now()
	s.health.check, s.health.checkedAt = nil, now
	if result.endpoints != nil {
		active.endpoints, active.askedAt = result.endpoints, now
	}
	s.saveCounters(active, now)
	switch {
	case result.offline:
		s.foundOffline(active, now)
	case result.findings.Alive && !result.findings.Success.OK:
		s.health.dueAt = now.Add(s.Settings.Health.Interval.Std()) // called off
	case !result.findings.Alive && result.findings.Cause.Class == probe.ClassClock:
		s.foundClock(result.findings.Cause, now)
	case result.findings.Alive && result.core == nil:
		s.foundAlive(active, result, now)
	case result.findings.Alive && s.health.failures < s.Settings.Health.Threshold && !s.health.dead:
		// The way out works, the inbound did not answer once, or somebody shares its port: that has
		// to last to count.
		s.health.doubt = true
		s.health.failures++
		s.health.dueAt = now.Add(inboundSpacing)
	default:
		s.foundDead(result, now)
	}
}

// died notes that the session is dead, which it may have been before.
func (v *verdict) died(now time.Time) {
	if !v.dead {
		v.since = now
	}
	v.doubt, v.dead, v.good = false, true, 0
}

func (s *Supervisor) foundOffline(active *tracked, now time.Time) {
	s.health.died(now)
	s.retry.condition = conditionOffline
	s.retry.message = "offline: this machine has no route to the network; staying on " + active.Config.Name
	s.health.dueAt = now.Add(offlineSpacing) // sends nothing
}

// foundClock is where checks are held to fail because of this computer's clock: no other server
// would do better.
func (s *Supervisor) foundClock(cause liveness.Result, now time.Time) {
	s.health.died(now)
	s.skew = cause.Skew
	s.retry.condition, s.retry.message = conditionClock, cause.Err.Error()
	s.health.dueAt = now.Add(longDeadSpacing)
}

func (s *Supervisor) foundAlive(active *tracked, result checkResult, now time.Time) {
	interval := s.Settings.Health.Interval.Std()
	s.health.dueAt = now.Add(interval)
	if s.health.doubt = false; s.health.dead {
		if s.health.good++; s.health.good < recovered {
			s.health.dueAt = now.Add(min(deadSpacing, interval))
			return
		}
	}
	s.skew = result.findings.Success.Skew
	slow := 0
	if result.findings.Slow() || s.health.slow > 0 && !result.findings.ControlOK { // or nobody knows
		slow = s.health.slow + 1
	}
	s.health.verdict = verdict{slow: slow}
	if result.hinted {
		s.Front.Answers(active.ID)
	}
	// The probe has just asked the front whether it has come back, so that they are new.
	active.quiet = s.Front.Recent(active.ID)
	if standby := s.standby.session; standby != nil {
		standby.quiet = s.Front.Recent(standby.ID)
	}
	s.health.weighHints(result.urgent, interval)
	if s.health.urgent { // there was another strong hint while the check ran
		s.health.dueAt = now.Add(min(s.health.strongWait, interval))
	}
	s.retry = retry{at: s.retry.at}
	firstTime := !active.verified
	if len(s.Settings.Health.URLs) == 0 { // nothing was measured
		active.verified, active.verifiedAt = true, now
		return
	}
	latency := result.findings.Success.Latency
	usual := active.usual
	if active.measured(now, latency); slow > 0 {
		active.usual = usual // that is what it is not
		s.health.dueAt = now.Add(min(slowSpacing, interval))
	}
	if firstTime {
		s.Front.SetTarget(active.target()) // with what is now known of its latency
	}
	s.recordAlive(active, firstTime, now)
	if slow >= slowChecks && result.findings.Slow() {
		s.foundSlow(active, result, now)
	}
}

// weighHints has hints count for less after a check that ended well. A site whose connections end
// empty must not have the server asked every second for hours.
func (h *health) weighHints(urgent bool, interval time.Duration) {
	h.weakWait = min(2*max(h.weakWait, hintSpacing), interval)
	if urgent { // the hint was wrong, as with a site that only this server cannot reach
		h.strongWait = min(2*max(h.strongWait, hintSpacing), maxStrongWait, interval)
	} else {
		h.strongWait = max(h.strongWait/2, hintSpacing)
	}
}

// recordAlive has what is known of a session's config written, now and then.
func (s *Supervisor) recordAlive(t *tracked, atOnce bool, now time.Time) {
	if atOnce || now.Sub(t.toldAt) > tellSpacing {
		t.toldAt = now
		s.learn(rotation.Worked(t.Config.ID, now, t.latency))
	}
}

func (s *Supervisor) foundDead(result checkResult, now time.Time) {
	active := s.active
	s.health.died(now)
	if s.retry.condition == conditionOffline || s.retry.condition == conditionClock {
		s.retry.condition = conditionNone
	}
	spacing := deadSpacing
	if now.Sub(s.health.since) > longDead {
		spacing = longDeadSpacing
	}
	s.health.dueAt = now.Add(min(spacing, s.Settings.Health.Interval.Std()))
	s.health.weakWait, s.health.strongWait = hintSpacing, hintSpacing
	cause, code := result.findings.Cause.Err, "probe_"+result.findings.Cause.Class
	if result.core != nil {
		cause, code = fmt.Errorf("the core does not serve: %w", result.core), codeInbound
		s.health.failures = max(s.health.failures+1, result.findings.FailedRounds)
	} else {
		s.health.failures = result.findings.FailedRounds
		if result.findings.Cause.Class == codeInbound {
			code = codeInbound
		}
	}
	text := fmt.Sprintf("%s: %v", failedChecks(s.health.failures), cause)
	s.Log.Info().Int64("session", active.ID).Int("failures", s.health.failures).Bool("control", result.findings.ControlOK).
		Str("code", code).Err(cause).Msg("health check failed")
	if s.retry.attempts == 0 {
		s.retry.message = text
	}
	if result.core != nil && !(active.reasonCode == codeInbound && now.Sub(active.servingSince) < silentAgain) && (s.op == nil || !s.op.manual) {
		s.replaceCore(session.Reason{Code: code, Text: text}, result.findings)
		return
	}
	if s.mayLeave(result, now) {
		s.moveAway(&operation{findings: result.findings, control: result.control}, result.findings.ControlOK, widened(session.Spec{
			Reason: session.Reason{Code: code, Text: text}, Race: healthRace, AgainstUsual: active.usual,
		}, s.retry.attempts))
	}
}

// mayLeave reports whether the server in use, found dead, may be left now.
func (s *Supervisor) mayLeave(result checkResult, now time.Time) bool {
	if !s.Settings.Health.Enabled || !s.rotates() {
		return false
	}
	if op := s.op; op != nil && (op.manual || op.trigger == rotation.TriggerHealthCheckFailed) {
		return false // the timer's gives way
	}
	// After a search in vain the next one waits, unless there is an answer now.
	return !now.Before(s.retry.rotateAfter) || result.findings.ControlOK
}

func failedChecks(n int) string {
	if n == 1 {
		return "1 failed check"
	}
	return fmt.Sprintf("%d failed checks in a row", n)
}

// hint takes a hint from the front that something may be wrong. It only brings the next check
// forward: what an application sees may be the fault of the place it connects to. A strong hint, on
// which the check begins in doubt, is another server that answered where this one was silent, or a
// core that takes no connections or brings them back.
func (s *Supervisor) hint(signal front.Signal) {
	if r := s.retired[signal.TargetID]; r != nil && s.active != nil {
		if r.session.Config.ID != s.active.Config.ID {
			s.drainHint(r, time.Now())
			return
		}
		signal.TargetID = s.active.ID // it is the same server
	}
	if s.active == nil || signal.TargetID != s.active.ID || s.op != nil && s.op.kind != opReplace {
		return
	}
	if s.Settings.Health.LooksAtWork() && s.work.evident(signal.Kind, time.Now()) {
		return
	}
	if signal.Kind == front.Returned {
		s.work.putOff(time.Now()) // it would go round as well
	}
	strong := signal.Kind == front.Rescued || signal.Kind == front.DialRefused || signal.Kind == front.Returned
	if s.health.hints++; s.health.hints >= hintsOfWeight && signal.Kind == front.Silent {
		strong = true
	}
	if s.health.check != nil {
		s.health.urgent = s.health.urgent || strong
		return
	}
	wait := max(s.health.weakWait, hintSpacing)
	if strong {
		s.health.urgent, wait = true, max(s.health.strongWait, hintSpacing)
	}
	soonest := s.health.checkedAt.Add(wait)
	if now := time.Now(); soonest.Before(now) {
		soonest = now
	}
	if s.health.dueAt.IsZero() || soonest.Before(s.health.dueAt) {
		s.health.dueAt = soonest
	}
}

// saveCounters writes a session's counters now and then, so that a crash of the daemon does not
// lose them all.
func (s *Supervisor) saveCounters(t *tracked, now time.Time) {
	if now.Sub(t.savedAt) < saveSpacing {
		return
	}
	t.savedAt = now
	c := s.life.Counted(t.Session)
	if c.Open = 0; c == t.saved {
		return
	}
	t.saved = c
	s.journal.Update(t.ID, func(r *store.Session) { r.UpBytes, r.DownBytes, r.Connections = c.UpBytes, c.DownBytes, c.Connections })
}
