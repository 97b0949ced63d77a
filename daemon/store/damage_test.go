package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// Numbers of the fixtures: so many configs are in the export, and so many more were acknowledged
// after it.
const (
	fixtureExported = 30
	fixtureNewer    = 5
)

// makeFixture returns a directory with a store of several tables: closed properly, or as a killed
// process leaves it.
func makeFixture(t *testing.T, killed bool) string {
	t.Helper()
	ctx := context.Background()
	dir := filepath.Join(t.TempDir(), "store")
	s := mustOpen(t, dir, quiet())
	for n := 0; n < fixtureExported; n += 10 {
		_, _, err := addConfigs(ctx, s, testConfigs(n, n+10))
		must(t, err)
		_, err = s.CreateSession(ctx, Session{Status: StatusRunning, Nonce: fmt.Sprint(n)})
		must(t, err)
		must(t, s.SetDesired(ctx, Desired{Connected: true, ConfigID: int64(n + 1)}))
		must(t, s.closeIdle(ctx))
	}
	must(t, s.export(ctx))
	_, _, err := addConfigs(ctx, s, testConfigs(fixtureExported, fixtureExported+fixtureNewer))
	must(t, err)
	if !killed {
		must(t, s.Close())
		return dir
	}
	copied := dir + ".killed"
	copyTree(t, dir, copied)
	return copied
}

// openInChild opens the store in a process of its own, as often as that crashes but at most three
// times.
func openInChild(dir string) (d dump, tries int, err error) {
	for tries = 1; ; tries++ {
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		cmd := exec.CommandContext(ctx, os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"=dump", childEnv+"_DIR="+dir)
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		cancel()
		switch {
		case err == nil:
			return d, tries, json.Unmarshal(stdout.Bytes(), &d)
		case ctx.Err() != nil:
			return d, tries, fmt.Errorf("it hangs")
		case tries == 3:
			return d, tries, fmt.Errorf("try %d: %w: %.2000s", tries, err, stderr.Bytes())
		}
	}
}

func TestDamage(t *testing.T) {
	flip := func(b []byte) []byte {
		if len(b) > 0 {
			// Logs are mostly zeros at the end: hit what is in use.
			used := max(1, len(bytes.TrimRight(b, "\x00")))
			b[rand.IntN(used)] ^= 1 << rand.IntN(8)
		}
		return b
	}
	mutations := []struct {
		name   string
		change func([]byte) []byte // nil result: delete the file; nil: make a directory of it
	}{
		{"delete", func([]byte) []byte { return nil }},
		{"empty", func([]byte) []byte { return []byte{} }},
		{"half of what is used", func(b []byte) []byte { return b[:len(bytes.TrimRight(b, "\x00"))/2] }},
		{"last byte", func(b []byte) []byte { return b[:max(0, len(b)-1)] }},
		{"flip", flip}, {"flip", flip},
		{"a directory", nil},
	}
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed=%v", killed), func(t *testing.T) {
			fixture := makeFixture(t, killed)
			var cases errgroup.Group
			cases.SetLimit(6) // they mostly wait for the disk
			files := listFiles(t, fixture)
			for _, file := range files {
				for i, mutation := range mutations {
					if file == lockName && mutation.change == nil {
						continue // an error: nobody could hold it
					}
					name := fmt.Sprintf("%s %s %d", file, mutation.name, i)
					dir := filepath.Join(t.TempDir(), "store")
					copyTree(t, fixture, dir)
					cases.Go(func() error {
						if err := mutate(filepath.Join(dir, file), mutation.change); err != nil {
							return err
						}
						d, tries, err := openInChild(dir)
						if err != nil {
							return fmt.Errorf("%s: %w", name, err)
						}
						if tries > 1 {
							t.Logf("%s: %d tries", name, tries)
						}
						judge(t, name, killed, d)
						return nil
					})
				}
			}
			if err := cases.Wait(); err != nil {
				t.Error(err)
			}
			t.Logf("%d files, %d mutations each", len(files), len(mutations))
		})
	}
}

func mutate(path string, change func([]byte) []byte) error {
	if change == nil {
		return errors.Join(os.Remove(path), os.Mkdir(path, 0o700))
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	changed := change(old)
	if changed == nil {
		return os.Remove(path)
	}
	return os.WriteFile(path, changed, 0o600)
}

// judge: nothing that was exported is lost, and nothing at all without a word.
func judge(t *testing.T, name string, killed bool, d dump) {
	t.Helper()
	const all = fixtureExported + fixtureNewer
	if d.Links != len(d.Configs) {
		t.Errorf("%s: %d of %d links are wrong", name, len(d.Configs)-d.Links, len(d.Configs))
	}
	whole := len(d.Configs) == all && len(d.Sessions) == 3 && d.Desired.ConfigID == 21
	if whole {
		return
	}
	if d.Recovery == nil || d.Recovery.Missing == 0 {
		t.Errorf("%s: silently only %d configs, %d sessions, desired %+v (%+v)", name, len(d.Configs), len(d.Sessions), d.Desired, d.Recovery)
	}
	if !killed || len(d.Configs) < fixtureExported || len(d.Sessions) < 3 || d.Desired.ConfigID != 21 {
		t.Errorf("%s: only %d configs, %d sessions, desired %+v", name, len(d.Configs), len(d.Sessions), d.Desired)
	}
}

// listFiles returns the files of a store, relative to it.
func listFiles(t *testing.T, dir string) (files []string) {
	t.Helper()
	for _, pattern := range []string{"*", "db/*"} {
		paths, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			if info, err := os.Stat(path); err != nil || info.IsDir() {
				continue
			}
			rel, err := filepath.Rel(dir, path)
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, rel)
		}
	}
	return files
}
