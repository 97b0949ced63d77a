package daemon

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// A loop that comes to an end with each event is left alone, however long it has nothing to do; one
// that does not is given up after ten seconds.
func TestWatchdog(t *testing.T) {
	for name, test := range map[string]struct {
		busy  []time.Duration // with one event after the other
		hangs bool
	}{
		"well":          {[]time.Duration{0, time.Second, 0}, false},
		"late each one": {[]time.Duration{busyTime - 1, busyTime - 1, busyTime - 1}, false},
		"hangs":         {[]time.Duration{0, busyTime}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var hung time.Time
				w := watchdog{hung: func() { hung = time.Now() }, log: zerolog.Nop()}
				var begun time.Time
				for _, d := range test.busy {
					begun = time.Now()
					w.Busy()
					time.Sleep(d)
					synctest.Wait()
					w.Idle()
					time.Sleep(time.Hour)
				}
				if test.hangs == hung.IsZero() || test.hangs && hung.Sub(begun) != busyTime {
					t.Errorf("given up at %v, busy since %v", hung, begun)
				}
			})
		})
	}
}

// A process that was stopped is not given up: the loop goes on once it runs again.
func TestWatchdogForgivesAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watchdog{hung: func() { t.Error("given up") }, log: zerolog.Nop()}
		w.Busy()
		w.look() // the timer is overdue when the process goes on, and comes first
		w.Idle()
		w.look()
	})
}
