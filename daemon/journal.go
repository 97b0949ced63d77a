package daemon

import (
	"context"
	"sync"
)

// journal writes to the store in the order in which the loop decided, without
// the loop waiting for the disk.
type journal struct {
	mu     sync.Mutex
	queue  []entry
	wake   chan struct{}
	closed bool
}

type entry struct {
	write func(ctx context.Context) error
	done  func(error)
}

func newJournal() *journal { return &journal{wake: make(chan struct{}, 1)} }

// Append queues a write; done, which may be nil, is called with its result from
// the journal's goroutine.
func (j *journal) Append(write func(ctx context.Context) error, done func(error)) {
	j.mu.Lock()
	j.queue = append(j.queue, entry{write, done})
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Flush waits until everything that was queued so far is written, or ctx ends.
func (j *journal) Flush(ctx context.Context) error {
	written := make(chan struct{})
	j.Append(func(context.Context) error { return nil }, func(error) { close(written) })
	select {
	case <-written:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close makes Run return after what is queued.
func (j *journal) Close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Run writes until Close; a write is handed a context of ctx that ends after
// recordTime, so that a disk that hangs does not keep answers back for ever.
func (j *journal) Run(ctx context.Context) {
	for {
		j.mu.Lock()
		queue, closed := j.queue, j.closed
		j.queue = nil
		j.mu.Unlock()
		for _, e := range queue {
			limited, cancel := context.WithTimeoutCause(ctx, recordTime, errDiskSilent)
			err := e.write(limited)
			cancel()
			if e.done != nil {
				e.done(err)
			}
		}
		if len(queue) > 0 {
			continue
		}
		if closed {
			return
		}
		<-j.wake
	}
}
