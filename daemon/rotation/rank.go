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
	assessed := make([]assessment, 0, len(candidates))
	places := make([]place, 0, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		if _, found := slices.BinarySearch(excluded, c.ConfigID); found || c.Excluded {
			continue
		}
		a := assess(now, c)
		p := placeOf(&a, preference, seed)
		p.index = len(assessed)
		assessed, places = append(assessed, a), append(places, p)
	}
	slices.SortFunc(places, place.compare)
	if preference == PreferNext {
		places = takingTurns(places)
	}
	choices := make([]Choice, len(places))
	for i, p := range places {
		a := &assessed[p.index]
		choices[i] = Choice{ConfigID: a.ConfigID, Class: a.class, Score: a.score, Why: a.why(now)}
	}
	return choices
}

// place is what decides where an assessment comes: plain numbers, the lower ones
// first, since there may be ten thousand of them to sort.
type place struct {
	group         int
	first, second int64
	id            int64
	index         int // of the assessment
	untried       bool
}

func (p place) compare(q place) int {
	if c := cmp.Compare(p.group, q.group); c != 0 {
		return c
	}
	if c := cmp.Compare(p.first, q.first); c != 0 {
		return c
	}
	if c := cmp.Compare(p.second, q.second); c != 0 {
		return c
	}
	return cmp.Compare(p.id, q.id)
}

func placeOf(a *assessment, preference Preference, seed uint64) place {
	h := &a.History
	p := place{id: a.ConfigID, untried: !h.tried()}
	standing := a.standing
	if preference == PreferNext && !a.failing() {
		standing = 0
	}
	p.group = 2 * standing
	if !a.Pinned {
		p.group++
	}
	switch {
	case a.class == ClassCooling:
		p.group = 2 * standing // a pin does not shorten it
		p.first = h.CooldownUntil.UnixNano()
	case p.untried:
		if seed != 0 {
			p.second = int64(scramble(seed, a.ConfigID) >> 1)
		}
	case standing == 0 && preference == PreferNext:
		p.first, p.second = nanoseconds(h.LastUsed), nanoseconds(h.LastSuccess)
	default:
		p.first = -int64(a.score * (1 << 62))
	}
	return p
}

// nanoseconds returns a time as a number, and the zero time as 0.
func nanoseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// takingTurns lets those never tried and the others alternate, within the pinned
// ones and within the others, in front of those that are failing.
func takingTurns(sorted []place) []place {
	result := make([]place, 0, len(sorted))
	for group := range 2 {
		end := slices.IndexFunc(sorted, func(p place) bool { return p.group != group })
		if end < 0 {
			end = len(sorted)
		}
		var turns [2][]place
		for _, p := range sorted[:end] {
			if p.untried {
				turns[0] = append(turns[0], p)
			} else {
				turns[1] = append(turns[1], p)
			}
		}
		for i := range end {
			for _, turn := range turns {
				if i < len(turn) {
					result = append(result, turn[i])
				}
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
