package rotation

import (
	"slices"
	"time"
)

// Rank returns the order in which to try the candidates, without the excluded ones and those in
// exclude. It depends on nothing but its arguments, and not on the order of the candidates. The
// seed shuffles those never tried, so that many users of one list do not all begin with its first
// server; with seed 0 they stay in the order of their ids.
//
// PreferBest: by class, and within a class by score; among those in a cooldown, the one whose
// cooldown ends first.
//
// PreferNext: the pinned ones, then the others, and in either group the one that served least
// recently first, whatever its score. Those never tried take turns with the others, so that in a
// long list of dead servers the second attempt succeeds. Those known to be failing come last, as in
// PreferBest.
func Rank(now time.Time, preference Preference, seed uint64, candidates []Candidate, exclude ...int64) []Choice {
	excluded := slices.Sorted(slices.Values(exclude))
	all := make([]place, len(candidates))
	places := make([]*place, 0, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		if _, found := slices.BinarySearch(excluded, c.ConfigID); found || c.Excluded {
			continue
		}
		a := assess(now, c)
		all[i] = placeOf(&a, preference, seed)
		places = append(places, &all[i])
	}
	slices.SortFunc(places, (*place).compare)
	if preference == PreferNext {
		places = takingTurns(places)
	}
	choices := make([]Choice, len(places))
	for i, p := range places {
		choices[i] = Choice{ConfigID: p.id, Class: p.class, Score: p.score}
		if i < explained {
			a := assess(now, p.candidate)
			choices[i].Why = a.why(now)
		}
	}
	return choices
}

// explained is how many of the first choices say why. Texts for ten thousand take longer than the
// decision.
const explained = 100

// place is a candidate and what decides where it comes: plain numbers, the lower ones first, since
// there may be ten thousand of them to sort.
type place struct {
	major uint64 // the group in the upper bits, below them the score or a time
	minor uint64
	id    int64

	candidate *Candidate
	class     Class
	score     float64
}

// groupShift leaves as many bits as the nanoseconds of a time need without the last four of them.
const groupShift = 59

func (p *place) group() int { return int(p.major >> groupShift) }

// compare is written out because cmp.Compare, made for floats too, takes twice as long.
func (p *place) compare(q *place) int {
	switch {
	case p.major < q.major:
		return -1
	case p.major > q.major:
		return 1
	case p.minor < q.minor:
		return -1
	case p.minor > q.minor:
		return 1
	case p.id < q.id:
		return -1
	case p.id > q.id:
		return 1
	}
	return 0
}

func placeOf(a *assessment, preference Preference, seed uint64) place {
	h := &a.History
	p := place{id: a.ConfigID, candidate: a.Candidate, class: a.class, score: a.score}
	spread := preference == PreferNext && !a.failing()
	group := 3 * uint64(a.standing)
	if spread {
		group = 0
	}
	switch {
	case a.Pinned || a.class == ClassCooling: // a pin does not shorten a cooldown
	case spread || a.Here:
		group++
	default:
		group += 2
	}
	switch {
	case a.class == ClassCooling:
		p.major = ticks(h.CooldownUntil)
	case spread:
		p.major, p.minor = ticks(h.LastUsed), ticks(h.LastSuccess)
	default:
		p.major = uint64((1 - a.score) * (1 << (groupShift - 1)))
	}
	if !h.tried() && seed != 0 {
		p.minor = scramble(seed, a.ConfigID)
	}
	p.major |= group << groupShift
	return p
}

// ticks returns a time as a number below 1<<groupShift, and 0 for the zero time.
func ticks(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(max(0, t.UnixNano())) >> 4
}

// takingTurns alternates between those never tried and the others, first among the pinned and then
// among the rest. Those that are failing stay behind.
func takingTurns(sorted []*place) []*place {
	result := make([]*place, 0, len(sorted))
	for group := range 2 {
		end := slices.IndexFunc(sorted, func(p *place) bool { return p.group() != group })
		if end < 0 {
			end = len(sorted)
		}
		var turns [2][]*place
		for _, p := range sorted[:end] {
			turn := &turns[0]
			if p.candidate.History.tried() {
				turn = &turns[1]
			}
			*turn = append(*turn, p)
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

// scramble returns a number that looks random, from a seed and an id: the finalizer of SplitMix64
// (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
func scramble(seed uint64, id int64) uint64 {
	x := seed + uint64(id)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}
