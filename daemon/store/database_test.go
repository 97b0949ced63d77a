package store

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"
)

// A call that comes while the idle database is about to be closed has it to the end.
func TestUseWhileClosing(t *testing.T) {
	ctx := context.Background()
	var meanwhile func()
	o := quiet()
	o.IdleClose = time.Hour
	o.freeSpace = func(path string) (uint64, error) {
		if meanwhile != nil {
			meanwhile()
		}
		return freeSpace(path)
	}
	s := mustOpen(t, t.TempDir(), o)
	meanwhile = func() {
		meanwhile = nil
		if _, err := s.acquire(ctx); err != nil {
			t.Error(err)
		}
	}
	if err := s.closeIdle(ctx); err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	open, users := s.db != nil, s.users
	s.mu.Unlock()
	if !open {
		t.Errorf("closed with %d users", users)
	}
	s.release()
	if err := s.closeIdle(ctx); err != nil {
		t.Error(err)
	}
	s.mu.Lock()
	open = s.db != nil
	s.mu.Unlock()
	if open {
		t.Error("still open")
	}
}

func TestFullDisk(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	var free atomic.Uint64
	free.Store(1 << 40)
	o := quiet()
	o.freeSpace = func(string) (uint64, error) { return free.Load(), nil }
	s := mustOpen(t, dir, o)
	if _, _, err := addConfigs(ctx, s, testConfigs(0, 3)); err != nil {
		t.Fatal(err)
	}
	refused := func(s *Store) {
		t.Helper()
		err := s.SetDesired(ctx, Desired{Connected: true})
		if e, ok := errors.AsType[*spaceError](err); !ok || !errors.Is(err, errNoSpace) || e.Path != dir {
			t.Errorf("%v", err)
		}
		if configs, err := s.Configs(ctx); err != nil || len(configs) != 3 {
			t.Error(len(configs), err)
		}
	}
	free.Store(1 << 18)
	refused(s)
	free.Store(1 << 40)
	if err := s.SetDesired(ctx, Desired{ConfigID: 1}); err != nil {
		t.Errorf("there is space again: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	free.Store(1 << 18)
	s = mustOpen(t, dir, o) // full at the start
	refused(s)
	free.Store(1 << 40)
	if err := s.SetDesired(ctx, Desired{ConfigID: 2}); err != nil {
		t.Errorf("there is space again: %v", err)
	}
}
