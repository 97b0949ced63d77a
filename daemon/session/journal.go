package session

import (
	"context"
	"sync"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/store"
)

// Journal writes to the store in the order in which the supervisor decided, without the supervisor
// waiting for the disk. Its methods may be called from any goroutine; Run by one, which the owner
// of the journal waits for.
type Journal struct {
	store Store
	log   zerolog.Logger

	mu     sync.Mutex
	queue  []entry
	wake   chan struct{}
	closed bool
}

type entry struct {
	write func(ctx context.Context) error
	done  func(error)
}

// NewJournal returns an empty journal.
func NewJournal(store Store, log zerolog.Logger) *Journal {
	return &Journal{store: store, log: log, wake: make(chan struct{}, 1)}
}

// Update queues a change of a session's record. That it cannot be written is logged.
func (j *Journal) Update(id int64, change func(*store.Session)) {
	j.Append(func(ctx context.Context) error {
		j.Record(ctx, id, change)
		return nil
	}, nil)
}

// Record changes a session's record now. That it cannot be written is logged.
func (j *Journal) Record(ctx context.Context, id int64, change func(*store.Session)) {
	if id < 0 {
		return // it has no record
	}
	if _, err := j.store.UpdateSession(ctx, id, change); err != nil {
		j.log.Error().Err(err).Int64("session", id).Msg("recording a session")
	}
}

// Append queues a write; done, which may be nil, is called with its result from the journal's
// goroutine.
func (j *Journal) Append(write func(ctx context.Context) error, done func(error)) {
	j.mu.Lock()
	j.queue = append(j.queue, entry{write, done})
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Flush waits until everything that was queued so far is written, or ctx ends.
func (j *Journal) Flush(ctx context.Context) error {
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
func (j *Journal) Close() {
	j.mu.Lock()
	j.closed = true
	j.mu.Unlock()
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Run writes until Close; a write is handed a context of ctx that ends after recordTime, so that a
// disk that hangs does not keep answers back for ever.
func (j *Journal) Run(ctx context.Context) {
	for {
		j.mu.Lock()
		queue, closed := j.queue, j.closed
		j.queue = nil
		j.mu.Unlock()
		for _, e := range queue {
			limited, cancel := context.WithTimeoutCause(ctx, recordTime, ErrDiskSilent)
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
