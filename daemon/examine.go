package daemon

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/runtime/probe"
)

const (
	// leastDoubt and leastPatience bound from below after how much silence a check
	// is in doubt, and gives a measurement up: below, chance rules.
	leastDoubt    = 250 * time.Millisecond
	leastPatience = time.Second
	// firstSpacing lies between the first and the second measurement in doubt; it
	// doubles up to maxSpacing.
	firstSpacing = 200 * time.Millisecond
	maxSpacing   = 2 * time.Second
	// maxRounds is how many rounds may be under way at a time.
	maxRounds = 4
)

// An examination finds out whether a way out is alive. It measures in rounds. The
// first is one measurement. When that fails, or takes much longer than usual, the
// examination is in doubt, and further rounds follow at short, growing distances
// without waiting for each other; each is a pair of measurements that begin with
// different URLs, and fails only if both do. One success is enough: alive. When
// more rounds than the threshold have failed: dead.
//
// In doubt, the control is measured, too, which is another way out: if that works,
// the network does, and then a round need not be waited for as long as the settings
// allow, but only for a multiple of what is usual.
type examination struct {
	threshold int
	timeout   time.Duration // of one measurement
	usual     time.Duration // how long they have taken of late; 0: unknown
	urgent    bool          // in doubt from the beginning
	measure   func(ctx context.Context, first int) probe.Result
	control   func(ctx context.Context, first int) probe.Result // nil: there is none
	doubtful  func()                                            // called once, when there is a reason for doubt in what was measured
}

// findings are what an examination came to.
type findings struct {
	began     time.Time
	alive     bool
	rounds    int          // that failed
	cause     probe.Result // of the first that did
	success   probe.Result // if alive
	controlOK bool
	measured  []measurement
}

// measurement is one measurement of an examination.
type measurement struct {
	at      time.Time
	control bool
	result  probe.Result
}

// round is one round of measurements.
type round struct {
	began   time.Time
	pending int
	failed  bool
	last    probe.Result
}

// run measures until the findings are clear, or ctx has ended; then it says
// alive, as nothing was found. What is still under way is called off and waited for.
func (e examination) run(ctx context.Context) findings {
	type result struct {
		began   time.Time
		round   int // -1: the control
		outcome probe.Result
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()

	f := findings{began: time.Now()}
	results := make(chan result)
	launch := func(number, first int, measure func(context.Context, int) probe.Result) {
		began := time.Now()
		running.Go(func() {
			r := result{began, number, measure(ctx, first)}
			select {
			case results <- r:
			case <-ctx.Done():
			}
		})
	}
	var rounds []*round
	start := func(measurements int) {
		for first := range measurements {
			launch(len(rounds), len(rounds)+first, e.measure)
		}
		rounds = append(rounds, &round{began: time.Now(), pending: measurements})
	}
	fail := func(r *round, why probe.Result) {
		if r.failed {
			return
		}
		r.failed = true
		if f.rounds++; f.rounds == 1 {
			f.cause = why
		}
	}

	var (
		doubt      bool
		next       time.Time // when the next round begins
		controlRan time.Duration
	)
	announced := false
	announce := func() {
		if !announced && e.doubtful != nil {
			e.doubtful()
		}
		announced = true
	}
	enterDoubt := func() {
		if doubt {
			return
		}
		doubt = true
		if e.control != nil {
			launch(-1, 0, e.control)
			launch(-1, 1, e.control)
		}
		next = time.Now().Add(e.spacing(len(rounds)))
		if !e.urgent {
			next = time.Now()
		}
	}
	if e.urgent {
		start(2)
		enterDoubt()
	} else {
		start(1)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		now := time.Now()
		patience := e.timeout
		if f.controlOK {
			patience = e.patience(controlRan)
		}
		underWay := 0
		due := now.Add(e.timeout)
		earlier := func(t time.Time) {
			if t.Before(due) {
				due = t
			}
		}
		for _, r := range rounds {
			switch end := r.began.Add(patience); {
			case r.failed:
			case r.pending > 0 && now.Before(end):
				underWay++
				earlier(end)
			case r.pending > 0:
				silent := probe.Result{
					Class: probe.ClassTimeout, Latency: now.Sub(r.began),
					Err: fmt.Errorf("no answer within %v", patience.Round(time.Millisecond)),
				}
				for range r.pending {
					f.measured = append(f.measured, measurement{r.began, false, silent})
				}
				fail(r, silent)
			default:
				fail(r, r.last)
			}
		}
		if f.rounds > 0 {
			announce()
			enterDoubt()
		}
		if f.rounds > e.threshold {
			return f
		}
		if !announced {
			if begin := f.began.Add(e.doubtAfter()); now.Before(begin) {
				earlier(begin)
			} else {
				announce()
				enterDoubt()
			}
		}
		if doubt && len(rounds) <= e.threshold && underWay < maxRounds {
			if !now.Before(next) {
				start(2)
				next = now.Add(e.spacing(len(rounds) - 1))
				continue
			}
			earlier(next)
		}
		timer.Reset(max(time.Until(due), 0))
		select {
		case r := <-results:
			if r.outcome.Class == probe.ClassCanceled {
				continue // ctx has ended
			}
			f.measured = append(f.measured, measurement{r.began, r.round < 0, r.outcome})
			switch {
			case r.round < 0:
				if r.outcome.OK && !f.controlOK {
					f.controlOK, controlRan = true, time.Since(r.began)
				}
			case r.outcome.OK:
				f.alive, f.success = true, r.outcome
				return f
			default:
				current := rounds[r.round]
				current.pending--
				current.last = r.outcome
			}
		case <-timer.C:
		case <-ctx.Done():
			f.alive = true
			return f
		}
	}
}

// doubtAfter is how much silence is unusual.
func (e examination) doubtAfter() time.Duration {
	return min(max(4*e.usual, leastDoubt), e.timeout/2)
}

// patience is how long a round is waited for when the control took so long.
func (e examination) patience(control time.Duration) time.Duration {
	return min(max(5*max(e.usual, control), leastPatience), e.timeout)
}

// spacing lies between the n-th round (from 1) and the next.
func (e examination) spacing(n int) time.Duration {
	d := firstSpacing
	for range n - 1 {
		d = min(2*d, maxSpacing)
	}
	return d
}
