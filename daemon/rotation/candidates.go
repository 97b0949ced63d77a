package rotation

// Candidate is a config considered in a rotation.
type Candidate struct {
	ConfigID int64
	History  History
	// Pinned: the user prefers it. It comes before others whenever it is not
	// known to be failing.
	Pinned bool
	// Excluded: never chosen automatically, also if it is pinned.
	Excluded bool
}

// Preference says what a rotation is after.
type Preference int

const (
	// PreferNext spreads use: the one that served least recently comes first.
	// It is what a user who asks for another server, and a timer, mean.
	PreferNext Preference = iota
	// PreferBest wants the one most likely to work at once and well.
	PreferBest
)

// Class is what kind of candidate a choice is. PreferBest takes the classes in
// the order of the constants.
type Class string

const (
	// ClassPinned: the user prefers it, and nothing speaks against it.
	ClassPinned Class = "pinned"
	// ClassProven: it answered when last checked, and more often than not.
	ClassProven Class = "proven"
	// ClassUnknown: never checked.
	ClassUnknown Class = "unknown"
	// ClassRecovering: it failed when last checked and has waited for it, or it
	// fails more often than not.
	ClassRecovering Class = "recovering"
	// ClassCooling: it is to be left alone for now. It is tried only when all
	// others have failed.
	ClassCooling Class = "cooling"
)

// Choice is a candidate in its place.
type Choice struct {
	ConfigID int64
	Class    Class
	// Score is from 0 to 1; the higher one of two in the same class is better.
	Score float64
	// Why is a clause for people; it names no server and no secret. Only the first
	// hundred have one.
	Why string
}
