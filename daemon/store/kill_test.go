package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// model is what the store has acknowledged.
type model struct {
	configs  map[int64]int64 // id -> number
	removed  map[int64]bool
	sessions map[int64]int64 // id -> UpBytes
	desired  int64
	acks     int
}

func (m *model) apply(e event) error {
	m.acks++
	switch e.Op {
	case "recovered":
		return fmt.Errorf("a killed process needed a repair")
	case "add":
		if _, ok := m.configs[e.ID]; ok || m.removed[e.ID] {
			return fmt.Errorf("config id %d was given twice", e.ID)
		}
		m.configs[e.ID] = e.Value
	case "remove":
		delete(m.configs, e.ID)
		m.removed[e.ID] = true
	case "create", "update":
		m.sessions[e.ID] = e.Value
	case "desired":
		m.desired = e.Value
	}
	return nil
}

// verify compares the store with the model; last is the change that was in progress when the
// process died and may have been made or not.
func (m *model) verify(s *Store, last event) error {
	ctx := context.Background()
	configs, err := s.Configs(ctx)
	if err != nil {
		return err
	}
	found := make(map[int64]Config)
	for _, c := range configs {
		found[c.ID] = c
		if m.removed[c.ID] {
			return fmt.Errorf("config %d was removed and is back", c.ID)
		}
	}
	for id, n := range m.configs {
		c, ok := found[id]
		if !ok && (last.Op != "remove" || last.ID != id) {
			return fmt.Errorf("config %d is lost", id)
		}
		if want := testConfig(int(n)); ok && (c.Link != want.Link || c.Identity != want.Identity) {
			return fmt.Errorf("config %d has changed", id)
		}
	}
	sessions, err := s.Sessions(ctx, 0)
	if err != nil {
		return err
	}
	up := make(map[int64]int64)
	for _, session := range sessions {
		up[session.ID] = int64(session.UpBytes)
	}
	for id, want := range m.sessions {
		if got, ok := up[id]; !ok || got != want && !(last.Op == "update" && last.ID == id && last.Value == got) {
			return fmt.Errorf("session %d is %d (%v), want %d", id, got, ok, want)
		}
	}
	d, err := s.Desired(ctx)
	if err != nil {
		return err
	}
	if d.ConfigID != m.desired && !(last.Op == "desired" && last.Value == d.ConfigID) {
		return fmt.Errorf("desired is %d, want %d", d.ConfigID, m.desired)
	}
	if r := s.Recovery(); r != nil {
		return fmt.Errorf("a killed process needed a repair: %+v", *r)
	}
	return nil
}

// settle takes over what the change in progress did after all.
func (m *model) settle(s *Store, last event) error {
	ctx := context.Background()
	switch last.Op {
	case "remove":
		if _, err := s.Config(ctx, last.ID); err != nil {
			delete(m.configs, last.ID)
			m.removed[last.ID] = true
		}
	case "update":
		sessions, err := s.Sessions(ctx, 0)
		if err != nil {
			return err
		}
		for _, session := range sessions {
			if session.ID == last.ID {
				m.sessions[last.ID] = int64(session.UpBytes)
			}
		}
	case "desired":
		d, err := s.Desired(ctx)
		if err != nil {
			return err
		}
		m.desired = d.ConfigID
	case "add":
		configs, err := s.Configs(ctx)
		if err != nil {
			return err
		}
		for _, c := range configs {
			if c.Identity == testConfig(int(last.Value)).Identity {
				m.configs[c.ID] = last.Value
			}
		}
	}
	return nil
}

