package supervisor

import (
	"context"
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/daemon/liveness"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
)

const (
	// workSpacing is how often the session in use has to do work when nothing hints at trouble.
	workSpacing = 2 * time.Hour
	// firstWork is how long after it began to serve a session has to do work that has not yet.
	firstWork = 3 * time.Second
	// evidenceSpacing is the shortest time between two examinations that evidence brings about, and
	// maxEvidenceSpacing the longest when it was wrong before.
	evidenceSpacing    = time.Second
	maxEvidenceSpacing = 2 * time.Minute
	// limitedSpacing is how often a limited server is looked at again while it has to stay.
	limitedSpacing = 3 * time.Second
	// maxVainWait is the longest pause between two searches for a server that does better.
	maxVainWait = time.Minute
	// Evidence of so many connections to so many destinations, with no work done, is enough where
	// no page for work can be reached, if through the standby work is done.
	ampleEvidence, ampleDestinations, ampleWork = 4, 2, 2
)

// workState is what is known of the work that the session in use does. It begins anew with each.
type workState struct {
	check    *check    // in flight; nil: none
	dueAt    time.Time // when the next one is due; zero: not at all
	endedAt  time.Time // when the last one ended
	wait     time.Duration
	hinted   bool // there is evidence for the next one
	loss     bool // which says that connections are lost
	failures int  // in a row, without evidence
	vain     int  // searches in a row for a server that does better
	searchAt time.Time
	message  string
}

// begin begins to know what the session does, which serves from now on. looks tells that anybody
// looks at work.
func (w *workState) begin(t *tracked, looks bool, now time.Time) {
	if w.check != nil {
		w.check.cancel()
	}
	*w = workState{}
	switch {
	case !looks:
	case t.limit != "":
		w.dueAt = now.Add(limitedSpacing)
		w.message = limitedMessage(t, "no other config does better")
	case !t.worked:
		w.dueAt = now.Add(firstWork)
	default:
		w.dueAt = now.Add(workSpacing)
	}
}

// evident takes evidence of the front that the work is strangled, and reports whether it was that.
// It brings an examination forward; nothing else.
func (w *workState) evident(kind front.SignalKind, now time.Time) bool {
	switch kind {
	case front.Lossy:
		w.loss = true
	case front.Stalled, front.CutShort, front.Starved:
	default:
		return false
	}
	w.hinted = true
	soonest := w.endedAt.Add(max(w.wait, evidenceSpacing))
	if soonest.Before(now) {
		soonest = now
	}
	if w.dueAt.IsZero() || soonest.Before(w.dueAt) {
		w.dueAt = soonest
	}
	return true
}

// putOff calls off the examination that is under way, and has none follow for a while.
func (w *workState) putOff(now time.Time) {
	if w.check != nil {
		w.check.cancel()
		w.check = nil
	}
	w.endedAt, w.wait, w.dueAt = now, max(w.wait, limitedSpacing), now.Add(limitedSpacing)
}

// startWork examines what the session in use does, unless it is about to be replaced.
func (s *Supervisor) startWork(now time.Time) {
	active := s.active
	if active == nil || !s.Settings.Health.LooksAtWork() || s.work.check != nil {
		return
	}
	if s.op != nil && !s.op.limited || s.health.dead || s.retry.condition == conditionOffline {
		s.work.dueAt = now.Add(evidenceSpacing)
		return
	}
	ctx, cancel := context.WithCancel(s.workers.base)
	run, checker := &check{cancel}, s.checker
	order := workOrder{session: active.Session, exam: liveness.WorkExamination{Loss: s.work.loss, Short: active.limit != ""}}
	// Without a hint the active one alone does work at first, which is all that it takes if it can.
	standby := s.standby.session
	if standby != nil && (s.work.hinted || s.work.failures > 0 || active.limit != "") {
		order.control, order.exam.Control = standby.Session, true
	}
	hinted := s.work.hinted
	s.work.check, s.work.hinted, s.work.loss = run, false, false
	work(s, func(context.Context) workResult {
		defer cancel()
		return checker.examineWork(ctx, order)
	}, func(s *Supervisor, result workResult) {
		if s.work.check == run { // else it was called off
			s.work.check = nil
			if s.active == active && !result.findings.Began.IsZero() {
				s.worked(active, standby, result, hinted)
			}
		}
	})
}

