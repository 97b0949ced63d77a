package session_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/store"
)

// Of what an earlier daemon left, sessions that served come before the others, and the newest of
// each first, in whatever order the records come.
func TestLeftoversThatServedComeFirst(t *testing.T) {
	want := []store.Session{
		{ID: 4, Status: store.StatusRunning},
		{ID: 2, Status: store.StatusRunning},
		{ID: 7, Status: store.StatusStandby},
		{ID: 6, Status: store.StatusStopping},
		{ID: 5, Status: store.StatusStarting},
		{ID: 3, Status: store.StatusDraining},
		{ID: 1, Status: store.StatusStarting},
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		records := slices.Clone(want)
		random.Shuffle(len(records), func(i, j int) { records[i], records[j] = records[j], records[i] })
		session.SortLeftovers(records)
		for i, r := range records {
			if r.ID != want[i].ID {
				t.Fatalf("%d comes as number %d instead of %d", r.ID, i, want[i].ID)
			}
		}
	}
}

// Only a session that served or was about to is taken over: a standby, and one that was on its way
// out, is not.
func TestAdoptable(t *testing.T) {
	for status, want := range map[store.Status]bool{
		store.StatusRunning:  true,
		store.StatusStarting: true,
		store.StatusStandby:  false,
		store.StatusDraining: false,
		store.StatusStopping: false,
		store.StatusStopped:  false,
		store.StatusFailed:   false,
		"of a later version": false,
	} {
		if got := session.Adoptable(store.Session{Status: status}); got != want {
			t.Errorf("%s: %v", status, got)
		}
	}
}
