package supervisor

import (
	"context"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/daemon/liveness"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// examine carries out an examination with real probes, until the findings are clear or ctx has
// ended. What is still under way then is called off and waited for. way probes the way out, control
// the other one, beginning with the given URL; control may be nil if e has none. doubtful is called
// at most once, in the calling goroutine, when something measured gives a reason for doubt.
func examine(ctx context.Context, e liveness.Examination, way, control measure, doubtful func()) liveness.Findings {
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	ended := make(chan liveness.Measurement)
	run := func(m liveness.Measurement) {
		through := way
		if m.Control {
			through = control
		}
		r := through(ctx, m.First)
		if r.Class == probe.ClassCanceled {
			return // says nothing
		}
		m.Result = liveness.Result{OK: r.OK, Class: r.Class, Latency: r.Latency, Err: r.Err, Skew: r.Skew}
		select {
		case ended <- m:
		case <-ctx.Done():
		}
	}
	next := e.Step(time.Now())
	wake := time.NewTimer(0)
	defer wake.Stop()
	for {
		if next.Doubt {
			doubtful()
		}
		if next.Done {
			return e.Findings()
		}
		for _, m := range next.Start {
			running.Go(func() { run(m) })
		}
		wake.Reset(time.Until(next.Wake))
		select {
		case m := <-ended:
			next = e.Step(time.Now(), m)
		case <-wake.C:
			next = e.Step(time.Now())
		case <-ctx.Done():
			return e.Findings()
		}
	}
}
