package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func TestResolve(t *testing.T) {
	configs := []ipc.ConfigPayload{
		{ID: 1, Name: "tokyo-1"}, {ID: 2, Name: "tokyo-2"}, {ID: 3, Name: "tokyo"}, {ID: 12, Name: "Paris"},
		{ID: 13, Name: "1"}, {ID: 21, Name: "日本 🇯🇵"}, {ID: 22, Name: "lima"}, {ID: 40, Name: "LIMA"},
	}
	for ref, want := range map[string]int64{
		"tokyo": 3, "tokyo-2": 2, "TOKYO-1": 1, "par": 12, "1": 1, "13": 13, "日": 21, "lima": 22, "LIMA": 40, "4": 40, "12": 12,
		"tok": 0, "Lima": 0, "nowhere": 0, "": 0, "0": 0, "-1": 0, "tokyo-12": 0,
	} {
		got, err := resolve(configs, ref)
		if got.ID != want || (err == nil) != (want != 0) {
			t.Errorf("%q: %d, %v; want %d", ref, got.ID, err, want)
		}
		if err != nil && exitCode(err) != exitNotFound {
			t.Errorf("%q: exit code %d", ref, exitCode(err))
		}
	}
	if _, err := resolve(configs, "tok"); !strings.Contains(err.Error(), "1 (tokyo-1), 2 (tokyo-2), 3 (tokyo)") {
		t.Errorf("the error does not name what it could be: %v", err)
	}
}

func TestExitCode(t *testing.T) {
	for want, err := range map[int]error{
		exitFailure:      errors.New("something"),
		exitUsage:        fmt.Errorf("a: %w", &exitError{exitUsage, errors.New("b")}),
		exitNotRunning:   fmt.Errorf("asking: %w", ipc.ErrNotRunning),
		exitNotFound:     fmt.Errorf("a: %w", ipc.Errorf(ipc.CodeNotFound, "b")),
		exitBusy:         ipc.Errorf(ipc.CodeBusy, "b"),
		exitInvalidState: ipc.Errorf(ipc.CodeInvalidState, "b"),
	} {
		if got := exitCode(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
	if got := exitCode(ipc.Errorf(ipc.CodeInternalError, "b")); got != exitFailure {
		t.Errorf("internal error: %d", got)
	}
}

func TestText(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 1_500_000_000: "1.5 GB", 1 << 63: "9.2 EB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0 s", 59 * time.Second: "59 s", 59*time.Second + 600*time.Millisecond: "1 min", 3 * time.Hour: "3 h 0 min", 100 * time.Hour: "4 days",
	} {
		if got := ago(d); got != want {
			t.Errorf("ago(%v) = %q, want %q", d, got, want)
		}
	}
	for s, want := range map[string]string{
		"plain": "plain", "\x1b[31mred": "·[31mred", "a\u202eb": "a·b", "12345678": "12345678", "123456789": "1234567…", "日本日本日本日本日": "日本日…",
		"🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵": "🇯🇵🇯🇵🇯🇵…", "👨‍👩‍👧‍👦 family and": "👨‍👩‍👧‍👦 fami…", "e\u0301e\u0301": "e\u0301e\u0301", "a\xffb": "a·b",
	} {
		if got := fit(s, 8); got != want {
			t.Errorf("fit(%q) = %q, want %q", s, got, want)
		}
	}
	if got := sentence("connected to x"); got != "Connected to x." {
		t.Errorf("%q", got)
	}
	if sentence("") != "" {
		t.Error("a sentence from nothing")
	}
}

// A reader that never ends, such as a terminal, does not keep an interrupted
// program.
func TestReadBounded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := readBounded(ctx, neverEnding{}); err == nil {
		t.Error("an interrupted read succeeds")
	}
	if text, err := readBounded(t.Context(), strings.NewReader("links")); err != nil || text != "links" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := readBounded(t.Context(), zeros{}); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("an endless source: %v", err)
	}
}

type neverEnding struct{}

func (neverEnding) Read([]byte) (int, error) { select {} }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }
