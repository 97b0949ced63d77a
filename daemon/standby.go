package daemon

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
)

const (
	// standbyCheck is how often the standby is looked after. It costs one probe.
	standbyCheck = 2 * time.Minute
	// exploreEvery is after how many of these another config is looked at, so that
	// a better one, or one that was never tried, gets its chance.
	exploreEvery = 3
	// standbyPause lies between the swap and the search for the next standby, by
	// when what the swap has shown is known.
	standbyPause = 500 * time.Millisecond
	// standbyRace is how many configs are tried at a time for a standby. There is
	// no hurry.
	standbyRace = 1
)

const reasonStandby = "standby"

// wantsStandby tells whether there should be a second server at hand. Without
// automatic rotation there should not: the user wants to stay where they are,
// and a rescued connection would go out elsewhere.
func (s *Supervisor) wantsStandby() bool {
	st := &s.st
	return s.Settings.Rotation.Standby && s.rotates() && st.desired.Connected && !st.stopping
}

// lookForStandby brings one up when there is none, or looks after the one that
// there is when that is due. Only while the active server works: a dead network
// would show nothing, and a search for another server comes first.
func (s *Supervisor) lookForStandby(now time.Time) {
	st := &s.st
	switch {
	case !s.wantsStandby():
		s.callOffStandby()
		return
	case st.standbyOp != nil:
		return
	case st.op != nil || st.active == nil || !st.active.verified || st.health.doubtful() || !st.frontOpen:
		return
	case now.Before(st.standbyAt):
		return
	}
	op := &operation{kind: opStandby, done: make(chan struct{}), disposed: make(chan struct{}), since: now}
	ctx, cancel := context.WithCancel(s.base)
	op.cancel = cancel
	st.standbyOp = op
	w, exclude := st.standby, []int64{st.active.config.ID}
	if w == nil {
		p := s.standbyPlan(s.selected(rotation.Selection{Preference: rotation.PreferBest, Exclude: exclude}))
		p.turn = st.standbys
		s.work(func(context.Context) func() {
			defer cancel()
			op.outcome = s.bringUp(ctx, p)
			close(op.done)
			return func() { s.concludedStandby(op) }
		})
		return
	}
	st.looks++
	control := s.measuring(st.active)
	explore := st.looks%exploreEvery == 0
	s.work(func(context.Context) func() {
		defer cancel()
		alive, latency := s.lookAfter(ctx, w)
		if !alive {
			op.findings.controlOK = control(ctx, 0).OK
		}
		if alive && explore {
			op.outcome = s.explore(ctx, w, append(exclude, w.config.ID))
		}
		close(op.done)
		return func() { s.lookedAfter(op, w, alive, latency) }
	})
}

// callOffStandby ends the standby and what is being done about it.
func (s *Supervisor) callOffStandby() {
	st := &s.st
	if op := st.standbyOp; op != nil {
		st.standbyOp = nil
		op.cancel()
		s.work(func(context.Context) func() {
			s.disposeOf(op)
			return nil
		})
	}
	if st.standby != nil {
		s.dropStandby()
	}
}

func (s *Supervisor) standbyPlan(candidates candidatesFunc) plan {
	return plan{
		candidates: candidates, checked: true, standby: true, race: standbyRace,
		reason: reason{code: reasonStandby, text: "to step in when the active one fails"},
	}
}

// lookAfter checks, in a worker, whether the standby still works.
func (s *Supervisor) lookAfter(ctx context.Context, w *session) (alive bool, latency time.Duration) {
	if len(s.Settings.Health.URLs) == 0 {
		return w.core.Health(ctx) == nil, 0
	}
	for first := range 2 {
		if result := s.Probe(ctx, w.proxy(), first); result.OK {
			return true, result.Latency
		}
	}
	return false, 0
}

// explore looks, in a worker, at a config that has not been seen for a while. It
// comes up as a session only if it is clearly better than the standby.
func (s *Supervisor) explore(ctx context.Context, w *session, exclude []int64) outcome {
	id, found, err := s.catalog.Explore(ctx, exclude...)
	if err != nil || !found {
		return outcome{err: err}
	}
	o := s.bringUp(ctx, s.standbyPlan(s.selected(rotation.Selection{Only: &id})))
	if o.session == nil {
		if len(o.tried) > 0 && o.tried[0].blamed() {
			if works, _ := s.lookAfter(ctx, w); !works {
				return outcome{} // it may be the network
			}
			s.catalog.Learn(ctx, rotation.Lesson{ConfigID: id, Change: func(h rotation.History) rotation.History {
				return h.Failed(time.Now(), s.Settings.Rotation.Cooldown.Std())
			}})
		}
		return outcome{}
	}
	s.catalog.Learn(ctx, s.lessons(o, 0)...)
	if s.catalog.Better(ctx, id, w.config.ID) {
		return o
	}
	s.discard(o.session)
	return outcome{}
}

