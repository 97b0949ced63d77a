package rotation

import "time"

const (
	// enoughEvidence is how many checks of late a comparison needs.
	enoughEvidence = 4
	// A challenger is clearly more reliable if it answers this much more often, and hardly less
	// reliable if it answers at most this much less often.
	clearlyMoreReliable = 0.10
	hardlyLessReliable  = 0.05
	// A challenger is clearly faster if it is more than twice as fast, and at least by this much.
	clearlyFaster = 50 * time.Millisecond
)

// Better reports whether the challenger is so much better than the incumbent that changing to it is
// worth it. If neither is clearly better the incumbent stays, since a change has a cost of its own.
// Candidates never form a cycle in which each is better than the one before it.
//
// A challenger must have answered when last checked, and have been checked often enough of late.
// Then it is better than an incumbent that is failing; a pinned one is better than one that is not;
// and otherwise it has to be clearly more reliable without taking more than twice as long, or
// clearly faster and hardly less reliable.
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
