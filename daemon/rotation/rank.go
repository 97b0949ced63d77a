package rotation

import (
	"cmp"
	"slices"
	"time"
)

// Rank returns the order in which to try the candidates, without the excluded
// ones and those in exclude. It depends on nothing but its arguments, and not on
// the order of the candidates. The seed shuffles those of which nothing is known,
// so that many users of one list do not all begin with its first server; with
// seed 0 they stay in the order of their ids.
//
// PreferBest: by class, and within a class by score; in a cooldown, whoever has
// to wait the shortest comes first.
//
// PreferNext: the pinned ones, then the others, and in either group the one that
// served least recently first, whatever its score. Those never tried take turns
// with the others, so that in a long list of dead servers the second attempt
// succeeds. Those known to be failing come last, as in PreferBest.
func Rank(now time.Time, preference Preference, seed uint64, candidates []Candidate, exclude ...int64) []Choice {
	excluded := slices.Sorted(slices.Values(exclude))
	ranked := make([]*assessment, 0, len(candidates))
	all := make([]assessment, len(candidates))
	for i, c := range candidates {
		if _, found := slices.BinarySearch(excluded, c.ConfigID); found || c.Excluded {
			continue
		}
		all[i] = assess(now, c)
		if seed != 0 && all[i].class == ClassUnknown {
			all[i].tie = scramble(seed, c.ConfigID)
		}
		ranked = append(ranked, &all[i])
	}
	if preference == PreferNext {
		slices.SortFunc(ranked, byLastUse)
		ranked = takingTurns(ranked)
	} else {
		slices.SortFunc(ranked, byClassAndScore)
	}
	choices := make([]Choice, len(ranked))
	for i, a := range ranked {
		choices[i] = Choice{ConfigID: a.ConfigID, Class: a.class, Score: a.score, Why: a.why(now)}
	}
	return choices
}

func byClassAndScore(a, b *assessment) int {
	if c := cmp.Compare(a.standing, b.standing); c != 0 {
		return c
	}
	if a.class == ClassCooling {
		if c := a.History.CooldownUntil.Compare(b.History.CooldownUntil); c != 0 {
			return c
		}
	}
	if a.Pinned != b.Pinned {
		return first(a.Pinned)
	}
	if c := cmp.Compare(b.score, a.score); c != 0 {
		return c
	}
	return byTie(a, b)
}

func byLastUse(a, b *assessment) int {
	if a.failing() || b.failing() {
		return byClassAndScore(a, b)
	}
	if a.Pinned != b.Pinned {
		return first(a.Pinned)
	}
	if c := a.History.LastUsed.Compare(b.History.LastUsed); c != 0 {
		return c
	}
	if c := a.History.LastSuccess.Compare(b.History.LastSuccess); c != 0 {
		return c
	}
	return byTie(a, b)
}

func byTie(a, b *assessment) int {
	return cmp.Or(cmp.Compare(a.tie, b.tie), cmp.Compare(a.ConfigID, b.ConfigID))
}

func first(a bool) int {
	if a {
		return -1
	}
	return 1
}

// takingTurns lets those never tried and the others alternate, within the pinned
// ones and within the others.
func takingTurns(sorted []*assessment) []*assessment {
	var result []*assessment
	for len(sorted) > 0 && !sorted[0].failing() {
		end := slices.IndexFunc(sorted, func(a *assessment) bool { return a.failing() || a.Pinned != sorted[0].Pinned })
		if end < 0 {
			end = len(sorted)
		}
		var untried, known []*assessment
		for _, a := range sorted[:end] {
			if a.History.tried() {
				known = append(known, a)
			} else {
				untried = append(untried, a)
			}
		}
		for i := range max(len(untried), len(known)) {
			if i < len(untried) {
				result = append(result, untried[i])
			}
			if i < len(known) {
				result = append(result, known[i])
			}
		}
		sorted = sorted[end:]
	}
	return append(result, sorted...)
}

// scramble returns a number that looks random, from a seed and an id: the
// finalizer of SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom
// Number Generators, 2014).
func scramble(seed uint64, id int64) uint64 {
	x := seed + uint64(id)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
