package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	sessions "github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/xray"
)

const (
	// readyTimeout bounds how long a new core may take until its inbound answers.
	readyTimeout = 5 * time.Second
	// recordTime bounds the bookkeeping after an operation was cancelled.
	recordTime = 5 * time.Second
)

// plan is what a worker is to bring up.
type plan struct {
	// candidates names the configs to try, in order; nil: only the front is
	// to be opened.
	candidates candidatesFunc
	// turn counts the attempts at which nothing worked, so that each one looks
	// at other candidates.
	turn int
	// keep is how many of the first come first at every turn.
	keep int
	// race is how many are tried at a time; 0 means one.
	race int
	// ready is a session that runs already, for when its config is a candidate;
	// fresh tells that it worked a moment ago. Who begins the plan hands it over,
	// and gets it back in the outcome if it was not used.
	ready *session
	fresh bool
	// checked asks for a probe through the server before it counts as healthy;
	// the config trusted needs none.
	checked bool
	trusted int64
	// standby tells that the session is not to serve for the time being.
	standby  bool
	trigger  ipc.Trigger
	reason   reason
	previous int64
	// openFront opens the front first, so that a port that is taken is found
	// before anything is started, and closes it again if nothing comes up and
	// closeFront is set.
	openFront, closeFront bool
}

// candidatesFunc names the configs to try, in order. It runs in a worker.
type candidatesFunc func(ctx context.Context) ([]sessions.Candidate, error)

// selected names the configs of a selection.
func (s *Supervisor) selected(wanted rotation.Selection) candidatesFunc {
	return func(ctx context.Context) ([]sessions.Candidate, error) { return s.catalog.Candidates(ctx, wanted) }
}

// maxTried bounds the candidates of one attempt: with the network down none of
// them works, and the next attempt takes the next ones.
const maxTried = 8

// window returns the part of the candidates that the turn-th attempt looks at.
func window(candidates []sessions.Candidate, turn, keep int) []sessions.Candidate {
	if len(candidates) <= maxTried {
		return candidates
	}
	rest := candidates[keep:]
	start := turn * (maxTried - keep) % len(rest)
	return slices.Concat(candidates[:keep], rest[start:], rest[:start])[:maxTried]
}

// bringUp runs in a worker: it tries the candidates until one is healthy.
func (s *Supervisor) bringUp(ctx context.Context, p plan) (result outcome) {
	result.unused = p.ready
	if p.openFront {
		if err := s.Front.Open(ctx); err != nil {
			result.err = s.describeFront(err)
			return result
		}
		defer func() {
			if result.session == nil && p.closeFront {
				s.Front.Close()
				return
			}
			result.opened = true
		}()
	}
	if p.candidates == nil {
		return result
	}
	patience := recordTime
	if p.fresh {
		patience = freshPatience
	}
	candidates, err := s.within(ctx, patience, p.candidates)
	if err != nil && p.fresh && ctx.Err() == nil {
		// The disk does not answer, and there is one that does.
		s.Log.Error().Err(err).Msg("the candidates are not known; the standby steps in")
		candidates, err = []sessions.Candidate{{Config: p.ready.config, Class: "standby", Why: "it was running"}}, nil
	}
	if err != nil {
		result.err = err
		return result
	}
	looked := window(candidates, p.turn, p.keep)
	result.considered, result.candidates = looked[:min(len(looked), maxConsidered)], len(candidates)
	s.race(ctx, looked, p, &result)
	switch {
	case result.session != nil:
	case ctx.Err() != nil:
		result.err = context.Cause(ctx)
	default:
		// Nothing worked. That may be the network's fault, so nobody is blamed.
		result.err = failureOf(result.tried)
	}
	return result
}

// freshPatience is how long the disk may take to name the candidates when the
// first of them runs already.
const freshPatience = 500 * time.Millisecond

// within asks for candidates and gives up after a time, whatever the disk does.
func (s *Supervisor) within(ctx context.Context, patience time.Duration, ask candidatesFunc) ([]sessions.Candidate, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errDiskSilent)
	defer cancel()
	type named struct {
		candidates []sessions.Candidate
		err        error
	}
	answer := make(chan named, 1)
	s.work(func(context.Context) func() {
		candidates, err := ask(ctx)
		answer <- named{candidates, err}
		return nil
	})
	select {
	case n := <-answer:
		return n.candidates, n.err
	case <-ctx.Done():
		return nil, fmt.Errorf("reading the configs: %w", context.Cause(ctx))
	}
}

