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

// The rules of an examination are tested where they are, in daemon/liveness.
func TestExamine(t *testing.T) {
	var running atomic.Int64
	// answering returns a measurement with this result after a time, unless it is called off.
	answering := func(after time.Duration, r probe.Result) func(context.Context, int) probe.Result {
		r.Latency = after
		return func(ctx context.Context, _ int) probe.Result {
			running.Add(1)
			defer running.Add(-1)
			select {
			case <-time.After(after):
				return r
			case <-ctx.Done():
				time.Sleep(time.Millisecond) // for its connections to close
				return probe.Result{Class: probe.ClassCanceled}
			}
		}
	}
	ok := probe.Result{OK: true, Class: probe.ClassOK}
	refused := probe.Result{Class: probe.ClassRefused, Err: errors.New("refused")}
	canceled := probe.Result{Class: probe.ClassCanceled, Err: context.Canceled}
	silent := answering(time.Hour, ok)

	type found struct {
		alive    bool
		rounds   int
		cause    string
		latency  time.Duration // of the success
		control  bool
		measured int
		doubtful int
		took     time.Duration
	}
	for name, test := range map[string]struct {
		measure, control func(context.Context, int) probe.Result
		callOff          time.Duration
		want             found
	}{
		"alive": {
			measure: answering(50*time.Millisecond, ok),
			want:    found{alive: true, latency: 50 * time.Millisecond, measured: 1, took: 50 * time.Millisecond},
		},
		"alive, with probes under way": {
			measure: answering(300*time.Millisecond, ok),
			want:    found{alive: true, latency: 300 * time.Millisecond, measured: 1, doubtful: 1, took: 301 * time.Millisecond},
		},
		"dead at once": {
			measure: answering(time.Millisecond, refused),
			want:    found{rounds: 3, cause: probe.ClassRefused, measured: 5, doubtful: 1, took: 202 * time.Millisecond},
		},
		"dead in silence": {
			measure: silent, control: answering(60*time.Millisecond, ok),
			want: found{rounds: 3, cause: probe.ClassTimeout, control: true, measured: 7, doubtful: 1, took: 1451 * time.Millisecond},
		},
		"called off": {
			measure: silent, callOff: 300 * time.Millisecond,
			want: found{alive: true, doubtful: 1, took: 301 * time.Millisecond},
		},
		"canceled probes say nothing": {
			measure: answering(time.Millisecond, canceled), callOff: 100 * time.Millisecond,
			want: found{alive: true, took: 100 * time.Millisecond},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if test.callOff > 0 {
					time.AfterFunc(test.callOff, cancel)
				}
				var got found
				began := time.Now()
				e := liveness.Examination{Threshold: 2, Timeout: 3 * time.Second, Usual: 50 * time.Millisecond, Control: test.control != nil}
				f := examine(ctx, e, test.measure, test.control, func() { got.doubtful++ })
				got.took = time.Since(began)
				got.alive, got.rounds, got.cause, got.control = f.Alive, f.FailedRounds, f.Cause.Class, f.ControlOK
				got.latency, got.measured = f.Success.Latency, len(f.Measured)
				if got != test.want {
					t.Errorf("found %+v,\n want %+v", got, test.want)
				}
				if n := running.Load(); n != 0 {
					t.Errorf("%d probes are left behind", n)
				}
			})
		})
	}
}
