package store

import (
	"context"
	"sync"
	"testing"
)

// As many as there can be at once, more than fits into one transaction.
func TestUpdateManyOutcomes(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := mustOpen(t, dir, quiet())
	const n = 10_000
	if _, _, err := addConfigs(ctx, s, testConfigs(0, n)); err != nil {
		t.Fatal(err)
	}
	var ids []int64
	for id := int64(n + 1); id > 0; id-- { // the first is of no config
		ids = append(ids, id)
	}
	for range 2 {
		if err := s.UpdateOutcomes(ctx, ids, func(o *Outcome) { o.Successes++ }); err != nil {
			t.Fatal(err)
		}
		if err := s.flushOutcomes(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	outcomes, err := mustOpen(t, dir, quiet()).Outcomes(ctx)
	if err != nil || len(outcomes) != n {
		t.Fatal(len(outcomes), err)
	}
	for id, o := range outcomes {
		if o.ConfigID != id || o.Successes != 2 {
			t.Fatalf("%+v", o)
		}
	}
}

// Outcomes that are on their way to the database are neither lost nor overlooked.
func TestOutcomesAreUpdatedWhileSaved(t *testing.T) {
	ctx := context.Background()
	s := mustOpen(t, t.TempDir(), quiet())
	if _, _, err := addConfigs(ctx, s, testConfigs(0, 3)); err != nil {
		t.Fatal(err)
	}
	saving, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer func() { stop(); wg.Wait() }()
	wg.Go(func() {
		for saving.Err() == nil {
			if err := s.flushOutcomes(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	for n := range 300 {
		if err := s.UpdateOutcomes(ctx, []int64{1, 2, 3}, func(o *Outcome) { o.Successes++ }); err != nil {
			t.Error(err)
		}
		if got, err := s.Outcomes(ctx); err != nil || got[1].Successes != n+1 || got[3].Successes != n+1 {
			t.Fatalf("%v after update %d (%v)", got, n+1, err)
		}
	}
}
