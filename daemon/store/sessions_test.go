package store

import (
	"context"
	"testing"
)

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
