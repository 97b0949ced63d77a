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
	candidates configsFunc
	// turn counts the attempts at which nothing worked, so that each one looks
	// at other candidates.
	turn int
	// checked asks for a probe through the server before it counts as healthy;
	// the config trusted needs none.
	checked  bool
	trusted  int64
	trigger  ipc.Trigger
	reason   reason
	previous int64
	// openFront opens the front first, so that a port that is taken is found
	// before anything is started, and closes it again if nothing comes up and
	// closeFront is set.
	openFront, closeFront bool
}

// configsFunc names the configs to try, in order. It runs in a worker.
type configsFunc func(ctx context.Context) ([]store.Config, error)

// maxTried bounds the candidates of one attempt: with the network down none of
// them works, and the next attempt takes the next ones.
const maxTried = 8

// window returns the part of the candidates that the turn-th attempt looks at.
func window(configs []store.Config, turn int) []store.Config {
	if len(configs) <= maxTried {
		return configs
	}
	start := turn * maxTried % len(configs)
	return append(slices.Clone(configs[start:]), configs[:start]...)[:maxTried]
}

// bringUp runs in a worker: it tries the candidates until one is healthy.
func (s *Supervisor) bringUp(ctx context.Context, p plan) (result outcome) {
	if p.openFront {
		if err := s.Front.Open(ctx); err != nil {
			return outcome{err: s.describeFront(err)}
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
		return outcome{}
	}
	configs, err := p.candidates(ctx)
	if err != nil {
		return outcome{err: err}
	}
	for _, config := range window(configs, p.turn) {
		session, failure := s.startSession(ctx, config, p)
		if failure == nil {
			result.session = session
			s.recordOutcomes(ctx, result)
			return result
		}
		result.tried = append(result.tried, *failure)
		s.Log.Info().Int64("config", config.ID).Str("code", failure.code).Err(failure.err).Msg("candidate is not usable")
		if ctx.Err() != nil {
			result.err = context.Cause(ctx)
			return result
		}
		if failure.code == codeNoCore {
			result.err = failure.err // no candidate will do better
			return result
		}
	}
	// Nothing worked. That may be the network's fault, so nobody is blamed.
	result.err = failureOf(result.tried)
	return result
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
		s.close(record.ID, failure.code, err)
		return session, failure
	}
	started := &session{id: record.ID, config: config, core: core, trigger: p.trigger, reasonCode: p.reason.code, startedAt: record.StartedAt}
	failpoint("before-probe")
	checked := p.checked && config.ID != p.trusted
	if checked && len(s.Settings.Health.URLs) == 0 {
		started.verified = true // an inbound that answers is all there is to know
	} else if checked {
		result := s.Probe(ctx, started.proxy())
		if !result.OK {
			session, failure := fail("probe_"+result.Class, fmt.Errorf("no answer through it: %w", result.Err))
			s.stopCore(core)
			s.close(record.ID, failure.code, failure.err)
			return session, failure
		}
		started.verified, started.latency = true, result.Latency
	}
	if ctx.Err() != nil {
		s.stopCore(core)
		s.close(record.ID, codeCanceled, errCanceled)
		return fail(codeCanceled, context.Cause(ctx))
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

// close completes the record of a session that never served.
func (s *Supervisor) close(id int64, code string, cause error) {
	s.note(context.Background(), id, func(r *store.Session) {
		r.Status, r.EndedAt = store.StatusFailed, time.Now()
		if code == codeCanceled {
			r.Status = store.StatusStopped
		}
		r.EndCode, r.EndReason = code, cause.Error()
	})
}

// recordOutcomes keeps what the attempts have shown. Failures count only beside
// a proven success: alone they may as well be the network's.
func (s *Supervisor) recordOutcomes(ctx context.Context, o outcome) {
	if !o.session.verified {
		return
	}
	now := time.Now()
	for _, failed := range o.tried {
		if failed.code != codeCanceled {
			s.recordOutcome(ctx, failed.config.ID, func(h rotation.History) rotation.History {
				return h.Failed(now, s.Settings.Rotation.Cooldown.Std())
			})
		}
	}
	s.recordOutcome(ctx, o.session.config.ID, func(h rotation.History) rotation.History {
		return h.Succeeded(now, o.session.latency)
	})
}

// recordOutcome changes what is known of a config. Workers do it, one at a time.
func (s *Supervisor) recordOutcome(ctx context.Context, configID int64, change func(rotation.History) rotation.History) {
	s.outcomes.Lock()
	defer s.outcomes.Unlock()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	outcomes, err := s.Store.Outcomes(ctx)
	if err == nil {
		err = s.Store.PutOutcome(ctx, outcomeOf(configID, change(historyOf(outcomes[configID]))))
	}
	if err != nil {
		s.Log.Error().Err(err).Int64("config", configID).Msg("recording how a config did")
	}
}

func historyOf(o store.Outcome) rotation.History {
	return rotation.History{
		Successes: o.Successes, Failures: o.Failures, Consecutive: o.ConsecutiveFailures,
		LastSuccess: o.LastSuccess, LastFailure: o.LastFailure,
		Latency: time.Duration(o.LatencyMS) * time.Millisecond, CooldownUntil: o.CooldownUntil,
	}
}

func outcomeOf(configID int64, h rotation.History) store.Outcome {
	return store.Outcome{
		ConfigID: configID, Successes: h.Successes, Failures: h.Failures, ConsecutiveFailures: h.Consecutive,
		LastSuccess: h.LastSuccess, LastFailure: h.LastFailure,
		LatencyMS: h.Latency.Milliseconds(), CooldownUntil: h.CooldownUntil,
	}
}

// candidates returns the stored configs in the order in which to try them.
func (s *Supervisor) candidates(preference rotation.Preference, exclude ...int64) configsFunc {
	return func(ctx context.Context) ([]store.Config, error) {
		configs, err := s.Store.Configs(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading the configs: %w", err)
		}
		if len(configs) == 0 {
			return nil, ipc.Errorf(ipc.CodeInvalidState, "there are no configs yet: add some with `xrat import`")
		}
		outcomes, err := s.Store.Outcomes(ctx)
		if err != nil {
			return nil, fmt.Errorf("reading how the configs did: %w", err)
		}
		byID := make(map[int64]store.Config, len(configs))
		candidates := make([]rotation.Candidate, 0, len(configs))
		for _, c := range configs {
			byID[c.ID] = c
			candidates = append(candidates, rotation.Candidate{ConfigID: c.ID, History: historyOf(outcomes[c.ID])})
		}
		var ordered []store.Config
		for _, c := range rotation.Order(time.Now(), preference, candidates, exclude...) {
			ordered = append(ordered, byID[c.ConfigID])
		}
		return ordered, nil
	}
}

// only names one config.
func (s *Supervisor) only(id int64) configsFunc {
	return func(ctx context.Context) ([]store.Config, error) {
		config, err := s.Store.Config(ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return nil, ipc.Errorf(ipc.CodeNotFound, "there is no config %d: see `xrat list`", id)
		}
		if err != nil {
			return nil, fmt.Errorf("reading config %d: %w", id, err)
		}
		return []store.Config{config}, nil
	}
}