// TestKill kills a writing process again and again, at any moment of its life, and compares what is
// there with what was acknowledged.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	m := &model{configs: map[int64]int64{}, removed: map[int64]bool{}, sessions: map[int64]int64{}}
	// Killed while it creates the database, before there is anything to lose, a process leaves one
	// that is replaced as damaged.
	created, err := Open(context.Background(), dir, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := created.Close(); err != nil {
		t.Fatal(err)
	}
	start, kills := time.Now(), 0
	// Twenty seconds, or as long as a busy machine takes for the least that shows anything.
	enough := func() bool { return kills >= 20 && m.acks >= 100 }
	for kills < 100 && time.Since(start) < 20*time.Second || !enough() && time.Since(start) < 2*time.Minute {
		last, err := killOne(dir, m, int64(kills+1)*1_000_000)
		if err != nil {
			t.Fatalf("after %d kills: %v", kills, err)
		}
		kills++
		s, err := Open(context.Background(), dir, quiet())
		if err != nil {
			t.Fatalf("after %d kills: %v", kills, err)
		}
		if err := m.verify(s, last); err != nil {
			t.Fatalf("after %d kills: %v", kills, err)
		}
		if err := m.settle(s, last); err != nil {
			t.Fatal(err)
		}
		if kills%3 == 0 { // otherwise the next child finds it unclosed
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
		} else {
			abandon(t, s)
		}
	}
	if !enough() {
		t.Fatalf("only %d kills and %d acknowledged changes", kills, m.acks)
	}
	t.Logf("%d kills, %d acknowledged changes", kills, m.acks)
}

// abandon leaves the store as a killed process does, apart from its memory: what is on disk is
// copied, and the copy takes the place of the original.
func abandon(t *testing.T, s *Store) {
	t.Helper()
	dir := s.dir
	if _, err := s.Desired(context.Background()); err != nil { // it must be open
		t.Fatal(err)
	}
	copied := dir + ".copy"
	copyStill(t, dir, copied)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(copied, dir); err != nil {
		t.Fatal(err)
	}
}

// copyStill copies an open database at a moment at which Badger was not merging tables: a copy
// takes time, a kill does not.
func copyStill(t testing.TB, from, to string) {
	t.Helper()
	look := func() string {
		names, err := filepath.Glob(filepath.Join(from, databaseName, "*"))
		if err != nil {
			t.Fatal(err)
		}
		sum, err := fileDigest(filepath.Join(from, databaseName, badger.ManifestFilename))
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(names, sum)
	}
	for range 50 {
		before := look()
		if err := os.CopyFS(to, os.DirFS(from)); err == nil && look() == before {
			return
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatal("Badger does not come to rest")
}

func copyTree(t testing.TB, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// output keeps what a child says.
type output struct {
	text  bytes.Buffer
	begun chan struct{} // closed at the first word
}

func (o *output) Write(p []byte) (int, error) {
	if o.text.Len() == 0 {
		close(o.begun)
	}
	return o.text.Write(p)
}

// killOne kills a child a while after its start, when it may still be opening the store, or a while
// after its first word.
func killOne(dir string, m *model, base int64) (last event, err error) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=write", childEnv+"_DIR="+dir, childEnv+"_BASE="+fmt.Sprint(base))
	out := output{begun: make(chan struct{})}
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Start(); err != nil {
		return last, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	early := func(err error) error { return fmt.Errorf("the child ended by itself: %v\n%s", err, stderr.Bytes()) }
	if rand.IntN(2) == 0 {
		select {
		case <-out.begun:
		case err := <-ended:
			return last, early(err)
		}
	}
	select {
	case <-time.After(time.Duration(rand.IntN(200)) * time.Millisecond):
	case err := <-ended:
		return last, early(err)
	}
	if err := cmd.Process.Kill(); err != nil {
		return last, err
	}
	<-ended
	if stderr.Len() > 0 {
		return last, fmt.Errorf("the child said: %s", stderr.Bytes())
	}
	for line := range bytes.Lines(out.text.Bytes()) {
		var e event
		if err := json.Unmarshal(line, &e); err != nil {
			return last, fmt.Errorf("a line of the child: %q", line)
		}
		last = e
		if e.Ack {
			if err := m.apply(e); err != nil {
				return last, err
			}
			last = event{}
		}
	}
	return last, nil
}
