package supervisor

import (
	"context"
	"sync"
	"time"
)

// workers run what takes time. Any goroutine may have one begin.
type workers struct {
	// base is the context of all of them: it ends with the loop, not with the signal that asks for
	// the end, since stopping is work too.
	base    context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newWorkers() *workers {
	w := &workers{}
	w.base, w.cancel = context.WithCancel(context.Background())
	return w
}

// background runs do in a worker that has nothing to report.
func (w *workers) background(do func(ctx context.Context)) {
	w.running.Go(func() { do(w.base) })
}

// end calls off what the workers do, whose reports come to nothing now, and reports whether all of
// them were gone within the limit.
func (w *workers) end(limit time.Duration) bool {
	w.cancel()
	gone := make(chan struct{})
	go func() {
		w.running.Wait()
		close(gone)
	}()
	select {
	case <-gone:
		return true
	case <-time.After(limit):
		return false
	}
}