// worked draws the conclusions from an examination of what the active session does.
func (s *Supervisor) worked(active, standby *tracked, result workResult, hinted bool) {
	now, found := time.Now(), result.findings
	s.work.endedAt = now
	if standby != nil && s.standby.session == standby {
		s.noteStandbyWork(standby, found, now)
	}
	judgement, limit := found.Judgement, found.Class
	s.noPages = judgement == liveness.Unclear && !found.ControlStrangled
	if judgement == liveness.Unclear && result.ample() {
		judgement = liveness.Limited
	}
	if judgement == liveness.Limited || judgement == liveness.NoneWorks {
		limit = limitOf(limit, result.evidence)
	}
	s.Log.Debug().Int64("session", active.ID).Int("judgement", int(judgement)).Str("class", found.Class).Err(found.Err).
		Int("trouble", result.evidence.Trouble()).Int("worked", result.evidence.Worked).Bool("control", found.ControlWorks).Msg("work examined")
	if found.Class == liveness.ClassLoop { // which a check finds out as well, and gives its name
		s.health.urgent, s.health.dueAt = true, now
	}
	switch known := hinted || active.limit != ""; {
	case judgement == liveness.Works:
		s.doesWork(active, result.evidence.Trouble() > 0, now)
	case !known && s.work.failures == 0:
		// Nobody has met with it: once more, beside the standby, to be sure.
		s.work.failures++
		s.work.dueAt = now.Add(evidenceSpacing)
	case judgement == liveness.Unclear:
		s.work.failures = 0
		s.work.wait = min(2*max(s.work.wait, evidenceSpacing), maxEvidenceSpacing)
		s.work.dueAt = now.Add(workSpacing)
		if active.limit != "" {
			s.work.dueAt = now.Add(limitedSpacing)
		}
	default:
		s.foundLimited(active, limit, judgement, found, now)
	}
}

// doesWork notes that the session in use has done work.
func (s *Supervisor) doesWork(active *tracked, doubted bool, now time.Time) {
	s.work.failures, s.work.vain, s.work.message = 0, 0, ""
	s.work.wait /= 2
	if doubted { // the evidence was wrong, as with a site that stalls
		s.work.wait = min(4*max(s.work.wait, evidenceSpacing), maxEvidenceSpacing)
	}
	s.work.dueAt = now.Add(workSpacing)
	s.Front.Trust(active.ID)
	if !active.worked || active.limit != "" {
		s.learn(rotation.DidWork(active.Config.ID))
	}
	active.worked = true
	if op := s.op; op != nil && op.limited {
		s.abandon(op) // there is no need to look for another
	}
	if active.limit != "" {
		active.limit = ""
		s.Front.SetTarget(active.target())
		s.Log.Info().Int64("session", active.ID).Msg("the server does its work again")
	}
}

// noteStandbyWork notes what the standby did as the control.
func (s *Supervisor) noteStandbyWork(standby *tracked, found liveness.WorkFindings, now time.Time) {
	before := standby.limit
	switch {
	case found.ControlWorks:
		standby.worked, standby.limit = true, ""
		if before != "" {
			s.learn(rotation.DidWork(standby.Config.ID))
		}
	case found.ControlStrangled:
		standby.worked, standby.limit = false, probe.ClassStalls
	}
	if standby.limit != before {
		s.Front.SetStandby(standby.target())
	}
	if found.Judgement == liveness.Works && found.ControlStrangled {
		// The active one works, so it is not the network.
		s.learn(rotation.Limited(standby.Config.ID, now, standby.limit))
		s.Log.Info().Int64("config", standby.Config.ID).Msg("the standby strangles work")
		s.dropStandby()
	}
}

// foundLimited is where a server is held to be limited. It is left for one that does better, be it
// the standby or another that has yet to be found.
func (s *Supervisor) foundLimited(active *tracked, limit string, judgement liveness.Judgement, found liveness.WorkFindings, now time.Time) {
	active.limit = limit
	s.work.dueAt = now.Add(limitedSpacing)
	text := "answers checks and " + rotation.LimitText(limit)
	if found.Err != nil {
		text += ": " + found.Err.Error()
	}
	s.Log.Info().Int64("session", active.ID).Str("limit", limit).Err(found.Err).Bool("control", found.ControlWorks).Msg("the server is limited")
	mayLeave := s.Settings.Health.Enabled && s.rotates()
	switch {
	case !mayLeave:
		s.work.message = limitedMessage(active, "xrat is not to leave it")
	case judgement == liveness.NoneWorks:
		s.work.message = limitedMessage(active, "no other config does better")
	default:
		s.work.message = limitedMessage(active, "looking for another")
	}
	mayLeave = mayLeave && s.op == nil
	if limit == liveness.ClassLossy || limit == classSlow {
		// These answer after all: the pace may hold back what never is away from one that is dead.
		_, allowed := s.rotation.pace.Allow(now)
		mayLeave = mayLeave && allowed
	}
	if !mayLeave || judgement != liveness.Limited && now.Before(s.work.searchAt) {
		return
	}
	s.limitedRotation(session.Reason{Code: limit, Text: text}, judgement == liveness.Limited, found.Began)
}

