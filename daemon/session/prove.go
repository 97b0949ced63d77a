package session

import (
	"context"
	"fmt"
	"time"

	"github.com/xrat-tray/xrat/runtime/probe"
)

const (
	// leastWorkTime is how long a session is given for work at least, workMultiple how many times
	// as long as its probe took, and mostWorkTime the most.
	leastWorkTime = 3 * time.Second
	workMultiple  = 8
	mostWorkTime  = 10 * time.Second
	// workPair is how many downloads are tried at a time. One that succeeds is enough.
	workPair = 2
)

// prove measures once through a session, and has it do work if that is asked for. Without URLs, an
// inbound that answers is all there is to know, and that it does was seen when the core was
// started.
func (l *Lifecycle) prove(ctx context.Context, s *Session, work bool) (Proof, *Failure) {
	proof := Proof{OK: true}
	if len(l.Settings.Health.URLs) > 0 {
		result := l.Probe(ctx, s.Proxy(), 0)
		if result.Class == probe.ClassLoop {
			return Proof{}, failure(ctx, s.Config, codeLoop, fmt.Errorf("%w; remove it with `xrat remove`", result.Err))
		}
		if !result.OK {
			return Proof{}, failure(ctx, s.Config, "probe_"+result.Class, fmt.Errorf("no answer through it: %w", result.Err))
		}
		proof.At, proof.Latency = time.Now(), result.Latency
	}
	if work {
		done := l.work(ctx, s, min(max(leastWorkTime, workMultiple*proof.Latency), mostWorkTime))
		proof.Worked = done.OK
		if done.Strangled() {
			proof.Limit = done.Class
		}
	}
	return proof, nil
}

// work has a session download something, and returns the best outcome.
func (l *Lifecycle) work(ctx context.Context, s *Session, limit time.Duration) (best probe.Work) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	outcomes := make(chan probe.Work, workPair)
	for first := range workPair {
		go func() { outcomes <- l.Work(ctx, s.Proxy(), first) }()
	}
	for range workPair {
		switch w := <-outcomes; {
		case w.OK:
			best = w
			cancel() // the other one is waited for
		case !best.OK && !best.Strangled():
			best = w
		}
	}
	return best
}
