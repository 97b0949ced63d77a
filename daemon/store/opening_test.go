package store

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// slowDisk lets openings wait, and sees to it that no two are in one directory.
type slowDisk struct {
	t    *testing.T
	mu   sync.Mutex
	hold chan struct{} // nil: no waiting
	in   map[string]bool
	n    int
}

func (d *slowDisk) open(o badger.Options) (*badger.DB, error) {
	d.mu.Lock()
	if d.in[o.Dir] {
		d.t.Errorf("two openings of %s at once", o.Dir)
	}
	d.in[o.Dir] = true
	d.n++
	hold := d.hold
	d.mu.Unlock()
	if hold != nil {
		<-hold
	}
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.in, o.Dir)
	}()
	return badger.Open(o)
}

// set makes openings wait, or lets them go on; it returns how many there were.
func (d *slowDisk) set(wait bool) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case wait:
		d.hold = make(chan struct{})
	case d.hold != nil:
		close(d.hold)
		d.hold = nil
	}
	n := d.n
	d.n = 0
	return n
}

func (d *slowDisk) options() Options {
	o := quiet()
	o.openBadger = d.open
	o.openTimeout = 20 * time.Millisecond
	return o
}

func wantTimeout(t *testing.T, err error) {
	t.Helper()
	if _, ok := errors.AsType[*timeoutError](err); !ok {
		t.Errorf("error %v, want a timeoutError", err)
	}
}

// TestSlowReopen: calls fail while the disk is slow, and go on with the very opening that was too
// slow for the first.
func TestSlowReopen(t *testing.T) {
	t.Run("intact", func(t *testing.T) { testSlowReopen(t, false) })
	t.Run("damaged", func(t *testing.T) { testSlowReopen(t, true) }) // the new database is slow
}

func testSlowReopen(t *testing.T, damaged bool) {
	ctx := context.Background()
	disk := &slowDisk{t: t, in: make(map[string]bool)}
	o := disk.options()
	o.openTimeout = openTimeout
	s := mustOpen(t, filepath.Join(t.TempDir(), "store"), o)
	if _, _, err := addConfigs(ctx, s, testConfigs(0, 3)); err != nil {
		t.Fatal(err)
	}
	if err := s.closeIdle(ctx); err != nil {
		t.Fatal(err)
	}
	if damaged {
		if err := s.export(ctx); err != nil {
			t.Fatal(err)
		}
		if err := s.closeIdle(ctx); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(s.dir, databaseName, "MANIFEST")); err != nil {
			t.Fatal(err)
		}
	}
	setTimeout := func(d time.Duration) {
		s.gate <- struct{}{} // against the keeper
		s.opener.timeout = d
		<-s.gate
	}
	disk.set(true)
	setTimeout(20 * time.Millisecond)
	for range maxAttempts + 1 {
		_, err := s.Configs(ctx)
		wantTimeout(t, err)
	}
	if r := s.crashes.read(); r != (crashRecord{}) {
		t.Errorf("slowness counted as a crash: %+v", r)
	}
	if n := disk.set(false); n != 1 {
		t.Errorf("%d openings", n)
	}
	setTimeout(openTimeout)
	if configs, err := s.Configs(ctx); err != nil || len(configs) != 3 {
		t.Errorf("%d configs (%v)", len(configs), err)
	}
	if r := s.Recovery(); (r != nil) != damaged || r != nil && r.Reason != "its MANIFEST is missing" {
		t.Errorf("damaged %v, recovery %+v", damaged, r)
	}
}

// TestSlowOpen: a store that does not open keeps its lock until Badger has left the directory, and
// is as it was afterwards, however often that happens.
func TestSlowOpen(t *testing.T) {
	ctx := context.Background()
	dir := makeFixture(t, false)
	disk := &slowDisk{t: t, in: make(map[string]bool)}
	for range maxAttempts + 1 {
		disk.set(true)
		_, err := Open(ctx, dir, disk.options())
		wantTimeout(t, err)
		_, err = Open(ctx, dir, quiet())
		if _, ok := errors.AsType[*lockedError](err); !ok {
			t.Fatalf("error %v, want a lockedError", err)
		}
		if n := disk.set(false); n != 1 {
			t.Errorf("%d openings", n)
		}
		lock, err := acquireLock(filepath.Join(dir, lockName))
		for start := time.Now(); err != nil && time.Since(start) < time.Minute; lock, err = acquireLock(filepath.Join(dir, lockName)) {
			time.Sleep(time.Millisecond) // nothing tells when the lock is given up
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := lock.Unlock(); err != nil {
			t.Fatal(err)
		}
	}
	s := mustOpen(t, dir, quiet())
	if r := s.Recovery(); r != nil {
		t.Errorf("slowness counted as damage: %+v", *r)
	}
	if configs, err := s.Configs(ctx); err != nil || len(configs) != fixtureExported+fixtureNewer {
		t.Errorf("%d configs (%v)", len(configs), err)
	}
}
