//go:build linux

package xray

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// A core whose file has been removed is still the same core.
func TestRemovedExecutable(t *testing.T) {
	spec := testSpec(t, t.TempDir()+"/stub", stubPrefix+"serve")
	if err := os.Link(self(t), spec.Executable); err != nil {
		content, err := os.ReadFile(self(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(spec.Executable, content, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	c := startCore(t, spec)
	if err := os.Remove(spec.Executable); err != nil {
		t.Fatal(err)
	}
	if now, err := identify(c.Identity().PID); err != nil || !strings.HasSuffix(now.Executable, deletedMark) {
		t.Fatalf("%v (%v) is not marked as deleted", now, err)
	}
	if err := verify(c.Identity()); err != nil {
		t.Error(err)
	}
}

// Whoever started a batch may be gone: its nonce leads to it.
func TestFindNonces(t *testing.T) {
	spec := batchSpec(t, mustLink())
	b := startBatch(t, spec)
	found, err := FindNonces(func(nonce string) bool { return strings.HasPrefix(nonce, "batch of TestFind") })
	if err != nil || len(found) != 1 || found[0].PID != b.PID() {
		t.Fatalf("found %v, %v; want %d", found, err, b.PID())
	}
	if err := End(t.Context(), zerolog.Nop(), found[0], time.Second); err != nil {
		t.Fatal(err)
	}
	await(t, "the batch is gone", b.Done())
	if b.ExitReason() == "" {
		t.Error("no reason")
	}
}
