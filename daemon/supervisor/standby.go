package supervisor

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
)

const (
	// standbySpacing is how often the standby is looked after. It costs one probe.
	standbySpacing = 2 * time.Minute
	// exploreEvery is after how many of these another config is looked at, so that a better one, or
	// one that was never tried, gets its chance.
	exploreEvery = 3
	// standbyPause lies between the swap and the search for the next standby, by when what the swap
	// has shown is known.
	standbyPause = 500 * time.Millisecond
	// noCandidatePause is how long the search for a standby rests when there is nobody to try; a
	// new config ends it.
	noCandidatePause = 10 * time.Minute
	// unclearPause is when to look again at a standby if the network may be at fault.
	unclearPause = 10 * time.Second
)

// wantsStandby reports whether there should be a second server at hand. Without automatic rotation
// there should not: the user wants to stay where they are, and a rescued connection would go out
// elsewhere.
func (s *Supervisor) wantsStandby() bool {
	return s.Settings.Rotation.Standby && s.rotates() && s.desired.Connected && !s.stopping
}

// lookForStandby brings one up when there is none, or looks after the one that there is when that
// is due. Only while the active server works: a dead network would show nothing, and a search for
// another server comes first.
func (s *Supervisor) lookForStandby(now time.Time) {
	switch {
	case !s.wantsStandby():
		s.callOffStandby()
		return
	case s.standby.op != nil:
		return
	case s.op != nil || s.active == nil || !s.active.verified || s.health.doubtful() || !s.frontOpen:
		return
	case now.Before(s.standby.dueAt):
		return
	}
	op := &operation{kind: opStandby, since: now, disposal: newDisposal()}
	ctx, cancel := context.WithCancel(s.workers.base)
	op.cancel = cancel
	s.standby.op = op
	scout := scout{s.life, s.Catalog, s.checker, s.Settings.Rotation.Cooldown.Std()}
	exclude := []int64{s.active.Config.ID}
	if s.standby.session == nil {
		selection := rotation.Selection{Preference: rotation.PreferBest, Exclude: exclude}
		turn, asksWork := s.standby.failures, !s.noPages
		work(s, func(context.Context) *operation {
			defer cancel()
			op.result = scout.bringUp(ctx, selection, turn, asksWork)
			close(op.done)
			return op
		}, (*Supervisor).standbyCameUp)
		return
	}
	s.standby.looks++
	explore := s.standby.looks%exploreEvery == 0
	standby, active := s.standby.session, s.active.Session
	current, limited := standby.Session, standby.limit != ""
	work(s, func(context.Context) look {
		defer cancel()
		seen := scout.lookAfter(ctx, current, active, limited)
		if seen.alive && explore {
			op.result = scout.explore(ctx, current, append(exclude, current.Config.ID))
		}
		close(op.done)
		return seen
	}, func(s *Supervisor, seen look) { s.lookedAfter(op, standby, seen) })
}

// callOffStandby ends the standby and what is being done about it.
func (s *Supervisor) callOffStandby() {
	if op := s.standby.op; op != nil {
		s.standby.op = nil
		op.cancel()
		life := s.life
		s.workers.background(func(context.Context) { dispose(life, op) })
	}
	if s.standby.session != nil {
		s.dropStandby()
	}
}

// standbyCameUp takes over a standby that has come up, if it is still wanted.
func (s *Supervisor) standbyCameUp(op *operation) {
	if s.standby.op != op {
		return // whoever took it away disposes of it
	}
	s.standby.op = nil
	if op.result.Session != nil {
		if op.result.Proof.OK {
			s.learn(op.result.Lessons(0, s.Settings.Rotation.Cooldown.Std(), op.result.Proof.Latency)...)
		}
		s.keepStandby(track(op.result))
		return
	}
	s.standby.failures++
	wait := 10 * rotation.Backoff(s.standby.failures, rand.Float64()) // up to ten minutes
	if op.result.Candidates == 0 {
		wait = noCandidatePause
	}
	s.standby.dueAt = time.Now().Add(wait)
	s.Log.Debug().Err(op.result.Err).Msg("no standby came up")
}

