package rotation

import "time"

const (
	// enoughEvidence is how many checks of late a comparison needs.
	enoughEvidence = 4
	// A challenger is clearly more reliable if it answers this much more often,
	// and not less reliable if it answers at most that much more rarely.
	clearlyMoreReliable = 0.10
	hardlyLessReliable  = 0.05
	// A challenger is clearly faster if it is at least twice as fast, and by
	// this much.
	clearlyFaster = 50 * time.Millisecond
)

// Better tells whether a challenger is clearly better than the incumbent, so
// that a change from one to the other is worth it. With neither clearly better,
// whoever is there stays: changing for little gain is a cost of its own. There
// is no ring of candidates of which each is better than the one before it.
//
// A challenger must have answered when last checked, and often enough of late.
// Then it is better than an incumbent that is failing; a pinned one is better
// than one that is not; and otherwise it has to be clearly more reliable without
// being twice as slow, or clearly faster without being less reliable.
func Better(now time.Time, challenger, incumbent Candidate) bool {
	c, i := assess(now, &challenger), assess(now, &incumbent)
	if challenger.Excluded || c.failing() || c.evidence < enoughEvidence {
		return false
	}
	switch {
	case i.failing() || incumbent.Excluded:
		return true
	case challenger.Pinned != incumbent.Pinned:
		return challenger.Pinned
	case i.evidence < enoughEvidence:
		return false
	}
	gain := c.reliability - i.reliability
	fast, slow := c.History.slowness(), i.History.slowness()
	if gain >= clearlyMoreReliable {
		return fast <= 2*slow
	}
	return gain >= -hardlyLessReliable && fast > 0 && 2*fast < slow && slow-fast >= clearlyFaster
}
