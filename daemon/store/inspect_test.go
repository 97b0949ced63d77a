package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

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
		if e, ok := errors.AsType[*newerError](err); !ok || e.Found != 2 {
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
