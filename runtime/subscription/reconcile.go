package subscription

import (
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// Known is a server that came from a subscription earlier.
type Known struct {
	ID       int64
	Identity string      // see link.Link.Identity
	Retired  bool        // it had vanished from the subscription
	Link     link.Secret // its share link, with the name that the subscription gave it
}

// Changes is what an update of a subscription has to do. Known servers in none of the lists stay as
// they are.
type Changes struct {
	Add    []Entry   // in the order of the body, each server once
	Keep   []Entry   // known servers that it still has, or has again; in the order of the known
	Renew  []Renewal // in the order of the known
	Retire []Known   // in the order of the known
}

// Renewal is a known server that goes by another identity now.
type Renewal struct {
	Known Known
	Entry Entry
}

// Reconcile compares what is known of a subscription with what it contains now. Servers with the
// same identity are the same, whatever their names. An empty or partial body does not show that
// anything has vanished: then Retire and Renew are empty.
func Reconcile(known []Known, fresh Body) Changes {
	entries := make(map[string]Entry, len(fresh.Entries))
	identities := make([]string, len(fresh.Entries))
	for i, entry := range fresh.Entries {
		identities[i] = entry.Link.Identity()
		if _, twice := entries[identities[i]]; !twice {
			entries[identities[i]] = entry
		}
	}

	var changes Changes
	settled := make(map[string]bool, len(known))
	for _, k := range known {
		entry, found := entries[k.Identity]
		switch {
		case found:
			changes.Keep = append(changes.Keep, entry)
			settled[k.Identity] = true
		case k.Retired:
		case !fresh.Partial && len(fresh.Entries) > 0:
			changes.Retire = append(changes.Retire, k)
		}
	}
	for i, entry := range fresh.Entries {
		if identity := identities[i]; !settled[identity] {
			settled[identity] = true
			changes.Add = append(changes.Add, entry)
		}
	}
	changes.renew()
	return changes
}

// renew finds the servers among those to be retired that are there under another identity: in the
// first place what is kin, and then what has the same name and protocol. Only pairs count, since of
// several that come and go nobody knows which is which.
func (c *Changes) renew() {
	if len(c.Retire) == 0 || len(c.Add) == 0 {
		return
	}
	gone := make([]link.Link, len(c.Retire))
	for i, k := range c.Retire {
		gone[i], _ = link.Parse(k.Link.Reveal()) // one that cannot be read any more has no successor
	}
	successor := make(map[int]int, len(gone)) // of Retire, in Add
	taken := make(map[int]bool, len(gone))
	for _, trait := range []func(link.Link) string{kinAndName, link.Link.Kinship, nameAndProtocol} {
		pair(gone, c.Add, trait, successor, taken)
	}
	if len(successor) == 0 {
		return
	}
	var retire []Known
	for i, k := range c.Retire {
		if j, ok := successor[i]; ok {
			c.Renew = append(c.Renew, Renewal{k, c.Add[j]})
		} else {
			retire = append(retire, k)
		}
	}
	var add []Entry
	for j, entry := range c.Add {
		if !taken[j] {
			add = append(add, entry)
		}
	}
	c.Retire, c.Add = retire, add
}

// pair finds the successors of those in gone of which a trait, which is not empty, is that of one
// alone there and of one alone in came.
func pair(gone []link.Link, came []Entry, trait func(link.Link) string, successor map[int]int, taken map[int]bool) {
	type place struct{ count, index int }
	left, right := make(map[string]place), make(map[string]place)
	for i, l := range gone {
		if _, has := successor[i]; !has && l.Account != nil {
			t := trait(l)
			left[t] = place{left[t].count + 1, i}
		}
	}
	for j, entry := range came {
		if !taken[j] {
			t := trait(entry.Link)
			right[t] = place{right[t].count + 1, j}
		}
	}
	for t, from := range left {
		if to := right[t]; t != "" && from.count == 1 && to.count == 1 {
			successor[from.index], taken[to.index] = to.index, true
		}
	}
}

func kinAndName(l link.Link) string {
	if l.Name == "" {
		return ""
	}
	return l.Kinship() + strings.ToLower(l.Name)
}

func nameAndProtocol(l link.Link) string {
	if l.Name == "" {
		return ""
	}
	return string(l.Protocol) + " " + strings.ToLower(l.Name)
}
