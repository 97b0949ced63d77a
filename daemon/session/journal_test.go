package session_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/store"
)

// sessions is a store of sessions, of which the journal only changes records.
type sessions struct {
	session.Store
	update func(ctx context.Context, id int64) error
}

func (s sessions) UpdateSession(ctx context.Context, id int64, _ func(*store.Session)) (store.Session, error) {
	return store.Session{}, s.update(ctx, id)
}

// run runs a journal until the end of the test.
func run(t *testing.T, j *session.Journal) {
	t.Helper()
	var running sync.WaitGroup
	running.Go(func() { j.Run(context.Background()) })
	t.Cleanup(func() {
		j.Close()
		running.Wait()
	})
}

// history is what has happened, in order.
type history struct {
	mu   sync.Mutex
	said []string
}

func (h *history) say(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.said = append(h.said, fmt.Sprintf(format, args...))
}

func (h *history) want(t *testing.T, want ...string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Equal(h.said, want) {
		t.Errorf("%q instead of %q", h.said, want)
	}
}

// writing is a write that takes a while, and notes its beginning and its end.
func (h *history) writing(name string, err error) (write func(context.Context) error, done func(error)) {
	return func(context.Context) error {
			h.say("%s begins", name)
			time.Sleep(time.Second)
			return err
		}, func(err error) {
			h.say("%s: %v", name, err)
		}
}

// Writes are made one after the other in the order in which they were queued, those before Run
// included, whatever kind they are; each is reported before the next begins.
func TestJournalKeepsTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h history
		j := session.NewJournal(sessions{update: func(_ context.Context, id int64) error {
			h.say("session %d", id)
			return nil
		}}, zerolog.Nop())
		j.Append(h.writing("first", nil))
		j.Update(7, nil)
		run(t, j)
		time.Sleep(500 * time.Millisecond) // the first is under way
		j.Append(h.writing("second", nil))
		j.Update(8, nil)
		j.Append(h.writing("third", nil))
		time.Sleep(time.Minute)
		h.want(t, "first begins", "first: <nil>", "session 7", "second begins", "second: <nil>", "session 8", "third begins", "third: <nil>")
	})
}

// Flush returns when all that was queued before is written, whatever came of it, and does not wait
// for what comes later.
func TestFlushWaitsForWhatWasQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h history
		j := session.NewJournal(sessions{}, zerolog.Nop())
		run(t, j)
		began := time.Now()
		j.Append(h.writing("first", nil))
		j.Append(h.writing("second", errors.New("full")))
		flushed := make(chan error)
		go func() { flushed <- j.Flush(t.Context()) }()
		synctest.Wait()
		j.Append(h.writing("later", nil))
		if err := <-flushed; err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("%v after %v; the two writes take 2 s", err, time.Since(began))
		}
	})
}

// Flush gives up when its context ends, for the reason that this gives.
func TestFlushGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h history
		j := session.NewJournal(sessions{}, zerolog.Nop())
		run(t, j)
		j.Append(h.writing("slow", nil))
		impatient := errors.New("no time")
		ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, impatient)
		defer cancel()
		began := time.Now()
		if err := j.Flush(ctx); !errors.Is(err, impatient) || time.Since(began) != 100*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}

// The error of a write reaches whoever queued it, and no later write.
func TestJournalReportsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h history
		j := session.NewJournal(sessions{}, zerolog.Nop())
		run(t, j)
		j.Append(func(context.Context) error { return errors.New("nobody asks") }, nil)
		j.Append(h.writing("first", errors.New("no space left on device")))
		j.Append(h.writing("second", nil))
		time.Sleep(time.Minute)
		h.want(t, "first begins", "first: no space left on device", "second begins", "second: <nil>")
	})
}

// A write that the disk does not answer is given up after five seconds with ErrDiskSilent, and the
// next one is made. Each has that time for itself.
func TestJournalGivesASilentDiskUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		j := session.NewJournal(sessions{update: func(ctx context.Context, _ int64) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}}, zerolog.New(&log))
		run(t, j)
		began := time.Now()
		j.Update(7, nil)
		gaveUp := make(chan error, 1)
		j.Append(func(ctx context.Context) error {
			<-ctx.Done()
			return context.Cause(ctx)
		}, func(err error) { gaveUp <- err })
		if err := <-gaveUp; !errors.Is(err, session.ErrDiskSilent) || time.Since(began) != 10*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if err := j.Flush(t.Context()); err != nil || time.Since(began) != 10*time.Second {
			t.Errorf("flushed after %v: %v", time.Since(began), err)
		}
		if said := log.String(); !strings.Contains(said, session.ErrDiskSilent.Error()) || !strings.Contains(said, `"session":7`) {
			t.Errorf("the log says %q", said)
		}
	})
}

// Whoever is told of a write may queue the next one.
func TestJournalTakesWritesFromItsReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h history
		j := session.NewJournal(sessions{}, zerolog.Nop())
		run(t, j)
		j.Append(func(context.Context) error { return nil }, func(error) { j.Append(h.writing("next", nil)) })
		time.Sleep(time.Minute)
		h.want(t, "next begins", "next: <nil>")
	})
}

// Run returns after Close, when all is written that was queued before, or by the reports of that.
func TestJournalClosesBehindTheLastWrite(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h history
		j := session.NewJournal(sessions{}, zerolog.Nop())
		j.Append(func(context.Context) error { return nil }, func(error) { j.Append(h.writing("third", nil)) })
		j.Append(h.writing("first", nil))
		j.Append(h.writing("second", nil))
		j.Close()
		j.Run(t.Context())
		h.want(t, "first begins", "first: <nil>", "second begins", "second: <nil>", "third begins", "third: <nil>")
	})
}

// A session without a record, whose id is negative, is never written.
func TestJournalLeavesOutWhatHasNoRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h history
		j := session.NewJournal(sessions{update: func(_ context.Context, id int64) error {
			h.say("session %d", id)
			return nil
		}}, zerolog.Nop())
		run(t, j)
		j.Update(-7, nil)
		j.Update(7, nil)
		j.Record(t.Context(), -8, nil)
		time.Sleep(time.Minute)
		h.want(t, "session 7")
	})
}
