package session

import (
	"context"
	"fmt"
	"slices"
	"time"
)

const (
	// maxTried bounds the candidates of one attempt: with the network down none of them works, and
	// the next attempt takes the next ones.
	maxTried = 8
	// maxConsidered bounds the candidates that a result tells of.
	maxConsidered = 10
	// freshTime is how long the disk may take to name the candidates when the first of them runs
	// already.
	freshTime = 500 * time.Millisecond
)

// BringUp tries the candidates until one is healthy.
func (l *Lifecycle) BringUp(ctx context.Context, spec Spec) (result Result) {
	result.Unused = spec.Ready
	if spec.OpenFront {
		if err := l.Front.Open(ctx); err != nil {
			result.Err = l.ExplainFront(err)
			return result
		}
		defer func() {
			if result.Session == nil && spec.CloseFront {
				l.Front.Close()
				return
			}
			result.Opened = true
		}()
	}
	if spec.Candidates == nil {
		return result
	}
	candidates, err := l.candidates(ctx, spec)
	if err != nil {
		result.Err = err
		return result
	}
	looked := window(candidates, spec.Turn, spec.Keep, max(maxTried, 2*spec.Race))
	result.Considered, result.Candidates = looked[:min(len(looked), maxConsidered)], len(candidates)
	l.race(ctx, looked, spec, &result)
	switch {
	case result.Session != nil && spec.Against != nil && l.answers(ctx, spec, result.Proof.Latency):
		l.giveUp(spec, &result)
		result.Err = ErrAnswers
	case result.Session != nil:
	case ctx.Err() != nil:
		result.Err = context.Cause(ctx)
	default:
		// Nothing worked. That may be the network's fault, so nobody is blamed.
		result.Err = sumUp(result.Tried)
	}
	return result
}

const (
	// leastAnswer is how long the session in use is given for its last word at least, and
	// usualMultiple and otherMultiple how many times as long as it usually takes, and as the
	// candidate took.
	leastAnswer   = 300 * time.Millisecond
	usualMultiple = 3
	otherMultiple = 5
)

// answers reports whether the session that is about to be replaced answers after all or, if work is
// asked for, does it.
func (l *Lifecycle) answers(ctx context.Context, spec Spec, other time.Duration) bool {
	if spec.MustWork {
		return l.work(ctx, spec.Against, min(max(leastWorkTime/2, workMultiple*other), mostWorkTime)).OK
	}
	limit := max(leastAnswer, usualMultiple*spec.AgainstUsual, otherMultiple*other)
	ctx, cancel := context.WithTimeout(ctx, min(limit, l.Settings.Health.Timeout.Std()))
	defer cancel()
	if len(l.Settings.Health.URLs) == 0 {
		return spec.Against.Core.Health(ctx) == nil
	}
	return l.Probe(ctx, spec.Against.Proxy(), 0).OK
}

// giveUp lets the session go that has come up.
func (l *Lifecycle) giveUp(spec Spec, result *Result) {
	unwanted := result.Session
	result.Session, result.Proof = nil, Proof{}
	if spec.Ready == unwanted {
		result.Unused = unwanted
		return
	}
	l.Go(func(context.Context) { l.Discard(unwanted) })
}

// candidates asks for the spec's candidates, and gives up after a time whatever the disk does: when
// one runs that worked a moment ago, it steps in.
func (l *Lifecycle) candidates(ctx context.Context, spec Spec) ([]Candidate, error) {
	limit := recordTime
	if spec.Fresh {
		limit = freshTime
	}
	limited, cancel := context.WithTimeoutCause(ctx, limit, ErrDiskSilent)
	defer cancel()
	type answer struct {
		candidates []Candidate
		err        error
	}
	answers := make(chan answer, 1)
	l.Go(func(context.Context) {
		candidates, err := spec.Candidates(limited)
		answers <- answer{candidates, err}
	})
	var a answer
	select {
	case a = <-answers:
	case <-limited.Done():
		a.err = fmt.Errorf("reading the configs: %w", context.Cause(limited))
	}
	if a.err != nil && spec.Fresh && ctx.Err() == nil {
		l.Log.Error().Err(a.err).Msg("the candidates are not known; the standby steps in")
		return []Candidate{{Config: spec.Ready.Config, Class: "standby", Why: "it was running"}}, nil
	}
	return a.candidates, a.err
}

// window returns the part of the candidates that the turn-th attempt looks at, most of them.
func window(candidates []Candidate, turn, keep, most int) []Candidate {
	if len(candidates) <= most {
		return candidates
	}
	rest := candidates[keep:]
	start := turn * (most - keep) % len(rest)
	return slices.Concat(candidates[:keep], rest[start:], rest[:start])[:most]
}
