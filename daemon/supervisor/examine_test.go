package supervisor

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/liveness"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// An examination, in numbers.
func TestExamination(t *testing.T) {
	type script struct {
		active, control []time.Duration // of each measurement in turn; negative: fails after that; 0: silent; the last repeats
	}
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		script
		urgent      bool
		usual       time.Duration
		alive       bool
		least, most time.Duration
		rounds      int
	}{
		"well":                            {script{[]time.Duration{50 * ms}, nil}, false, 50 * ms, true, 50 * ms, 50 * ms, 0},
		"slow, and well":                  {script{[]time.Duration{2 * time.Second}, []time.Duration{50 * ms}}, false, 500 * ms, true, 2 * time.Second, 2 * time.Second, 0},
		"one failure":                     {script{[]time.Duration{-1 * ms, 50 * ms}, nil}, false, 50 * ms, true, 51 * ms, 60 * ms, 1},
		"one of a pair":                   {script{[]time.Duration{-1 * ms, -1 * ms, 50 * ms}, nil}, false, 50 * ms, true, 51 * ms, 60 * ms, 1},
		"silent, nothing to compare":      {script{[]time.Duration{0}, nil}, false, 50 * ms, false, 3 * time.Second, 3500 * ms, 3},
		"silent, the control works":       {script{[]time.Duration{0}, []time.Duration{60 * ms}}, false, 50 * ms, false, 1400 * ms, 1500 * ms, 3},
		"silent, urgent":                  {script{[]time.Duration{0}, []time.Duration{60 * ms}}, true, 50 * ms, false, 1300 * ms, 1450 * ms, 3},
		"silent, the control is slow too": {script{[]time.Duration{0}, []time.Duration{500 * ms}}, true, 50 * ms, false, 2800 * ms, 3 * time.Second, 3},
		"silent, the control is silent":   {script{[]time.Duration{0}, []time.Duration{0}}, true, 50 * ms, false, 3 * time.Second, 3500 * ms, 3},
		"refusing":                        {script{[]time.Duration{-1 * ms}, []time.Duration{50 * ms}}, false, 50 * ms, false, 200 * ms, 450 * ms, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				player := func(times []time.Duration) func(context.Context, int) probe.Result {
					var n atomic.Int64
					return func(ctx context.Context, _ int) probe.Result {
						d := times[min(int(n.Add(1))-1, len(times)-1)]
						wait := d.Abs()
						if d == 0 {
							wait = time.Hour
						}
						select {
						case <-time.After(wait):
						case <-ctx.Done():
							return probe.Result{Class: "canceled"}
						}
						if d < 0 {
							return probe.Result{Class: "refused", Err: errors.New("refused")}
						}
						return probe.Result{OK: true, Class: "ok", Latency: d}
					}
				}
				doubts := 0
				e := liveness.Examination{
					Threshold: 2, Timeout: 3 * time.Second, Usual: test.usual, Urgent: test.urgent, Control: test.control != nil,
				}
				begin := time.Now()
				f := examine(t.Context(), e, player(test.active), player(test.control), func() { doubts++ })
				took := time.Since(begin)
				if f.Alive != test.alive || took < test.least || took > test.most || f.FailedRounds != test.rounds {
					t.Errorf("alive %v after %v, %d rounds failed; want %v after %v to %v, %d rounds", f.Alive, took, f.FailedRounds, test.alive, test.least, test.most, test.rounds)
				}
				if want := !f.Alive || f.FailedRounds > 0 || test.urgent; doubts > 1 || want && doubts != 1 {
					t.Errorf("doubt began %d times", doubts)
				}
			})
		})
	}
}