// lookedAfter draws the conclusions from a look at the standby t.
func (s *Supervisor) lookedAfter(op *operation, t *tracked, seen look) {
	if s.standby.op != op {
		return
	}
	s.standby.op = nil
	now := time.Now()
	better := op.result.Session != nil
	if s.standby.session != t { // it steps in, or has ended
		if better {
			s.keepStandby(track(op.result))
		}
		return
	}
	switch {
	case better:
		s.dropStandby()
		s.keepStandby(track(op.result))
	case seen.alive:
		s.standby.failures = 0
		s.standby.dueAt = now.Add(standbySpacing)
		t.measured(now, seen.latency)
		if seen.worked {
			t.worked, t.limit = true, ""
			s.learn(rotation.DidWork(t.Config.ID))
		}
		s.Front.SetStandby(t.target())
		s.recordAlive(t, false, now)
	case seen.activeOK:
		// The active one works, so it is not the network.
		s.learn(rotation.Failing(t.Config.ID, now, s.Settings.Rotation.Cooldown.Std()))
		s.Log.Info().Int64("config", t.Config.ID).Msg("the standby does not work any more")
		s.dropStandby()
	default:
		s.standby.dueAt = now.Add(unclearPause)
	}
}

// keepStandby makes t the standby, if one is wanted and there is none.
func (s *Supervisor) keepStandby(t *tracked) {
	if t.Ended() || s.standby.session != nil || !s.wantsStandby() || s.active != nil && s.active.Config.ID == t.Config.ID {
		if s.standby.session == nil {
			s.standby.dueAt = time.Now().Add(time.Second)
		}
		s.dismiss(t)
		return
	}
	s.watch(t)
	s.standby.session = t
	s.standby.dueAt = time.Now().Add(standbySpacing)
	s.Front.SetStandby(t.target())
	s.Log.Info().Int64("session", t.ID).Int64("config", t.Config.ID).Msg("standby is ready")
}

// dropStandby ends the standby; lookForStandby looks for another at once.
func (s *Supervisor) dropStandby() {
	t := s.standby.session
	s.standby.session, s.standby.dueAt = nil, time.Time{}
	s.Front.SetStandby(nil)
	s.dismiss(t)
}

// standbyExited handles the end of a standby's core that nobody asked for.
func (s *Supervisor) standbyExited(t *tracked) {
	s.Log.Warn().Int64("session", t.ID).Str("cause", t.Core.ExitReason()).Msg("the core of the standby has exited")
	s.standby.failures++
	s.dropStandby()
	s.standby.dueAt = time.Now().Add(rotation.Backoff(s.standby.failures, rand.Float64()))
}

// lend hands the standby over to an operation that is about to begin. The front goes on rescuing
// connections through it.
func (s *Supervisor) lend(op *operation, spec *session.Spec) {
	op.lent = s.standby.session
	if op.lent != nil {
		spec.Ready = op.lent.Session
	}
	s.standby.session, s.standby.dueAt = nil, time.Time{}
}

// giveBack takes the standby back from an operation that has ended.
func (s *Supervisor) giveBack(op *operation) {
	t := op.lent
	op.lent = nil
	if t == nil || t.Session == op.result.Session {
		return
	}
	if op.result.Unused == t.Session {
		failed := op.result.Session != nil && slices.ContainsFunc(op.result.Tried, func(f session.Failure) bool {
			return f.Config.ID == t.Config.ID && f.Code != session.CodeCanceled
		})
		if failed {
			s.dismiss(t)
		} else {
			s.keepStandby(t)
		}
	}
	if s.standby.session == nil {
		s.Front.SetStandby(nil)
	}
}
