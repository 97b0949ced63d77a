package daemon

import (
	"sync"
	"time"

	"github.com/rs/zerolog"
)

// busyTime is how long the loop may be busy with one event: it never waits for anything, so that
// only a mistake of ours takes longer.
const busyTime = 10 * time.Second

// watchdog calls hung if the loop does not come to an end with an event. The loop tells it when it
// begins with one and when it is through, so that nothing has to wake up to ask. The zero value
// with hung set is ready for use.
type watchdog struct {
	hung func()
	log  zerolog.Logger

	mu     sync.Mutex
	timer  *time.Timer // nil: never busy yet
	busy   bool
	warned bool // half of the time is over
}

// Busy tells that the loop begins with an event.
func (w *watchdog) Busy() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy, w.warned = true, false
	if w.timer == nil {
		w.timer = time.AfterFunc(busyTime/2, w.look)
		return
	}
	w.timer.Reset(busyTime / 2)
}

// Idle tells that it is through.
func (w *watchdog) Idle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy = false
	if w.timer != nil {
		w.timer.Stop()
	}
}

// look comes twice: if the whole process was stopped meanwhile, the loop goes on after the first
// time.
func (w *watchdog) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case !w.busy:
	case !w.warned:
		w.warned = true
		w.timer.Reset(busyTime / 2)
	default:
		w.log.Error().Dur("limit", busyTime).Msg("the loop hangs; the daemon ends, to be started again")
		w.hung()
	}
}
