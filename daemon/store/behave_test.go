package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

func TestDuplicates(t *testing.T) {
	ctx := context.Background()
	s := mustOpen(t, t.TempDir(), quiet())
	twice := append(testConfigs(0, 3), testConfig(1))
	added, existing, err := s.AddConfigs(ctx, twice)
	if err != nil || len(added) != 3 || len(existing) != 1 || existing[0].ID != 2 {
		t.Fatalf("%v %v %v", added, existing, err)
	}
	if n, err := s.RemoveConfigs(ctx, []int64{3, 77}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := s.Config(ctx, 3); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	added, _, err = s.AddConfigs(ctx, []Config{testConfig(2)})
	if err != nil || added[0].ID != 4 {
		t.Errorf("the id of a removed config was used again: %v %v", added, err)
	}
	if _, _, err := s.AddConfigs(ctx, []Config{{Name: "x"}}); err == nil {
		t.Error("a config without an identity was accepted")
	}
	if _, err := s.UpdateSession(ctx, 9, func(*Session) {}); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestHistoryIsBounded(t *testing.T) {
	ctx := context.Background()
	s := mustOpen(t, t.TempDir(), quiet())
	for n := range maxSessions + 20 {
		status := StatusStopped
		if n == 3 {
			status = StatusRunning
		}
		if _, err := s.CreateSession(ctx, Session{Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.Sessions(ctx, 0)
	if err != nil || len(all) != maxSessions || all[0].ID != maxSessions+20 {
		t.Fatal(len(all), err)
	}
	live, err := s.LiveSessions(ctx)
	if err != nil || len(live) != 1 || live[0].ID != 4 {
		t.Error(live, err)
	}
	if some, err := s.Sessions(ctx, 5); err != nil || len(some) != 5 {
		t.Error(len(some), err)
	}
}

func TestLockedByAnother(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir, quiet())
	start := time.Now()
	_, err := Open(context.Background(), dir, quiet())
	locked, ok := errors.AsType[*LockedError](err)
	if !ok || runtime.GOOS != "windows" && locked.PID != os.Getpid() {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
}

func TestNewerSchema(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, quiet())
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	newer := func(edit func()) {
		t.Helper()
		edit()
		before, err := os.ReadFile(filepath.Join(dir, "db", "MANIFEST"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(context.Background(), dir, quiet())
		if e, ok := errors.AsType[*NewerError](err); !ok || e.Found != 2 {
			t.Errorf("%v", err)
		}
		after, _ := os.ReadFile(filepath.Join(dir, "db", "MANIFEST"))
		if !bytes.Equal(before, after) {
			t.Error("the database was written to")
		}
	}
	newer(func() {
		h, err := openHead(filepath.Join(dir, headName))
		if err != nil {
			t.Fatal(err)
		}
		defer h.close()
		if err := h.change(func(h *head) { h.Schema = 2 }); err != nil {
			t.Fatal(err)
		}
	})
	newer(func() { // the version in the MANIFEST alone
		if err := os.Remove(filepath.Join(dir, headName)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "db", "MANIFEST")
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		b[5] = 2
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	})
}

func TestPermissions(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // no such bits
	}
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir, quiet())
	look := func() {
		t.Helper()
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	look()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	look()
}

func TestNoSecretIsPrinted(t *testing.T) {
	ctx := context.Background()
	var log bytes.Buffer
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{Log: zerolog.New(&log).Level(zerolog.TraceLevel)})
	added, _, err := s.AddConfigs(ctx, testConfigs(0, 2))
	if err != nil {
		t.Fatal(err)
	}
	session := Session{Inbounds: []Inbound{{Protocol: "socks", Address: "127.0.0.1:1", User: "hidden", Password: "hidden"}}}
	text := fmt.Sprint(added, session, &added[0])
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		text += fmt.Sprintf(verb, added) + fmt.Sprintf(verb, session)
	}
	for _, v := range []any{added, session} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		text += string(b)
	}
	if err := s.closeIdle(ctx); err != nil {
		t.Fatal(err)
	}
	// A repair talks most.
	if err := os.Truncate(filepath.Join(dir, "db", "MANIFEST"), 8); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Configs(ctx); err != nil {
		t.Fatal(err)
	}
	text += log.String()
	if strings.Contains(text, "hidden") || strings.Contains(text, fmt.Sprintf("%x", "hidden")) {
		t.Errorf("a secret in %.3000s", text)
	}
}

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

// A call that comes while the idle database is about to be closed has it to the end.
func TestUseWhileClosing(t *testing.T) {
	ctx := context.Background()
	var meanwhile func()
	o := quiet()
	o.IdleClose = time.Hour
	o.FreeSpace = func(path string) (uint64, error) {
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

// TestConcurrentUse has readers and writers while the database is closed and
// opened all the time.
func TestConcurrentUse(t *testing.T) {
	ctx := context.Background()
	o := quiet()
	o.IdleClose = time.Microsecond
	s := mustOpen(t, t.TempDir(), o)
	session, err := s.CreateSession(ctx, Session{Status: StatusRunning})
	if err != nil {
		t.Fatal(err)
	}
	const workers, rounds = 8, 25
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := range rounds {
				if _, err := s.UpdateSession(ctx, session.ID, func(s *Session) { s.Connections++ }); err != nil {
					t.Error(err)
				}
				if err := s.UpdateOutcomes(ctx, []int64{int64(w + 1)}, func(o *Outcome) { o.Successes = n }); err != nil {
					t.Error(err)
				}
				if _, _, err := s.AddConfigs(ctx, []Config{testConfig(n)}); err != nil {
					t.Error(err)
				}
				if _, err := s.Configs(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	sessions, err := s.Sessions(ctx, 1)
	if err != nil || sessions[0].Connections != workers*rounds {
		t.Errorf("%+v %v", sessions, err)
	}
	if configs, err := s.Configs(ctx); err != nil || len(configs) != rounds {
		t.Error(len(configs), err)
	}
	if r := s.Recovery(); r != nil {
		t.Errorf("%+v", r)
	}
}

func TestContextAndClose(t *testing.T) {
	s := mustOpen(t, t.TempDir(), quiet())
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Configs(ended); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.SetDesired(ended, Desired{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Error("closing twice:", err)
	}
	if _, err := s.Configs(context.Background()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

func TestFullDisk(t *testing.T) {
	ctx := context.Background()
	dir := t.TempDir()
	var free atomic.Uint64
	free.Store(1 << 40)
	o := quiet()
	o.FreeSpace = func(string) (uint64, error) { return free.Load(), nil }
	s := mustOpen(t, dir, o)
	if _, _, err := s.AddConfigs(ctx, testConfigs(0, 3)); err != nil {
		t.Fatal(err)
	}
	refused := func(s *Store) {
		t.Helper()
		err := s.SetDesired(ctx, Desired{Connected: true})
		if e, ok := errors.AsType[*SpaceError](err); !ok || !errors.Is(err, ErrNoSpace) || e.Path != dir {
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

// TestCrashes: after two crashes in Badger the database is put aside, whatever
// the reason, and no record is lost.
func TestCrashes(t *testing.T) {
	const trace = "panic: x\n\ngoroutine 7 [running]:\ngithub.com/dgraph-io/badger/v4/table.OpenTable()\n\ngoroutine 1 [select]:\nmain.main()\n"
	other := strings.Replace(trace, "github.com/dgraph-io", "example.org", 1) + "\ngithub.com/dgraph-io/badger"
	for name, test := range map[string]struct {
		crash crashRecord
		trace string
		aside bool
	}{
		"first crash":              {crashRecord{}, trace, false},
		"second crash":             {crashRecord{Crashes: 1}, trace, true},
		"crash somewhere else":     {crashRecord{Crashes: 1}, other, false},
		"killed while opening":     {crashRecord{Attempts: 4}, "", false},
		"never came to the end":    {crashRecord{Attempts: 5}, "", true},
		"killed after first crash": {crashRecord{Crashes: 1}, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := makeFixture(t, false)
			text, err := json.Marshal(test.crash)
			if err != nil {
				t.Fatal(err)
			}
			for file, text := range map[string]string{openingName: string(text), crashName: test.trace} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			s := mustOpen(t, dir, quiet())
			if aside := s.Recovery() != nil; aside != test.aside {
				t.Errorf("put aside: %v", aside)
			}
			if configs, err := s.Configs(context.Background()); err != nil || len(configs) != fixtureExported+fixtureNewer {
				t.Error(len(configs), err)
			}
		})
	}
}

// TestHistoryIsSavedInPassing: the keeper saves the probe history with the
// database closed before and after.
func TestHistoryIsSavedInPassing(t *testing.T) {
	ctx := context.Background()
	o := quiet()
	o.IdleClose = time.Hour
	s := mustOpen(t, t.TempDir(), o)
	if _, _, err := s.AddConfigs(ctx, testConfigs(0, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.closeIdle(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.UpdateOutcomes(ctx, []int64{1}, func(o *Outcome) { o.Successes = 7 }); err != nil {
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
