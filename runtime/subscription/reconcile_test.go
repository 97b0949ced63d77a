package subscription

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

func entry(t *testing.T, server int, name string) Entry {
	t.Helper()
	l, err := link.Parse(fmt.Sprintf("trojan://x@s%d.org:443?security=tls#%s", server, name))
	if err != nil {
		t.Fatal(err)
	}
	return Entry{Link: l}
}

func known(t *testing.T, id int64, server int, retired bool) Known {
	t.Helper()
	return Known{ID: id, Identity: entry(t, server, "").Link.Identity(), Retired: retired}
}

func TestReconcile(t *testing.T) {
	old := []Known{known(t, 10, 1, false), known(t, 20, 2, false), known(t, 30, 3, true), known(t, 40, 4, true), known(t, 50, 5, false)}
	fresh := Body{Entries: []Entry{entry(t, 6, "six"), entry(t, 3, "three"), entry(t, 1, "uno"), entry(t, 6, "again"), entry(t, 5, "")}}

	c := Reconcile(old, fresh)
	if len(c.Add) != 1 || c.Add[0].Link.Name != "six" {
		t.Errorf("add %+v", c.Add)
	}
	if len(c.Keep) != 3 || c.Keep[0].Link.Name != "uno" || c.Keep[1].Link.Name != "three" || c.Keep[2].Link.Identity() != old[4].Identity {
		t.Errorf("keep %+v", c.Keep)
	}
	if len(c.Retire) != 1 || c.Retire[0].ID != 20 {
		t.Errorf("retire %+v", c.Retire)
	}

	fresh.Partial = true
	if c := Reconcile(old, fresh); len(c.Retire) != 0 || len(c.Keep) != 3 || len(c.Add) != 1 {
		t.Errorf("partial: %+v", c)
	}
	if c := Reconcile(old, Body{}); len(c.Retire)+len(c.Keep)+len(c.Add) != 0 {
		t.Errorf("empty: %+v", c)
	}
}

// Applying the changes always leads to what the subscription has, and comparing again changes
// nothing.
func TestReconcileConverges(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		var old []Known
		for id := range random.IntN(8) {
			old = append(old, known(t, int64(id), id, random.IntN(2) == 0))
		}
		var fresh Body
		want := map[string]bool{}
		for range 1 + random.IntN(8) {
			e := entry(t, random.IntN(10), "n")
			fresh.Entries = append(fresh.Entries, e)
			want[e.Link.Identity()] = true
		}
		c := Reconcile(old, fresh)
		var next []Known
		for _, e := range slices.Concat(c.Keep, c.Add) {
			next = append(next, Known{Identity: e.Link.Identity()})
		}
		active := map[string]bool{}
		for _, k := range next {
			active[k.Identity] = true
		}
		if len(active) != len(next) || len(active) != len(want) {
			t.Fatalf("%d active of %d wanted, %d records", len(active), len(want), len(next))
		}
		if c := Reconcile(next, fresh); len(c.Add)+len(c.Retire) != 0 || len(c.Keep) != len(next) {
			t.Fatalf("a second time: %+v", c)
		}
	}
}
