package rotation

import (
	"math/rand/v2"
	"time"
)

const cooldownBase = 5 * time.Minute

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// many returns candidates with all kinds of pasts.
func many(n int, seed uint64) []Candidate {
	random := rand.New(rand.NewPCG(seed, 0))
	candidates := make([]Candidate, n)
	for i := range candidates {
		var h History
		at := now.Add(-48 * time.Hour)
		for range random.IntN(12) {
			at = at.Add(time.Duration(random.Int64N(int64(4 * time.Hour))))
			switch latency := time.Duration(random.Int64N(int64(time.Second))); random.IntN(4) {
			case 0:
				h = h.Failed(at, cooldownBase)
			case 1:
				h = h.RotatedAway(at, time.Duration(random.Int64N(int64(2*time.Hour))), cooldownBase)
			default:
				h = h.Succeeded(at, latency)
			}
			if random.IntN(3) == 0 {
				h = h.Used(at)
			}
		}
		candidates[i] = Candidate{
			ConfigID: int64(i + 1), History: h,
			Pinned: random.IntN(20) == 0, Excluded: random.IntN(20) == 0,
		}
	}
	random.Shuffle(n, func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
	return candidates
}

func ids(choices []Choice) []int64 {
	var ids []int64
	for _, c := range choices {
		ids = append(ids, c.ConfigID)
	}
	return ids
}

// answered is a history of n checks a minute apart that succeeded, the last one some time ago.
func answered(n int, ago, latency time.Duration) History {
	var h History
	for i := range n {
		h = h.Succeeded(now.Add(-ago-time.Duration(n-1-i)*time.Minute), latency)
	}
	return h
}

// failedAgo is the same with checks that failed.
func failedAgo(n int, ago time.Duration) History {
	var h History
	for i := range n {
		h = h.Failed(now.Add(-ago-time.Duration(n-1-i)*time.Minute), cooldownBase)
	}
	return h
}