// concludedStandby takes over a standby that has come up, if it is still wanted.
func (s *Supervisor) concludedStandby(op *operation) {
	st := &s.st
	if st.standbyOp != op {
		return // whoever took it away disposes of it
	}
	st.standbyOp = nil
	if w := op.outcome.session; w != nil {
		s.learnAll(s.lessons(op.outcome, 0))
		s.keepStandby(w)
		return
	}
	st.standbys++
	wait := 10 * rotation.Backoff(st.standbys, rand.Float64()) // up to ten minutes
	if op.outcome.candidates == 0 {
		wait = 10 * time.Minute // a new config brings it forward
	}
	st.standbyAt = time.Now().Add(wait)
	s.Log.Debug().Err(op.outcome.err).Msg("no standby came up")
}

// lookedAfter draws the conclusions from a look at the standby w.
func (s *Supervisor) lookedAfter(op *operation, w *session, alive bool, latency time.Duration) {
	st := &s.st
	if st.standbyOp != op {
		return
	}
	st.standbyOp = nil
	now := time.Now()
	better := op.outcome.session
	if st.standby != w { // it steps in, or has ended
		if better != nil {
			s.keepStandby(better)
		}
		return
	}
	switch {
	case better != nil:
		s.dropStandby()
		s.keepStandby(better)
	case alive:
		st.standbys = 0
		st.standbyAt = now.Add(standbyCheck)
		w.measured(latency)
		s.Front.SetStandby(w.target())
		if now.Sub(w.toldAt) > tellSpacing {
			w.toldAt = now
			s.learn(w.config.ID, func(h rotation.History) rotation.History { return h.Succeeded(now, latency) })
		}
	case op.controlOK:
		// The active one works, so it is not the network.
		cooldown := s.Settings.Rotation.Cooldown.Std()
		s.learn(w.config.ID, func(h rotation.History) rotation.History { return h.Failed(now, cooldown) })
		s.Log.Info().Int64("config", w.config.ID).Msg("the standby does not work any more")
		s.dropStandby()
	default:
		st.standbyAt = now.Add(10 * time.Second)
	}
}

// keepStandby makes w the standby, if one is wanted and there is none.
func (s *Supervisor) keepStandby(w *session) {
	st := &s.st
	ended := false
	select {
	case <-w.core.Done():
		ended = true
	default:
	}
	if ended || st.standby != nil || !s.wantsStandby() || st.active != nil && st.active.config.ID == w.config.ID {
		if st.standby == nil {
			st.standbyAt = time.Now().Add(time.Second)
		}
		s.dismiss(w)
		return
	}
	if w.standby = true; !w.watched {
		w.watched = true
		s.watch(w)
	}
	st.standby = w
	st.standbyAt = time.Now().Add(standbyCheck)
	s.Front.SetStandby(w.target())
	s.Log.Info().Int64("session", w.id).Int64("config", w.config.ID).Msg("standby is ready")
}

// dropStandby ends the standby; lookForStandby looks for another at once.
func (s *Supervisor) dropStandby() {
	st := &s.st
	w := st.standby
	st.standby, st.standbyAt = nil, time.Time{}
	s.Front.SetStandby(nil)
	s.dismiss(w)
}

// dismiss ends a session that never served. Connections that were rescued through
// it have the same time as those of a session that is left.
func (s *Supervisor) dismiss(w *session) {
	drain, hurry := context.WithTimeout(s.base, s.Settings.Rotation.Drain.Std())
	r := &retirement{session: w, hurry: hurry, done: make(chan struct{})}
	s.st.retired[w.id] = r
	s.work(func(context.Context) func() {
		defer close(r.done)
		defer hurry()
		s.Front.Drain(drain, w.id)
		s.discard(w)
		return func() { delete(s.st.retired, w.id) }
	})
}

// standbyExited handles the end of a standby's core that nobody asked for.
func (s *Supervisor) standbyExited(w *session) {
	st := &s.st
	s.Log.Warn().Int64("session", w.id).Str("cause", w.core.ExitReason()).Msg("the core of the standby has exited")
	st.standbys++
	s.dropStandby()
	st.standbyAt = time.Now().Add(rotation.Backoff(st.standbys, rand.Float64()))
}

// lend hands the standby over to an operation that is about to begin. The front
// goes on rescuing connections through it.
func (s *Supervisor) lend(op *operation, p *plan) {
	op.lent, p.ready = s.st.standby, s.st.standby
	s.st.standby, s.st.standbyAt = nil, time.Time{}
}

// giveBack takes the standby back from an operation that has ended.
func (s *Supervisor) giveBack(op *operation) {
	switch w := op.lent; {
	case w == nil || w == op.outcome.session:
	case op.outcome.unused == w:
		failed := op.outcome.session != nil && slices.ContainsFunc(op.outcome.tried, func(a attempt) bool { return a.config.ID == w.config.ID && a.code != codeCanceled })
		if failed {
			s.dismiss(w)
		} else {
			s.keepStandby(w)
		}
		fallthrough
	default:
		if s.st.standby == nil {
			s.Front.SetStandby(nil)
		}
	}
	op.lent = nil
}

func (s *Supervisor) standbyPayload() *ipc.StandbyPayload {
	w := s.st.standby
	if w == nil {
		return nil
	}
	return &ipc.StandbyPayload{
		ConfigID: w.config.ID, ConfigName: w.config.Name, PID: w.core.Identity().PID,
		CheckedAt: w.verifiedAt, LatencyMillis: w.latency.Milliseconds(),
	}
}
