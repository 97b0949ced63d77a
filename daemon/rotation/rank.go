package rotation

import (
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
	choices := make([]Choice, 0, len(candidates))
	places := make([]*place, 0, len(candidates))
	all := make([]place, len(candidates))
	for i := range candidates {
		c := &candidates[i]
		if _, found := slices.BinarySearch(excluded, c.ConfigID); found || c.Excluded {
			continue
		}
		a := assess(now, c)
		all[i] = placeOf(&a, preference, seed)
		all[i].index, all[i].origin = len(choices), i
		places = append(places, &all[i])
		choices = append(choices, Choice{ConfigID: c.ConfigID, Class: a.class, Score: a.score})
	}
	slices.SortFunc(places, (*place).compare)
	if preference == PreferNext {
		places = takingTurns(places)
	}
	ranked := make([]Choice, len(places))
	for i, p := range places {
		ranked[i] = choices[p.index]
		if i < explained {
			a := assess(now, &candidates[p.origin])
			ranked[i].Why = a.why(now)
		}
	}
	return ranked
}

// explained is how many of the first choices say why. Texts for ten thousand would
// take longer than the decision.
const explained = 100

// place is what decides where a choice comes: plain numbers, the lower ones first,
// since there may be ten thousand of them to sort.
type place struct {
	major   uint64 // the group in the upper bits, below them the score or a time
	minor   uint64
	id      int64
	index   int // of the choice
	origin  int // of the candidate
	untried bool
}

// groupShift leaves as many bits as the nanoseconds of a time need without the
// last four of them.
const groupShift = 59

func (p *place) group() int { return int(p.major >> groupShift) }

// compare is written out because cmp.Compare, made for floats too, takes twice as
// long.
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
	p := place{id: a.ConfigID, untried: !h.tried()}
	spread := preference == PreferNext && !a.failing()
	group := 2 * uint64(a.standing)
	if spread {
		group = 0
	}
	if !a.Pinned && a.class != ClassCooling { // a pin does not shorten a cooldown
		group++
	}
	switch {
	case a.class == ClassCooling:
		p.major = ticks(h.CooldownUntil)
	case spread:
		p.major, p.minor = ticks(h.LastUsed), ticks(h.LastSuccess)
	default:
		p.major = uint64((1 - a.score) * (1 << (groupShift - 1)))
	}
	if p.untried && seed != 0 {
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

// takingTurns lets those never tried and the others alternate, within the pinned
// ones and within the others, in front of those that are failing.
func takingTurns(sorted []*place) []*place {
	result := make([]*place, 0, len(sorted))
	for group := range 2 {
		end := slices.IndexFunc(sorted, func(p *place) bool { return p.group() != group })
		if end < 0 {
			end = len(sorted)
		}
		var turns [2][]*place
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
