package store

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// TestOlderHead is a power loss after which the head file, which nobody waits for, is the one of an
// earlier close: the database is as good as ever.
func TestOlderHead(t *testing.T) {
	for name, closed := range map[string]bool{"while open": false, "after another close": true} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			dir := filepath.Join(t.TempDir(), "store")
			s := mustOpen(t, dir, quiet())
			add := func(from, to int) {
				t.Helper()
				if _, _, err := addConfigs(ctx, s, testConfigs(from, to)); err != nil {
					t.Fatal(err)
				}
			}
			add(0, 3)
			if err := s.closeIdle(ctx); err != nil {
				t.Fatal(err)
			}
			head, err := os.ReadFile(filepath.Join(dir, headName))
			if err != nil {
				t.Fatal(err)
			}
			closedWith := s.head.get().Manifest
			for n := 3; n < 5; n++ { // two closes: the MANIFEST moves on
				add(n, n+1)
				if err := s.closeIdle(ctx); err != nil {
					t.Fatal(err)
				}
			}
			want := 5
			if !closed {
				add(5, 6)
				want = 6
			}
			after := dir + ".after"
			copyTree(t, dir, after)
			if err := os.WriteFile(filepath.Join(after, headName), head, 0o600); err != nil {
				t.Fatal(err)
			}
			if sum, err := fileDigest(filepath.Join(after, databaseName, "MANIFEST")); err != nil || sum == closedWith {
				t.Fatalf("the MANIFEST has not changed (%v)", err)
			}
			s = mustOpen(t, after, quiet())
			if r := s.Recovery(); r != nil {
				t.Errorf("an intact database was put aside: %+v", *r)
			}
			if configs, err := s.Configs(ctx); err != nil || len(configs) != want {
				t.Errorf("%d configs, want %d (%v)", len(configs), want, err)
			}
		})
	}
}

// TestManifestChangedWhileIdle loses a table between a close and the next opening, in a way that
// only a look at all records shows.
func TestManifestChangedWhileIdle(t *testing.T) {
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "store")
	s := mustOpen(t, dir, quiet())
	_, _, err := addConfigs(ctx, s, testConfigs(0, 3))
	must(t, err)
	must(t, s.closeIdle(ctx)) // these are in a table
	_, _, err = addConfigs(ctx, s, testConfigs(3, 4))
	must(t, err)
	must(t, s.export(ctx))
	database := filepath.Join(dir, databaseName)
	copyTree(t, database, dir+".db") // the newest is in the log only
	must(t, s.closeIdle(ctx))

	must(t, os.RemoveAll(database))
	must(t, os.Rename(dir+".db", database))
	const header = 8
	must(t, os.Truncate(filepath.Join(database, "MANIFEST"), header)) // it names no table
	configs, err := s.Configs(ctx)
	if err != nil || len(configs) != 4 {
		t.Errorf("%d configs (%v)", len(configs), err)
	}
	if s.Recovery() == nil {
		t.Error("the damage went unnoticed")
	}
}