// race tries the candidates, p.race at a time, until one is healthy. The others
// that are under way then are called off, and ended in workers of their own.
func (s *Supervisor) race(ctx context.Context, candidates []sessions.Candidate, p plan, result *outcome) {
	type finish struct {
		config  int64
		session *session
		failure *attempt
	}
	ctx, callOff := context.WithCancelCause(ctx)
	defer callOff(errOvertaken)
	finishes := make(chan finish, len(candidates)+1) // roomy: nobody blocks on it
	trying := make(map[int64]bool)
	started, stop := 0, false
	width := 1 // one that worked a moment ago needs no rivals
	if !p.fresh {
		width = max(p.race, 1)
	}
	for result.session == nil {
		for !stop && started < len(candidates) && len(trying) < width {
			config := candidates[started].Config
			started++
			trying[config.ID] = true
			go func() {
				session, failure := s.try(ctx, config, p)
				finishes <- finish{config.ID, session, failure}
			}()
		}
		if len(trying) == 0 {
			return
		}
		f := <-finishes
		delete(trying, f.config)
		width = max(p.race, 1)
		if f.failure == nil {
			result.session = f.session
			continue
		}
		result.tried = append(result.tried, *f.failure)
		s.Log.Info().Int64("config", f.config).Str("code", f.failure.code).Err(f.failure.err).Msg("candidate is not usable")
		stop = stop || ctx.Err() != nil
		if f.failure.code == codeNoCore {
			// None will do better that has to be started.
			candidates = slices.DeleteFunc(slices.Clone(candidates[started:]), func(c sessions.Candidate) bool {
				return p.ready == nil || c.ID != p.ready.config.ID
			})
			started = 0
		}
	}
	callOff(errOvertaken)
	if result.session == result.unused {
		result.unused = nil
	}
	// A standby that could not keep pace is not worth keeping, and it is still in
	// the hands of whoever tries it.
	slow := result.unused
	if slow != nil && trying[slow.config.ID] {
		result.unused = nil
	}
	for range trying {
		s.work(func(context.Context) func() {
			switch f := <-finishes; {
			case f.session != nil:
				s.discard(f.session)
			case slow != nil && slow.config.ID == f.config:
				s.discard(slow)
			}
			return nil
		})
	}
}

// errOvertaken is why a candidate was called off.
var errOvertaken = errors.New("another candidate was faster")

// try makes one candidate serve, or says why it cannot.
func (s *Supervisor) try(ctx context.Context, config store.Config, p plan) (*session, *attempt) {
	if p.ready != nil && p.ready.config.ID == config.ID {
		if failure := s.promote(ctx, p); failure != nil {
			return nil, failure
		}
		return p.ready, nil
	}
	return s.startSession(ctx, config, p)
}

// failureOf sums up why none of the candidates came up.
func failureOf(tried []attempt) error {
	switch len(tried) {
	case 0:
		return ipc.Errorf(ipc.CodeInvalidState, "there is no other config to rotate to: add some with `xrat import`")
	case 1:
		return fmt.Errorf("%s is not usable: %w", tried[0].config.Name, tried[0].err)
	default:
		last := tried[len(tried)-1]
		return fmt.Errorf("none of %d configs is usable; the last one, %s: %w", len(tried), last.config.Name, last.err)
	}
}

const (
	codeNoCore      = "no_core"
	codeBadLink     = "bad_link"
	codeStartFailed = "start_failed"
	codeCanceled    = "canceled"
)

