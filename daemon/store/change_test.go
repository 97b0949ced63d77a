package store

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// What the user decides of a config stays, and cannot make it another one.
func TestUpdateConfig(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := mustOpen(t, dir, quiet())
	if _, _, err := s.AddConfigs(ctx, testConfigs(0, 2)); err != nil {
		t.Fatal(err)
	}
	changed, err := s.UpdateConfig(ctx, 1, func(c *Config) {
		c.ID, c.Identity, c.Pinned, c.Tags = 7, "another", true, []string{"home"}
	})
	if err != nil || changed.ID != 1 || changed.Identity != testConfig(0).Identity {
		t.Fatalf("%+v, %v", changed, err)
	}
	if _, err := s.UpdateConfig(ctx, 9, func(*Config) {}); !errors.Is(err, ErrNotFound) {
		t.Errorf("a config that does not exist: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	got, err := mustOpen(t, dir, quiet()).Config(ctx, 1)
	if err != nil || !got.Pinned || !slices.Equal(got.Tags, []string{"home"}) || got.Link != testConfig(0).Link {
		t.Errorf("after opening again: %+v, %v", got, err)
	}
}

// A session that never served leaves no trace, and the others stay.
func TestRemoveSession(t *testing.T) {
	ctx, dir := context.Background(), t.TempDir()
	s := mustOpen(t, dir, quiet())
	for range 2 {
		if _, err := s.CreateSession(ctx, Session{Status: StatusStandby, Rotation: &Report{ReasonCode: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 { // the second time there is none, which is no error
		if err := s.RemoveSession(ctx, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, quiet())
	left, err := s.Sessions(ctx, 0)
	if err != nil || len(left) != 1 || left[0].ID != 2 || left[0].Rotation.ReasonCode != "x" || !left[0].Status.Live() {
		t.Errorf("left %+v, %v", left, err)
	}
	if s.Recovery() != nil {
		t.Error("the count of the sessions is wrong")
	}
}
