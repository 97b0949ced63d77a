package store

import (
	"bytes"
	"context"
	"runtime"
	"testing"
	"time"
)

func TestIdleClose(t *testing.T) {
	ctx := context.Background()
	o := quiet()
	o.IdleClose = time.Millisecond
	s := mustOpen(t, t.TempDir(), o)
	closed := func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.db == nil && s.due == deadlines{}
	}
	if err := s.SetDesired(ctx, Desired{ConfigID: 5}); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); !closed(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("it does not close: %+v", s.due)
		}
	}
	// Nothing of Badger may go on: that is what costs wake-ups.
	for deadline := time.Now().Add(20 * time.Second); ; runtime.Gosched() {
		stacks := make([]byte, 1<<20)
		stacks = stacks[:runtime.Stack(stacks, true)]
		if !bytes.Contains(stacks, []byte("dgraph-io/badger")) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("Badger goes on:\n%s", stacks)
		}
	}
	if d, err := s.Desired(ctx); err != nil || d.ConfigID != 5 {
		t.Error(d, err)
	}
}

// TestHistoryIsSavedInPassing: the keeper saves the probe history with the database closed before
// and after.
func TestHistoryIsSavedInPassing(t *testing.T) {
	ctx := context.Background()
	o := quiet()
	o.IdleClose = time.Hour
	s := mustOpen(t, t.TempDir(), o)
	if _, _, err := addConfigs(ctx, s, testConfigs(0, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.UpdateOutcomes(ctx, []int64{1}, func(o *Outcome) { o.Successes = 7 }); err != nil {
		t.Fatal(err)
	}
	if err := s.closeIdle(ctx); err != nil {
		t.Fatal(err)
	}
	before := s.seq()
	s.tend(ctx, time.Now().Add(2*outcomeDelay))
	s.mu.Lock()
	closed, pending, after := s.db == nil, len(s.outcomes), s.meta.Seq
	s.mu.Unlock()
	if !closed || pending != 0 || after != before+1 {
		t.Errorf("closed %v, pending %d, change %d after %d", closed, pending, after, before)
	}
	if got, err := s.Outcomes(ctx); err != nil || got[1].Successes != 7 {
		t.Error(got, err)
	}
}

// What is learnt again and again of a few configs needs no open database, which costs wake-ups.
func TestLearningAgainNeedsNoDatabase(t *testing.T) {
	ctx := context.Background()
	o := quiet()
	o.IdleClose = time.Hour
	s := mustOpen(t, t.TempDir(), o)
	if _, _, err := addConfigs(ctx, s, testConfigs(0, 2)); err != nil {
		t.Fatal(err)
	}
	learn := func() {
		t.Helper()
		if err := s.UpdateOutcomes(ctx, []int64{1, 2}, func(o *Outcome) { o.Successes++ }); err != nil {
			t.Fatal(err)
		}
	}
	learn()
	for range 3 {
		s.tend(ctx, time.Now().Add(2*outcomeDelay))
		if err := s.closeIdle(ctx); err != nil {
			t.Fatal(err)
		}
		learn()
		s.mu.Lock()
		open := s.db != nil
		s.mu.Unlock()
		if open {
			t.Error("the database was opened")
		}
	}
	if got, err := s.Outcomes(ctx); err != nil || got[1].Successes != 4 || got[2].Successes != 4 {
		t.Error(got, err)
	}
	if _, err := s.RemoveConfigs(ctx, []int64{1}); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	_, kept := s.settled[1]
	s.mu.Unlock()
	if kept {
		t.Error("a removed config is remembered")
	}
}
