// Package liveness judges whether a way out is alive.
//
// It is pure: results and the time come in as values; what to measure next and the findings go out.
// It starts nothing and reads no clock. Results have a type of their own here, since what is judged
// need not come from a prober.
package liveness

import (
	"fmt"
	"slices"
	"time"
)

const (
	// leastDoubt and leastPatience bound from below how long a silence must be to raise doubt, and
	// to have a measurement given up. Below them, chance rules.
	leastDoubt    = 250 * time.Millisecond
	leastPatience = time.Second
	// leastUnaided is leastPatience while nothing shows that the network works.
	leastUnaided = 1200 * time.Millisecond
	// firstSpacing lies between the first two rounds of pairs; it doubles up to maxSpacing.
	firstSpacing = 200 * time.Millisecond
	maxSpacing   = 2 * time.Second
	// maxRounds is how many rounds may be under way at a time.
	maxRounds = 4
)

// An Examination finds out whether a way out is alive. It measures in rounds. The first is one
// measurement. When that fails, or takes much longer than usual, the examination is in doubt, and
// further rounds follow at short, growing distances without waiting for each other; each is a pair
// of measurements that begin with different URLs, and fails only if both do. One success is enough:
// alive. When more rounds than the threshold have failed: dead.
//
// In doubt, the control is measured, too, which is another way out: if that works, the network
// does. How long a round is waited for follows from what is usual, and is shorter then.
//
// The exported fields are set before the first Step and not changed afterwards. An Examination is
// used once, by one goroutine at a time, and must not be copied after the first Step.
type Examination struct {
	Threshold int           // how many rounds may fail
	Timeout   time.Duration // of one measurement
	Usual     time.Duration // how long measurements have taken of late; 0: unknown
	Urgent    bool          // in doubt from the beginning
	Control   bool          // there is one

	findings  Findings
	rounds    []round
	doubted   bool      // something measured has given a reason for doubt
	nextRound time.Time // when it may begin; in doubt only
}

// round is a number of measurements that began together.
type round struct {
	began   time.Time
	pending []Measurement
	failed  bool
	last    Result // of those that are not pending
}

// Next is what an examination wants done.
type Next struct {
	Start []Measurement // to be begun now
	Wake  time.Time     // when to call Step, if no result comes earlier
	Doubt bool          // something measured gives a reason for doubt; said once
	Done  bool          // the findings are clear: nothing is started any more
}

// Step moves the examination on to now, which never goes back, with the measurements that have come
// to a Result since the last Step. The first Step begins the examination. After the one that says
// Done there must be no other.
//
// A measurement that was called off has no result, and is not handed in.
func (e *Examination) Step(now time.Time, ended ...Measurement) Next {
	var next Next
	if e.rounds == nil {
		next.Start = e.begin(now)
	}
	for _, m := range ended {
		if e.take(now, m); e.findings.Success.OK {
			return Next{Done: true}
		}
	}
	e.failRounds(now)
	if !e.doubted && (e.findings.FailedRounds > 0 || !now.Before(e.doubtAt())) {
		e.doubted, next.Doubt = true, true
		if !e.Urgent {
			next.Start = append(next.Start, e.startControl(now)...)
			e.nextRound = now
		}
	}
	if e.dead() {
		return Next{Doubt: next.Doubt, Done: true}
	}
	if e.hasRoom() && !now.Before(e.nextRound) {
		next.Start = append(next.Start, e.startRound(now, 2)...)
		e.nextRound = now.Add(spacing(len(e.rounds) - 1))
	}
	next.Wake = e.wake()
	return next
}

// Findings returns what the examination has come to by now. Before a Step said Done they are those
// of an examination that was called off.
func (e *Examination) Findings() Findings {
	f := e.findings
	f.Alive = !e.dead()
	return f
}

func (e *Examination) dead() bool { return e.findings.FailedRounds > e.Threshold }

func (e *Examination) begin(now time.Time) []Measurement {
	e.findings.Began = now
	if !e.Urgent {
		return e.startRound(now, 1)
	}
	e.nextRound = now.Add(firstSpacing)
	return append(e.startRound(now, 2), e.startControl(now)...)
}

func (e *Examination) startRound(now time.Time, measurements int) []Measurement {
	r := round{began: now}
	for i := range measurements {
		n := len(e.rounds)
		r.pending = append(r.pending, Measurement{At: now, First: n + i, round: n})
	}
	e.rounds = append(e.rounds, r)
	return slices.Clone(r.pending)
}

func (e *Examination) startControl(now time.Time) []Measurement {
	if !e.Control {
		return nil
	}
	return []Measurement{{At: now, Control: true, First: 0}, {At: now, Control: true, First: 1}}
}

// take notes what a measurement came to.
func (e *Examination) take(now time.Time, m Measurement) {
	f := &e.findings
	f.Measured = append(f.Measured, m)
	switch {
	case m.Control:
		if m.Result.OK && !f.ControlOK {
			f.ControlOK, f.ControlTook = true, now.Sub(m.At)
		}
	case m.Result.OK:
		f.Success = m.Result
	default:
		r := &e.rounds[m.round]
		r.last = m.Result
		r.pending = slices.DeleteFunc(r.pending, func(p Measurement) bool { return p.First == m.First })
	}
}

// failRounds gives up the rounds that have been silent for too long, and counts those that failed.
// What was given up is still welcome if it succeeds later.
func (e *Examination) failRounds(now time.Time) {
	f, patience := &e.findings, e.patience()
	for i := range e.rounds {
		r := &e.rounds[i]
		silent := len(r.pending) > 0
		if r.failed || silent && now.Before(r.began.Add(patience)) {
			continue
		}
		if silent {
			r.last = Result{
				Class: ClassTimeout, Latency: now.Sub(r.began),
				Err: fmt.Errorf("no answer within %v", patience.Round(time.Millisecond)),
			}
		}
		for _, m := range r.pending {
			m.Result = r.last
			f.Measured = append(f.Measured, m)
		}
		r.failed = true
		if f.FailedRounds++; f.FailedRounds == 1 {
			f.Cause = r.last
		}
	}
}

// hasRoom reports whether another round is wanted, be it now or later.
func (e *Examination) hasRoom() bool {
	doubt := e.Urgent || e.doubted
	underWay := len(e.rounds) - e.findings.FailedRounds
	return doubt && len(e.rounds) <= e.Threshold && underWay < maxRounds
}

// wake is when something happens even if no result comes.
func (e *Examination) wake() time.Time {
	var times []time.Time
	for _, r := range e.rounds {
		if !r.failed {
			times = append(times, r.began.Add(e.patience()))
		}
	}
	if !e.doubted {
		times = append(times, e.doubtAt())
	}
	if e.hasRoom() {
		times = append(times, e.nextRound)
	}
	return slices.MinFunc(times, time.Time.Compare)
}

// doubtAt is from when on silence is unusual.
func (e *Examination) doubtAt() time.Time {
	return e.findings.Began.Add(min(max(4*e.Usual, leastDoubt), e.Timeout/2))
}

// patience is how long a round is waited for.
func (e *Examination) patience() time.Duration {
	switch {
	case e.findings.ControlOK:
		return min(max(5*max(e.Usual, e.findings.ControlTook), leastPatience), e.Timeout)
	case e.Usual > 0:
		return min(max(5*e.Usual, leastUnaided), e.Timeout)
	}
	return e.Timeout
}

// spacing lies between the n-th round of pairs (from 1) and the next.
func spacing(n int) time.Duration {
	d := firstSpacing
	for range n - 1 {
		d = min(2*d, maxSpacing)
	}
	return d
}
