package rotation

import (
	"math/rand/v2"
	"testing"
	"time"
)

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
				h = h.Failed(at, 5*time.Minute)
			case 1:
				h = h.RotatedAway(at, time.Duration(random.Int64N(int64(2*time.Hour))), 5*time.Minute)
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

func BenchmarkRank10000(b *testing.B) {
	candidates := many(10_000, 1)
	for b.Loop() {
		Rank(now, PreferBest, 1, candidates, 17)
	}
}
