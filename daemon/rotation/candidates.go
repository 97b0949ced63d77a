package rotation

import (
	"cmp"
	"slices"
	"time"
)

// History is what is known of a config's past. The zero value is a config that
// was never tried.
type History struct {
	Successes, Failures int
	// Consecutive counts the failures since the last success.
	Consecutive              int
	LastSuccess, LastFailure time.Time
	// Latency of the last probe that succeeded; 0 when there was none.
	Latency time.Duration
	// CooldownUntil is when the config may be chosen again as a matter of course.
	CooldownUntil time.Time
}

// Candidate is a config considered in a rotation.
type Candidate struct {
	ConfigID int64
	History  History
}

// Preference says what a rotation is after.
type Preference int

const (
	// PreferNext spreads use: the one that was used least recently comes first.
	// It is what a user who asks for another server, and a timer, mean.
	PreferNext Preference = iota
	// PreferBest wants the one most likely to work at once: known good ones
	// first, the fastest before the others.
	PreferBest
)

// Order returns the candidates in the order in which to try them, without those
// in exclude. Those in a cooldown come last, the ones that have waited longest
// first: they are tried only when all others failed, and not given up for good.
func Order(now time.Time, preference Preference, candidates []Candidate, exclude ...int64) []Candidate {
	ordered := slices.DeleteFunc(slices.Clone(candidates), func(c Candidate) bool {
		return slices.Contains(exclude, c.ConfigID)
	})
	slices.SortFunc(ordered, func(a, b Candidate) int {
		if c := cmp.Compare(standing(now, preference, a), standing(now, preference, b)); c != 0 {
			return c
		}
		switch {
		case cooling(now, a):
			if c := a.History.CooldownUntil.Compare(b.History.CooldownUntil); c != 0 {
				return c
			}
		case preference == PreferNext:
			if c := a.History.LastSuccess.Compare(b.History.LastSuccess); c != 0 {
				return c
			}
		default:
			if c := cmp.Compare(a.History.Latency, b.History.Latency); c != 0 {
				return c
			}
		}
		return cmp.Compare(a.ConfigID, b.ConfigID)
	})
	return ordered
}

func cooling(now time.Time, c Candidate) bool { return now.Before(c.History.CooldownUntil) }

// standing ranks a candidate's class; a lower one is tried earlier.
func standing(now time.Time, preference Preference, c Candidate) int {
	switch h := c.History; {
	case cooling(now, c):
		return 3
	case preference == PreferNext:
		return 0
	case h.Successes > 0 && h.Consecutive == 0:
		return 0 // known good
	case h.Successes == 0 && h.Failures == 0:
		return 1 // unknown
	default:
		return 2 // failed last time, and has waited for it
	}
}

// maxCooldown bounds how long a config that keeps failing is left alone.
const maxCooldown = time.Hour

// Succeeded returns the history after a success.
func (h History) Succeeded(now time.Time, latency time.Duration) History {
	h.Successes++
	h.Consecutive = 0
	h.LastSuccess = now
	h.Latency = latency
	h.CooldownUntil = time.Time{}
	return h
}

// Failed returns the history after a failure. The cooldown starts with base and
// doubles with every failure in a row.
func (h History) Failed(now time.Time, base time.Duration) History {
	h.Failures++
	h.Consecutive++
	h.LastFailure = now
	h.CooldownUntil = now.Add(doubled(base, h.Consecutive-1, maxCooldown))
	return h
}

// doubled returns base doubled n times, at most limit (or base, if that is longer).
func doubled(base time.Duration, n int, limit time.Duration) time.Duration {
	limit = max(base, limit)
	for range n {
		if base >= limit/2 {
			return limit
		}
		base *= 2
	}
	return base
}
