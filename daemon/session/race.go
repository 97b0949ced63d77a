package session

import (
	"context"
	"errors"
	"slices"

	"github.com/xrat-tray/xrat/daemon/store"
)

// errOvertaken is why a candidate was called off.
var errOvertaken = errors.New("another candidate was faster")

// finish is what became of one candidate.
type finish struct {
	config  int64
	session *Session
	proof   Proof
	failure *Failure
}

// race tries the candidates, spec.Race at a time, until one is healthy. The others that are under
// way then are called off, and stopped in workers of their own.
func (l *Lifecycle) race(ctx context.Context, candidates []Candidate, spec Spec, result *Result) {
	ctx, callOff := context.WithCancelCause(ctx)
	defer callOff(errOvertaken)
	finishes := make(chan finish, len(candidates)+1) // has room: nobody blocks on it
	running := make(map[int64]bool)
	width := 1 // one that worked a moment ago needs no rivals
	if !spec.Fresh {
		width = max(spec.Race, 1)
	}
	for result.Session == nil {
		for len(running) < width && len(candidates) > 0 {
			config := candidates[0].Config
			candidates = candidates[1:]
			running[config.ID] = true
			go func() { finishes <- l.try(ctx, config, spec) }()
		}
		if len(running) == 0 {
			return
		}
		f := <-finishes
		delete(running, f.config)
		width = max(spec.Race, 1)
		if f.failure == nil {
			result.Session, result.Proof = f.session, f.proof
			break
		}
		result.Tried = append(result.Tried, *f.failure)
		l.Log.Info().Int64("config", f.config).Str("code", f.failure.Code).Err(f.failure.Err).Msg("candidate is not usable")
		if ctx.Err() != nil {
			candidates = nil
		}
		if f.failure.Code == codeNoCore {
			// None will do better that has to be started.
			candidates = slices.DeleteFunc(slices.Clone(candidates), func(c Candidate) bool { return !spec.ready(c.ID) })
		}
	}
	callOff(errOvertaken)
	if result.Session == result.Unused {
		result.Unused = nil
	}
	// A standby that could not keep up is not worth keeping, and it is still in the hands of
	// whoever tries it.
	slow := result.Unused
	if slow != nil && running[slow.Config.ID] {
		result.Unused = nil
	}
	for range running {
		l.Go(func(context.Context) {
			switch f := <-finishes; {
			case f.session != nil:
				l.Discard(f.session)
			case slow != nil && slow.Config.ID == f.config:
				l.Discard(slow)
			}
		})
	}
}

// try makes one candidate fit to serve, or says why it cannot.
func (l *Lifecycle) try(ctx context.Context, config store.Config, spec Spec) finish {
	f := finish{config: config.ID}
	if spec.ready(config.ID) {
		if f.proof, f.failure = l.promote(ctx, spec); f.failure == nil {
			f.session = spec.Ready
		}
	} else {
		f.session, f.proof, f.failure = l.start(ctx, config, spec)
	}
	return f
}
