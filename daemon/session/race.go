package session

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/xrat-tray/xrat/daemon/rotation"
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
// way then are called off, and stopped in workers of their own. If work is asked for, those that
// only answer are kept aside until it is clear that none does better.
func (l *Lifecycle) race(ctx context.Context, candidates []Candidate, spec Spec, result *Result) {
	ctx, callOff := context.WithCancelCause(ctx)
	defer callOff(errOvertaken)
	finishes := make(chan finish, len(candidates)+1) // has room: nobody blocks on it
	running := make(map[int64]bool)
	var aside aside
	width := 1 // one that worked a moment ago needs no rivals
	if !spec.Fresh && spec.HeadStart == 0 {
		width = max(spec.Race, 1)
	}
	var lead <-chan time.Time // nil: nobody has a head start
	if spec.HeadStart > 0 {
		lead = time.After(spec.HeadStart)
	}
	for result.Session == nil {
		for len(running) < width && len(candidates) > 0 && !aside.enough() {
			config := candidates[0].Config
			candidates = candidates[1:]
			running[config.ID] = true
			go func() { finishes <- l.try(ctx, config, spec) }()
		}
		if len(running) == 0 {
			break
		}
		var f finish
		select {
		case f = <-finishes:
		case <-lead:
			lead, width = nil, max(spec.Race, 1)
			continue
		}
		delete(running, f.config)
		width = max(spec.Race, 1)
		if f.failure == nil && (!l.asksWork(spec) || f.proof.Worked) {
			result.Session, result.Proof = f.session, f.proof
			break
		}
		if f.failure == nil {
			aside.add(f)
			l.Log.Info().Int64("config", f.config).Str("limit", f.proof.Limit).Msg("candidate answers, and has done no work")
			continue
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
	l.setAside(aside, spec, result)
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

// asksWork reports whether a candidate must have done work.
func (l *Lifecycle) asksWork(s Spec) bool {
	return (s.Work || s.MustWork) && l.Settings.Health.LooksAtWork()
}

// aside are the candidates that answer and have done no work, the best first.
type aside struct {
	all     []finish
	unclear int // of which nothing bad is known
}

func (a *aside) add(f finish) {
	if f.proof.Limit != "" {
		a.all = append(a.all, f)
		return
	}
	a.all = slices.Insert(a.all, a.unclear, f)
	a.unclear++
}

// enough reports whether it is rather the pages that cannot be reached than the fault of each
// candidate that none has done work.
func (a *aside) enough() bool { return a.unclear >= maxUnclear }

// maxUnclear is how many candidates may fail to reach any page for work until one that answers will
// do.
const maxUnclear = 2

// setAside takes the best of those that were kept aside if there is nobody else, and lets the
// others go.
func (l *Lifecycle) setAside(a aside, spec Spec, result *Result) {
	for _, f := range a.all {
		if result.Session == nil && !spec.MustWork {
			result.Session, result.Proof = f.session, f.proof
			continue
		}
		failed := Failure{Config: f.session.Config, Code: CodeNoWork, Err: errNoWork, Limited: f.proof.Limit != ""}
		if failed.Limited {
			failed.Code, failed.Err = f.proof.Limit, fmt.Errorf("it answers checks and %s", rotation.LimitText(f.proof.Limit))
		}
		result.Tried = append(result.Tried, failed)
		if spec.ready(f.config) {
			continue // it is given back
		}
		l.Go(func(context.Context) { l.Discard(f.session) })
	}
}

// CodeNoWork is the code of a candidate that answers, and reaches none of the pages for work.
const CodeNoWork = "no_work"

var errNoWork = errors.New("it answers checks, and none of health.work_urls could be fetched through it")

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
