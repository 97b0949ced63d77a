package rotation

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestExplore(t *testing.T) {
	for name, test := range map[string]struct {
		candidates []Candidate
		exclude    []int64
		want       []int64 // any of them; none: nobody
	}{
		"nobody there":      {nil, nil, nil},
		"only one":          {[]Candidate{{ConfigID: 1}}, nil, []int64{1}},
		"the active one":    {[]Candidate{{ConfigID: 1}}, []int64{1}, nil},
		"excluded":          {[]Candidate{{ConfigID: 1, Excluded: true}}, nil, nil},
		"cooling":           {[]Candidate{{ConfigID: 1, History: failedAgo(1, time.Minute)}}, nil, nil},
		"cooling for long":  {[]Candidate{{ConfigID: 1, History: failedAgo(5, 15*time.Minute)}}, nil, nil},
		"recovering":        {[]Candidate{{ConfigID: 1, History: failedAgo(1, time.Hour)}}, nil, []int64{1}},
		"all seen just now": {[]Candidate{{ConfigID: 1, History: answered(3, time.Minute, 1)}}, nil, nil},
		"the one not seen for longest": {[]Candidate{
			{ConfigID: 1, History: answered(3, time.Hour, 1)}, {ConfigID: 2, History: answered(3, 2*time.Hour, 1)},
			{ConfigID: 3, History: answered(3, time.Minute, 1)},
		}, nil, []int64{2}},
		"one of each kind": {[]Candidate{
			{ConfigID: 1}, {ConfigID: 2},
			{ConfigID: 3, History: answered(3, time.Hour, 1)}, {ConfigID: 4, History: answered(3, 2*time.Hour, 1)},
			{ConfigID: 5, History: failedAgo(1, time.Hour)}, {ConfigID: 6, History: failedAgo(1, 2*time.Hour)},
			{ConfigID: 7, History: failedAgo(1, time.Minute)},
		}, nil, []int64{1, 2, 4, 6}},
	} {
		got := map[int64]bool{}
		for seed := range uint64(200) {
			id, ok := Explore(now, seed, test.candidates, test.exclude...)
			again, _ := Explore(now, seed, test.candidates, test.exclude...)
			if again != id || !ok && id != 0 {
				t.Errorf("%s: seed %d: %d, %v, and then %d", name, seed, id, ok, again)
			}
			if ok {
				got[id] = true
			}
		}
		for id := range got {
			if !slices.Contains(test.want, id) {
				t.Errorf("%s: got %d, want one of %v", name, id, test.want)
			}
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: got %v, want each of %v at some time", name, got, test.want)
		}
	}
}

// Whatever the order of the candidates, the same seed draws the same one.
func TestExploreDependsOnTheSeedOnly(t *testing.T) {
	for seed := range uint64(200) {
		candidates := many(30, seed)
		want, found := Explore(now, seed, candidates, 3, 4)
		rand.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
		if got, ok := Explore(now, seed, candidates, 3, 4); got != want || ok != found {
			t.Fatalf("seed %d: %d or %d", seed, want, got)
		}
		for _, c := range candidates {
			if c.ConfigID == want && found && (c.Excluded || c.History.cooling(now) || want == 3 || want == 4) {
				t.Errorf("seed %d: %+v is to be left alone", seed, c)
			}
		}
	}
}

// Each candidate is checked in time, and the good ones most often, even among hundreds of dead
// ones.
func TestExploreForgetsNone(t *testing.T) {
	const n, good = 300, 10
	candidates := make([]Candidate, n)
	for i := range candidates {
		candidates[i].ConfigID = int64(i)
	}
	looks := make([]int, n)
	clock := now
	for i := range uint64(24 * 60) {
		clock = clock.Add(time.Minute)
		id, ok := Explore(clock, i, candidates)
		if !ok {
			continue
		}
		looks[id]++
		h := &candidates[id].History
		if id < good {
			*h = h.Succeeded(clock, time.Second)
		} else {
			*h = h.Failed(clock, cooldownBase)
		}
	}
	for id, count := range looks {
		if count == 0 || id < good && count < 20 {
			t.Errorf("server %d was looked at %d times in a day", id, count)
		}
	}
}
