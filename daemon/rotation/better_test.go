package rotation

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestBetter(t *testing.T) {
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	// mixed fails every n-th check.
	mixed := func(n int, latency time.Duration) History {
		var h History
		for i := range 40 {
			at := now.Add(time.Duration(i-60) * 20 * time.Minute)
			if i%n == 0 {
				h = h.Failed(at, time.Second)
			} else {
				h = h.Succeeded(at, latency)
			}
		}
		h.CooldownUntil, h.Flaps = time.Time{}, 0
		return h
	}
	for name, test := range map[string]struct {
		challenger, incumbent Candidate
		want                  bool
	}{
		"equal":                           {Candidate{History: answered(20, 0, ms(100))}, Candidate{History: answered(20, 0, ms(100))}, false},
		"a little faster":                 {Candidate{History: answered(20, 0, ms(80))}, Candidate{History: answered(20, 0, ms(120))}, false},
		"twice as fast, but by little":    {Candidate{History: answered(20, 0, ms(10))}, Candidate{History: answered(20, 0, ms(40))}, false},
		"much faster":                     {Candidate{History: answered(20, 0, ms(80))}, Candidate{History: answered(20, 0, ms(400))}, true},
		"much faster, once":               {Candidate{History: answered(1, 0, ms(80))}, Candidate{History: answered(20, 0, ms(400))}, false},
		"much faster, long ago":           {Candidate{History: answered(20, 4*24*time.Hour, ms(80))}, Candidate{History: answered(20, 0, ms(400))}, false},
		"much faster, less reliable":      {Candidate{History: mixed(4, ms(80))}, Candidate{History: answered(20, 0, ms(400))}, false},
		"more reliable":                   {Candidate{History: answered(20, 0, ms(150))}, Candidate{History: mixed(4, ms(100))}, true},
		"more reliable, but slow":         {Candidate{History: answered(20, 0, ms(900))}, Candidate{History: mixed(4, ms(100))}, false},
		"than a failing one":              {Candidate{History: answered(20, 0, ms(900))}, Candidate{History: answered(20, time.Minute, ms(10)).Failed(now, 0)}, true},
		"than a failing one, once":        {Candidate{History: answered(1, 0, ms(10))}, Candidate{History: failedAgo(1, 0)}, false},
		"than an unknown one":             {Candidate{History: answered(20, 0, ms(10))}, Candidate{}, false},
		"unknown":                         {Candidate{}, Candidate{History: failedAgo(1, 0)}, false},
		"failing":                         {Candidate{History: answered(20, time.Minute, ms(10)).Failed(now, 0)}, Candidate{History: answered(20, 0, ms(900))}, false},
		"pinned":                          {Candidate{History: answered(20, 0, ms(900)), Pinned: true}, Candidate{History: answered(20, 0, ms(10))}, true},
		"pinned, unknown":                 {Candidate{Pinned: true}, Candidate{History: answered(20, 0, ms(10))}, false},
		"than a pinned one":               {Candidate{History: answered(20, 0, ms(10))}, Candidate{History: answered(20, 0, ms(900)), Pinned: true}, false},
		"than a pinned one that fails":    {Candidate{History: answered(20, 0, ms(10))}, Candidate{History: failedAgo(1, 0), Pinned: true}, true},
		"pinned, than a pinned one":       {Candidate{History: answered(20, 0, ms(80)), Pinned: true}, Candidate{History: answered(20, 0, ms(400)), Pinned: true}, true},
		"excluded":                        {Candidate{History: answered(20, 0, ms(10)), Excluded: true}, Candidate{History: failedAgo(1, 0)}, false},
		"than one that is to be left out": {Candidate{History: answered(20, 0, ms(900))}, Candidate{History: answered(20, 0, ms(10)), Excluded: true}, true},
	} {
		if got := Better(now, test.challenger, test.incumbent); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Going from each to a better one never leads back, which would mean rotating for ever.
func TestBetterHasNoCycles(t *testing.T) {
	edges := 0
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 3))
		candidates := make([]Candidate, 60)
		for i := range candidates {
			var h History
			for j := range 30 {
				if random.IntN(30) < i%10 && j < 29 {
					h = h.Failed(now.Add(time.Duration(j-60)*time.Hour/10), 0)
				} else {
					h = h.Succeeded(now.Add(time.Duration(j-60)*time.Hour/10), time.Duration(10<<random.IntN(8))*time.Millisecond)
				}
			}
			h.Flaps = 0
			candidates[i] = Candidate{ConfigID: int64(i), History: h, Pinned: random.IntN(10) == 0, Excluded: random.IntN(10) == 0}
		}
		const unseen, open, done = 0, 1, 2
		state := make([]int, len(candidates))
		var visit func(i int)
		visit = func(i int) {
			state[i] = open
			for j := range candidates {
				if Better(now, candidates[j], candidates[i]) {
					edges++
					if state[j] == open {
						t.Fatalf("seed %d: a cycle through %+v and %+v", seed, candidates[i], candidates[j])
					}
					if state[j] == unseen {
						visit(j)
					}
				}
			}
			state[i] = done
		}
		for i := range candidates {
			if state[i] == unseen {
				visit(i)
			}
		}
	}
	if edges < 1000 {
		t.Errorf("there are only %d pairs to judge by", edges)
	}
}
