package subscription

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
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

// What a provider changes about a server makes it no other one.
func TestReconcileRenews(t *testing.T) {
	const (
		user  = "11111111-2222-4333-8444-555555555555"
		other = "66666666-2222-4333-8444-555555555555"
	)
	ws := func(host, user, sni, name string) string {
		return "vless://" + user + "@" + host + "?security=tls&type=ws&path=/a&host=" + sni + "#" + name
	}
	for name, test := range map[string]struct {
		was, is             []string
		renewed, gone, came int
	}{
		"another port":                {[]string{ws("a.org:1", user, "a.org", "DE")}, []string{ws("a.org:2", user, "a.org", "de")}, 1, 0, 0},
		"another user":                {[]string{ws("a.org:1", user, "a.org", "DE")}, []string{ws("a.org:1", other, "a.org", "DE")}, 1, 0, 0},
		"another address":             {[]string{ws("a.org:1", user, "a.org", "DE")}, []string{ws("b.org:1", user, "a.org", "DE")}, 1, 0, 0},
		"another name to ask for":     {[]string{ws("a.org:1", user, "x.org", "DE 3 GB")}, []string{ws("a.org:1", user, "y.org", "DE 2 GB")}, 1, 0, 0},
		"another name and port":       {[]string{ws("a.org:1", user, "a.org", "DE")}, []string{ws("a.org:2", user, "a.org", "NL")}, 0, 1, 1},
		"no names":                    {[]string{ws("a.org:1", user, "a.org", "")}, []string{ws("b.org:2", user, "a.org", "")}, 0, 1, 1},
		"another protocol":            {[]string{ws("a.org:1", user, "a.org", "DE")}, []string{"trojan://x@a.org:1#DE"}, 0, 1, 1},
		"two came":                    {[]string{ws("a.org:1", user, "a.org", "DE")}, []string{ws("a.org:2", user, "a.org", "DE"), ws("a.org:3", user, "a.org", "DE")}, 0, 1, 2},
		"two went":                    {[]string{ws("a.org:1", user, "a.org", "DE"), ws("a.org:2", user, "a.org", "DE")}, []string{ws("a.org:3", user, "a.org", "DE")}, 0, 2, 1},
		"another is still there":      {[]string{ws("a.org:1", user, "a.org", "DE"), ws("a.org:2", user, "a.org", "DE")}, []string{ws("a.org:2", user, "a.org", "DE"), ws("a.org:3", user, "a.org", "DE")}, 1, 0, 0},
		"kin are told apart by names": {[]string{ws("a.org:1", user, "p.org", "DE"), ws("a.org:1", user, "q.org", "NL")}, []string{ws("a.org:1", user, "r.org", "NL"), ws("a.org:1", user, "s.org", "DE")}, 2, 0, 0},
		"not a link any more":         {[]string{"nothing"}, []string{ws("a.org:2", user, "a.org", "DE")}, 0, 1, 1},
	} {
		var known []Known
		for i, uri := range test.was {
			k := Known{ID: int64(i + 1), Identity: uri, Link: link.NewSecret(uri)}
			if l, err := link.Parse(uri); err == nil {
				k.Identity = l.Identity()
			}
			known = append(known, k)
		}
		fresh := mustParse(t, strings.Join(test.is, "\n"))
		c := Reconcile(known, fresh)
		if len(c.Renew) != test.renewed || len(c.Retire) != test.gone || len(c.Add) != test.came {
			t.Errorf("%s: %d renewed, %d retired, %d added", name, len(c.Renew), len(c.Retire), len(c.Add))
		}
		for _, r := range c.Renew {
			was, _ := link.Parse(r.Known.Link.Reveal())
			if test.renewed == 2 && was.Name != r.Entry.Link.Name {
				t.Errorf("%s: %s is taken for %s", name, r.Entry.Link.Name, was.Name)
			}
		}
		fresh.Partial = true
		if c := Reconcile(known, fresh); len(c.Renew) > 0 || len(c.Retire) > 0 {
			t.Errorf("%s, cut: %+v", name, c)
		}
	}
}
