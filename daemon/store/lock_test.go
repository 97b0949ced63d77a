package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

func TestLockedByAnother(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir, quiet())
	start := time.Now()
	_, err := Open(context.Background(), dir, quiet())
	locked, ok := errors.AsType[*lockedError](err)
	if !ok || runtime.GOOS != "windows" && locked.PID != os.Getpid() {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}
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
