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
	looked := window(candidates, spec.Turn, spec.Keep)
	result.Considered, result.Candidates = looked[:min(len(looked), maxConsidered)], len(candidates)
	l.race(ctx, looked, spec, &result)
	switch {
	case result.Session != nil:
	case ctx.Err() != nil:
		result.Err = context.Cause(ctx)
	default:
		// Nothing worked. That may be the network's fault, so nobody is blamed.
		result.Err = sumUp(result.Tried)
	}
	return result
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

// window returns the part of the candidates that the turn-th attempt looks at.
func window(candidates []Candidate, turn, keep int) []Candidate {
	if len(candidates) <= maxTried {
		return candidates
	}
	rest := candidates[keep:]
	start := turn * (maxTried - keep) % len(rest)
	return slices.Concat(candidates[:keep], rest[start:], rest[:start])[:maxTried]
}
