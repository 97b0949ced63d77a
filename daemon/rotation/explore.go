package rotation

import (
	"slices"
	"time"
)

// freshFor is how long a check need not be repeated.
const freshFor = 10 * time.Minute

// Explore returns the config to check next in the background, to learn about unknown ones and to
// keep what is known up to date, and false if no check is worth its cost. Excluded candidates,
// those in exclude, those in a cooldown and those checked a short time ago are left alone.
//
// The seed, which must be a new one each time, draws whose turn it is: that of candidates that
// worked (three times in six), that were never tried (two) or that failed (one). Among those that
// worked or failed it is the one not checked for longest, and among the untried any. So none is
// forgotten, and ten thousand dead servers do not keep the good ones from being looked after.
func Explore(now time.Time, seed uint64, candidates []Candidate, exclude ...int64) (int64, bool) {
	var good, untried, failing oldest
	for i := range candidates {
		c := &candidates[i]
		if c.Excluded || slices.Contains(exclude, c.ConfigID) || c.History.cooling(now) {
			continue
		}
		a := assess(now, c)
		age := now.Sub(c.History.lastSeen())
		switch {
		case !c.History.tried():
			// All are equally old; the seed tells them apart.
			untried.add(c.ConfigID, float64(scramble(seed, c.ConfigID)))
		case age >= 0 && age < freshFor:
		case a.failing():
			// A dead one is worth a check ever more rarely, but not never.
			failing.add(c.ConfigID, float64(age)/float64(1+c.History.Consecutive))
		default:
			good.add(c.ConfigID, float64(age))
		}
	}
	var urn []oldest
	for _, group := range []struct {
		oldest
		tickets int
	}{{good, 3}, {untried, 2}, {failing, 1}} {
		if group.found {
			urn = append(urn, slices.Repeat([]oldest{group.oldest}, group.tickets)...)
		}
	}
	if len(urn) == 0 {
		return 0, false
	}
	return urn[scramble(seed, 0)%uint64(len(urn))].id, true
}

// oldest keeps the candidate of the greatest age among those added.
type oldest struct {
	id    int64
	age   float64
	found bool
}

func (o *oldest) add(id int64, age float64) {
	if !o.found || age > o.age || age == o.age && id < o.id {
		*o = oldest{id, age, true}
	}
}
