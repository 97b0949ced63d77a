package subscription

// Known is a server that came from a subscription earlier.
type Known struct {
	ID       int64
	Identity string // see link.Link.Identity
	Retired  bool   // it had vanished from the subscription
}

// Changes is what an update of a subscription has to do. Known servers in none of the lists stay as
// they are.
type Changes struct {
	Add    []Entry // in the order of the body, each server once
	Keep   []Entry // known servers that it still has, or has again; in the order of the known
	Retire []Known // in the order of the known
}

// Reconcile compares what is known of a subscription with what it contains now. Servers with the
// same identity are the same, whatever their names. An empty or partial body does not show that
// anything has vanished: then Retire is empty.
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
	return changes
}