// startSession starts one candidate and makes sure that it is healthy. The record
// is written before the spawn and completed after it, so that a daemon that dies
// in between leaves a trace that the next one can follow.
func (s *Supervisor) startSession(ctx context.Context, config store.Config, p plan) (*session, *attempt) {
	fail := func(code string, err error) (*session, *attempt) {
		if ctx.Err() != nil {
			code = codeCanceled
		}
		return nil, &attempt{config, code, err}
	}
	executable, err := s.Locate()
	if err != nil {
		return fail(codeNoCore, err)
	}
	server, err := link.Parse(config.Link)
	if err != nil {
		return fail(codeBadLink, fmt.Errorf("reading its link: %w", err))
	}
	record := store.Session{
		ConfigID: config.ID, ConfigName: config.Name, Status: store.StatusStarting,
		Trigger: string(p.trigger), ReasonCode: p.reason.code, Reason: p.reason.text, PreviousID: p.previous,
		Nonce: uuid.NewString(), StartedAt: time.Now(),
	}
	if p.standby {
		record.Status = store.StatusStandby
	}
	if created, err := s.Store.CreateSession(ctx, record); err == nil {
		record = created
	} else if ctx.Err() != nil {
		return fail(codeCanceled, err)
	} else {
		// A full disk must not keep the user from the network. Such a session
		// has an id that no stored one can have, and is not found after a crash.
		record.ID = -time.Now().UnixNano()
		s.Log.Error().Err(err).Msg("the session cannot be recorded; it goes on without a record")
	}
	core, err := s.Cores.Start(ctx, xray.Spec{
		Executable: executable, Link: server, Nonce: record.Nonce,
		Dir: s.CoreDir, LogFile: s.CoreLog, ReadyTimeout: readyTimeout,
	}, func(id xray.Identity, in xray.Inbound) error {
		failpoint("after-spawn")
		s.note(ctx, record.ID, func(r *store.Session) {
			r.PID, r.PIDStart, r.BootID, r.Executable = id.PID, id.StartTime, id.BootID, id.Executable
			r.Inbounds = []store.Inbound{{Protocol: "socks", Address: in.Address, User: in.User, Password: in.Password}}
		})
		return nil
	})
	if err != nil {
		session, failure := fail(codeStartFailed, err)
		s.close(record.ID, failure.code, err, p.standby)
		return session, failure
	}
	started := &session{id: record.ID, config: config, core: core, trigger: p.trigger, reasonCode: p.reason.code, startedAt: record.StartedAt, standby: p.standby}
	lost := func(code string, err error) (*session, *attempt) {
		session, failure := fail(code, err)
		s.stopCore(core)
		s.close(record.ID, failure.code, failure.err, p.standby)
		return session, failure
	}
	failpoint("before-probe")
	checked := p.checked && config.ID != p.trusted
	if checked && len(s.Settings.Health.URLs) == 0 {
		started.verified = true // an inbound that answers is all there is to know
	} else if checked {
		result := s.Probe(ctx, started.proxy(), 0)
		if !result.OK {
			return lost("probe_"+result.Class, fmt.Errorf("no answer through it: %w", result.Err))
		}
		started.measured(result.Latency)
	}
	if ctx.Err() != nil {
		return lost(codeCanceled, context.Cause(ctx))
	}
	return started, nil
}

// stopCore ends a core within a bounded time.
func (s *Supervisor) stopCore(core Core) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*stopGrace)
	defer cancel()
	if err := core.Stop(ctx, stopGrace); err != nil {
		s.Log.Error().Err(err).Int("pid", core.Identity().PID).Msg("stopping a core")
	}
}

// note changes a session's record from a worker. Records are for restarts and
// for the history; that one cannot be written must not stop the work.
func (s *Supervisor) note(ctx context.Context, id int64, change func(*store.Session)) {
	if id < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	if _, err := s.Store.UpdateSession(ctx, id, change); err != nil {
		s.Log.Error().Err(err).Int64("session", id).Msg("recording a session")
	}
}

// close completes the record of a session that never served; that of a standby
// is of no interest to anybody.
func (s *Supervisor) close(id int64, code string, cause error, standby bool) {
	if standby {
		s.forget(id)
		return
	}
	s.note(context.Background(), id, func(r *store.Session) {
		r.Status, r.EndedAt = store.StatusFailed, time.Now()
		if code == codeCanceled {
			r.Status = store.StatusStopped
		}
		r.EndCode, r.EndReason = code, cause.Error()
	})
}

// forget removes the record of a session.
func (s *Supervisor) forget(id int64) {
	if id < 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), recordTime)
	defer cancel()
	if err := s.Store.RemoveSession(ctx, id); err != nil {
		s.Log.Error().Err(err).Int64("session", id).Msg("forgetting a session")
	}
}

// discard ends a session, in a worker, that came up and is not wanted any more.
func (s *Supervisor) discard(w *session) {
	s.stopCore(w.core)
	s.Front.Forget(w.id) // a standby may have carried rescued connections
	s.close(w.id, codeCanceled, errCanceled, w.standby)
}
