package rotation

import (
	"slices"
	"time"
)

// Order returns the candidates in the order in which to try them, without those
// in exclude; see Rank, which also says why.
func Order(now time.Time, preference Preference, candidates []Candidate, exclude ...int64) []Candidate {
	byID := make(map[int64]Candidate, len(candidates))
	for _, c := range candidates {
		byID[c.ConfigID] = c
	}
	ordered := slices.Grow([]Candidate(nil), len(candidates))
	for _, choice := range Rank(now, preference, 0, candidates, exclude...) {
		ordered = append(ordered, byID[choice.ConfigID])
	}
	return ordered
}
