package rotation

import (
	"strings"
	"testing"
	"time"
)

// A limited server comes after those that work or were never tried, and before those that are dead;
// checks that it answers change nothing, and work that it does everything.
func TestLimited(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	good := History{}.Succeeded(now, 50*time.Millisecond).Succeeded(now, 50*time.Millisecond)
	limited := good.LimitedBy(now, "stalls")
	for range 100 {
		limited = limited.Succeeded(now, time.Millisecond)
	}
	dead := good.Failed(now.Add(-time.Hour), time.Minute)
	candidates := []Candidate{
		{ConfigID: 1, History: dead}, {ConfigID: 2, History: limited}, {ConfigID: 3}, {ConfigID: 4, History: good},
		{ConfigID: 5, History: limited, Pinned: true},
	}
	for _, preference := range []Preference{PreferBest, PreferNext} {
		choices := Rank(now, preference, 0, candidates)
		places := map[int64]int{}
		for i, c := range choices {
			places[c.ConfigID] = i
			if isLimited := c.ConfigID == 2 || c.ConfigID == 5; (c.Class == ClassLimited) != isLimited {
				t.Errorf("%d is %s", c.ConfigID, c.Class)
			}
		}
		if places[2] < places[4] || places[2] < places[3] || places[2] > places[1] || places[5] < places[4] {
			t.Errorf("%v: %v", preference, places)
		}
	}
	if why := Rank(now, PreferBest, 0, candidates)[2].Why; !strings.Contains(why, "stalls on data") {
		t.Errorf("why: %s", why)
	}
	if !Better(now, Candidate{History: repeated(good, now, 10)}, Candidate{History: repeated(limited, now, 10)}) {
		t.Error("no better than a limited one")
	}
	if c := Rank(now, PreferBest, 0, []Candidate{{ConfigID: 1, History: limited.DidWork()}})[0]; c.Class != ClassProven {
		t.Errorf("when it has done work: %s", c.Class)
	}
	if c := Rank(now.Add(25*time.Hour), PreferBest, 0, candidates[1:2])[0]; c.Class == ClassLimited {
		t.Error("still limited after a day")
	}
}

// repeated is h after that many further checks that succeeded.
func repeated(h History, now time.Time, n int) History {
	for range n {
		h = h.Succeeded(now, 50*time.Millisecond)
	}
	return h
}