// foundSlow is where a server is held to be slow: it is left for the standby, which is far faster.
func (s *Supervisor) foundSlow(active *tracked, result checkResult, now time.Time) {
	if _, allowed := s.rotation.pace.Allow(now); !allowed || !s.Settings.Health.Enabled || !s.rotates() || s.op != nil || s.standby.session == nil {
		return
	}
	active.limit = classSlow
	f := result.findings
	text := fmt.Sprintf("answers far slower than the standby: %d ms, and %d ms through that", f.Success.Latency.Milliseconds(), f.ControlTook.Milliseconds())
	s.Log.Info().Int64("session", active.ID).Dur("latency", f.Success.Latency).Dur("control", f.ControlTook).Msg("the server is slow")
	s.limitedRotation(session.Reason{Code: classSlow, Text: text}, true, f.Began)
}

// limitedRotation rotates away from a server that is limited. ready tells that the standby does
// better.
func (s *Supervisor) limitedRotation(why session.Reason, ready bool, doubted time.Time) {
	s.moveAway(&operation{limited: true, findings: liveness.Findings{Began: doubted}}, ready, session.Spec{
		Reason: why, Race: healthRace, MustWork: true,
	})
}

// inVain plans what follows a search for a server that does better than t, and found none.
func (w *workState) inVain(t *tracked, now time.Time) {
	w.vain++
	w.searchAt = now.Add(min(limitedSpacing<<min(w.vain, 10), maxVainWait))
	w.message = limitedMessage(t, "no other config does better")
}

func limitedMessage(t *tracked, rest string) string {
	return fmt.Sprintf("%s answers checks and %s; %s", t.Config.Name, rotation.LimitText(t.limit), rest)
}

// message explains a state that is not well.
func (st *state) message() string {
	if st.retry.message == "" && st.active != nil && st.active.limit != "" {
		return st.work.message
	}
	return st.retry.message
}

// classSlow is the limit of a server that is far slower than another.
const classSlow = "slow"

// limitOf names a limit by how work failed or else by what applications met with.
func limitOf(class string, e front.Evidence) string {
	switch class {
	case probe.ClassStalls, probe.ClassThrottled, probe.ClassCutsShort, liveness.ClassLossy:
		return class
	}
	switch {
	case e.CutShort > e.Stalled+e.Starved:
		return probe.ClassCutsShort
	case e.Starved > e.Stalled:
		return probe.ClassThrottled
	}
	return probe.ClassStalls
}

// workOrder says what is to be examined.
type workOrder struct {
	session *session.Session
	control *session.Session // nil: there is none
	exam    liveness.WorkExamination
}

// workResult is what an examination saw.
type workResult struct {
	findings          liveness.WorkFindings
	evidence, control front.Evidence
}

// ample reports whether what applications met with is enough by itself, beside what they met with
// through the standby.
func (r workResult) ample() bool {
	e := r.evidence
	return e.Trouble()-e.Lossy >= ampleEvidence && e.Destinations >= ampleDestinations && e.Worked == 0 && r.control.Worked >= ampleWork
}

// examineWork carries out an examination of the work with real downloads.
func (c checker) examineWork(ctx context.Context, order workOrder) workResult {
	exam := &order.exam
	running, callOff := context.WithCancel(ctx)
	defer callOff()
	ended := make(chan liveness.WorkMeasurement)
	run := func(m liveness.WorkMeasurement) {
		through := order.session
		if m.Control {
			through = order.control
		}
		if m.Small {
			r := c.probe(running, through.Proxy(), m.First)
			m.Result = liveness.WorkResult{OK: r.OK, Class: r.Class, Err: r.Err}
		} else {
			r := c.work(running, through.Proxy(), m.First)
			m.Result = liveness.WorkResult{OK: r.OK, Strangled: r.Strangled(), Class: r.Class, Err: r.Err}
		}
		ended <- m
	}
	next := exam.Step(time.Now())
	underWay := len(next.Start)
	for _, m := range next.Start {
		go run(m)
	}
	wake := time.NewTimer(0)
	defer wake.Stop()
	for !next.Done && ctx.Err() == nil {
		wake.Reset(time.Until(next.Wake))
		select {
		case m := <-ended:
			underWay--
			next = exam.Step(time.Now(), m)
		case <-wake.C:
			next = exam.Step(time.Now())
		case <-ctx.Done():
		}
	}
	callOff()
	var rest []liveness.WorkMeasurement
	for range underWay {
		rest = append(rest, <-ended)
	}
	result := workResult{evidence: c.evidence(order.session.ID)}
	if order.control != nil {
		result.control = c.evidence(order.control.ID)
	}
	if ctx.Err() == nil {
		result.findings = exam.Close(time.Now(), rest...)
	}
	return result
}
