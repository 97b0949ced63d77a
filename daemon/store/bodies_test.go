package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Bodies and the device's id survive a restart, in files that are the user's alone.
func TestBodiesSurviveARestart(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := mustOpen(t, dir, quiet())
	if _, err := s.AddSubscription(ctx, testSubscription()); err != nil {
		t.Fatal(err)
	}
	if err := s.KeepBody(ctx, 1, []byte("body")); err != nil {
		t.Fatal(err)
	}
	device, err := s.DeviceID(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1.body", deviceName} {
		info, err := os.Stat(filepath.Join(dir, bodiesName, name))
		if err != nil || runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Body(ctx, 1); !errors.Is(err, errClosed) {
		t.Errorf("after the end: %v", err)
	}
	s = mustOpen(t, dir, quiet())
	if body, err := s.Body(ctx, 1); err != nil || string(body) != "body" {
		t.Errorf("%q, %v", body, err)
	}
	if again, err := s.DeviceID(ctx); err != nil || again != device {
		t.Errorf("the device is %q, was %q: %v", again, device, err)
	}
	// What is no id is replaced: half a file, for example.
	if err := os.WriteFile(filepath.Join(dir, bodiesName, deviceName), []byte(device[:5]), 0o600); err != nil {
		t.Fatal(err)
	}
	if again, err := s.DeviceID(ctx); err != nil || again == device || !isDeviceID(again) {
		t.Errorf("the device is %q: %v", again, err)
	}
}

// A subscription never gets the body of an earlier one with its id, which a database that was lost
// may count out again.
func TestNewSubscriptionHasNoBody(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := mustOpen(t, dir, quiet())
	if err := s.KeepBody(ctx, 1, []byte("old")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.AddSubscription(ctx, testSubscription()); err != nil {
		t.Fatal(err)
	}
	if body, err := s.Body(ctx, 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("%q, %v", body, err)
	}
}

// Links lead nowhere: neither is read through them nor written.
func TestBodiesFollowNoLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need privileges there")
	}
	ctx, dir, outside := context.Background(), t.TempDir(), filepath.Join(t.TempDir(), "outside")
	if err := os.WriteFile(outside, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir, quiet())
	if err := s.KeepBody(ctx, 2, []byte("x")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"1.body", "1.body.tmp"} {
		if err := os.Symlink(outside, filepath.Join(dir, bodiesName, name)); err != nil {
			t.Fatal(err)
		}
	}
	if body, err := s.Body(ctx, 1); err == nil || bytes.Contains(body, []byte("theirs")) {
		t.Errorf("%q, %v", body, err)
	}
	if err := s.KeepBody(ctx, 1, []byte("ours")); err != nil {
		t.Errorf("in the place of a link: %v", err)
	}
	if body, err := s.Body(ctx, 1); err != nil || string(body) != "ours" {
		t.Errorf("%q, %v", body, err)
	}
	if text, err := os.ReadFile(outside); err != nil || string(text) != "theirs" {
		t.Errorf("the file outside is %q, %v", text, err)
	}
	// The same of the directory.
	folder := filepath.Join(dir, bodiesName)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(outside), folder); err != nil {
		t.Fatal(err)
	}
	if err := s.KeepBody(ctx, 1, []byte("ours")); err == nil {
		t.Error("a body is written through a link")
	}
}

// A disk that is nearly full keeps its room for the database, and the body that was kept stays.
func TestBodiesLeaveRoom(t *testing.T) {
	ctx := context.Background()
	o, free := quiet(), uint64(1<<40)
	o.freeSpace = func(string) (uint64, error) { return free, nil }
	s := mustOpen(t, t.TempDir(), o)
	if err := s.KeepBody(ctx, 1, []byte("old")); err != nil {
		t.Fatal(err)
	}
	free = 4 << 20
	if err := s.KeepBody(ctx, 1, make([]byte, MaxBody)); !errors.Is(err, errNoSpace) {
		t.Errorf("%v", err)
	}
	if body, err := s.Body(ctx, 1); err != nil || string(body) != "old" {
		t.Errorf("%q, %v", body, err)
	}
}
