package rotation

import (
	"slices"
	"time"
)

// freshFor is how long the result of a check needs no other.
const freshFor = 10 * time.Minute

// Explore returns whom to check next in the background, to learn of the unknown
// and to keep up what is known, and false when there is nobody whom a check is
// worth. Excluded ones, those in exclude and those in a cooldown are left alone,
// and whoever was checked a short time ago.
//
// The seed, which must be another one each time, draws whether it is the turn of
// those that worked (three times of six), of those never tried (two) or of those
// that failed (one): of two of these the one not seen for longest, and of those
// never tried any. So nobody is forgotten, and ten thousand dead servers do not
// keep anyone from looking after the good ones.
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
			// A dead one is worth looking at ever more rarely, but not never.
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

// oldest keeps the candidate of the greatest age.
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
