package rotation

// Candidate is a config considered in a rotation.
type Candidate struct {
	ConfigID int64
	History  History
	// Pinned: the user prefers it. It comes before others unless it is known to be failing.
	Pinned bool
	// Here: it worked in this network not long ago, and what it did in others does not count.
	Here bool
	// Excluded: never chosen automatically, even if it is pinned.
	Excluded bool
}

// Preference is what a rotation is after.
type Preference int

const (
	// PreferNext spreads use: the one that served least recently comes first. That is what a user
	// who asks for another server wants, and the timer.
	PreferNext Preference = iota
	// PreferBest takes the one most likely to work at once and well.
	PreferBest
)

// Class is what kind of candidate a choice is. PreferBest takes the classes in the order of the
// constants.
type Class string

const (
	// ClassPinned: the user prefers it, and nothing speaks against it.
	ClassPinned Class = "pinned"
	// ClassProven: it answered when last checked, and more often than not.
	ClassProven Class = "proven"
	// ClassUnknown: never checked.
	ClassUnknown Class = "unknown"
	// ClassLimited: it answers checks, and strangles the work of applications.
	ClassLimited Class = "limited"
	// ClassRecovering: it failed when last checked and its cooldown is over, or it fails more often
	// than not.
	ClassRecovering Class = "recovering"
	// ClassCooling: it is left alone for now, and tried only when all others have failed.
	ClassCooling Class = "cooling"
)

// Choice is a candidate in the order of Rank.
type Choice struct {
	ConfigID int64
	Class    Class
	// Score is from 0 to 1. Of two in the same class, the higher is better.
	Score float64
	// Why is a clause for people. It names no server and no secret. Only the first hundred choices
	// have one.
	Why string
}
