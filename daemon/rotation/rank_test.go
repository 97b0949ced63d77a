package rotation

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func TestRank(t *testing.T) {
	flapper := answered(3, 2*time.Hour, 30*time.Millisecond).
		RotatedAway(now.Add(-90*time.Minute), time.Minute, cooldownBase).Succeeded(now.Add(-time.Minute), 30*time.Millisecond)
	candidates := []Candidate{
		{ConfigID: 1, History: answered(1, time.Minute, 300*time.Millisecond)},
		{ConfigID: 2},
		{ConfigID: 3, History: failedAgo(1, time.Minute)},
		{ConfigID: 4, History: answered(1, time.Hour, 40*time.Millisecond)},
		{ConfigID: 5, History: failedAgo(1, 2*time.Minute)},
		{ConfigID: 6, History: failedAgo(1, time.Hour)},
		{ConfigID: 7},
		{ConfigID: 8, History: answered(20, time.Minute, 300*time.Millisecond).Used(now.Add(-time.Hour))},
		{ConfigID: 9, History: failedAgo(3, 3*time.Hour)},
		{ConfigID: 10, History: answered(20, time.Minute, time.Millisecond), Excluded: true},
		{ConfigID: 11, Excluded: true, Pinned: true},
		{ConfigID: 12, History: flapper},
		// More failures than successes: it answered last, but that means little.
		{ConfigID: 13, History: failedAgo(3, 3*time.Hour).Succeeded(now.Add(-time.Hour), time.Millisecond)},
	}
	pinned := slices.Clone(candidates)
	for i := range pinned {
		// 3 is cooling, 6 recovering, 7 unknown, 1 proven, 11 excluded.
		pinned[i].Pinned = slices.Contains([]int64{1, 3, 6, 7, 11}, pinned[i].ConfigID)
	}
	for name, test := range map[string]struct {
		preference Preference
		candidates []Candidate
		exclude    []int64
		want       []int64
	}{
		"best":                {PreferBest, candidates, nil, []int64{8, 4, 1, 12, 2, 7, 13, 6, 9, 5, 3}},
		"best, without some":  {PreferBest, candidates, []int64{8, 2, 3, 99}, []int64{4, 1, 12, 7, 13, 6, 9, 5}},
		"best, pinned":        {PreferBest, pinned, nil, []int64{1, 7, 8, 4, 12, 2, 6, 13, 9, 5, 3}},
		"next":                {PreferNext, candidates, nil, []int64{2, 4, 7, 1, 12, 8, 13, 6, 9, 5, 3}},
		"next, without 2":     {PreferNext, candidates, []int64{2}, []int64{7, 4, 1, 12, 8, 13, 6, 9, 5, 3}},
		"next, pinned":        {PreferNext, pinned, nil, []int64{7, 1, 2, 4, 12, 8, 6, 13, 9, 5, 3}},
		"everything excluded": {PreferBest, candidates[:3], []int64{1, 2, 3}, nil},
		"nothing there":       {PreferNext, nil, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(test.candidates)
			if got := ids(Rank(now, test.preference, 0, test.candidates, test.exclude...)); !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if !slices.Equal(before, test.candidates) {
				t.Error("the argument was changed")
			}
		})
	}
}

// Of two with the same past, the one whose failures are longer ago comes first.
func TestRecentFailureWeighsMore(t *testing.T) {
	with := func(failed time.Duration) History {
		h := answered(20, 0, time.Second)
		h.Bad, h.LastFailure = 1, now.Add(-failed)
		return h
	}
	candidates := []Candidate{{ConfigID: 1, History: with(10 * time.Minute)}, {ConfigID: 2, History: with(5 * time.Hour)}}
	if got := ids(Rank(now, PreferBest, 0, candidates)); got[0] != 2 {
		t.Errorf("%v", got)
	}
}

func TestWhy(t *testing.T) {
	flapped := answered(3, time.Hour, time.Second).RotatedAway(now.Add(-time.Minute), 10*time.Minute, cooldownBase)
	for want, test := range map[string]struct {
		candidate Candidate
		class     Class
	}{
		"never tried":                                     {Candidate{}, ClassUnknown},
		"pinned, never tried":                             {Candidate{Pinned: true}, ClassPinned},
		"answered 100 % of 20 checks, 42 ms":              {Candidate{History: answered(20, 0, 42*time.Millisecond)}, ClassProven},
		"pinned, answered its only check":                 {Candidate{Pinned: true, History: answered(1, 0, 0)}, ClassPinned},
		"failed once, waits until 12:04":                  {Candidate{History: failedAgo(1, time.Minute)}, ClassCooling},
		"pinned, failed 3 times, waits until 12:20":       {Candidate{Pinned: true, History: failedAgo(3, 0)}, ClassCooling},
		"failed 2 times":                                  {Candidate{History: failedAgo(2, time.Hour)}, ClassRecovering},
		"answered 25 % of 4 checks, 9 ms":                 {Candidate{History: failedAgo(3, time.Hour).Succeeded(now, 9*time.Millisecond)}, ClassRecovering},
		"died once after a short time, waits until 12:09": {Candidate{History: flapped.Succeeded(now, time.Second)}, ClassCooling},
	} {
		if got := Rank(now, PreferBest, 0, []Candidate{test.candidate})[0]; got.Why != want || got.Class != test.class {
			t.Errorf("%q (%s), want %q (%s)", got.Why, got.Class, want, test.class)
		}
	}
	// People read the time of their own place.
	zone := time.FixedZone("", 2*3600)
	if got := Rank(now.In(zone), PreferBest, 0, []Candidate{{History: failedAgo(1, 0)}})[0].Why; got != "failed once, waits until 14:05" {
		t.Error(got)
	}
}

// Whatever the candidates' pasts.
func TestRankIsCompleteAndOrdered(t *testing.T) {
	for seed := range uint64(50) {
		candidates := many(100, seed)
		exclude := []int64{3, 50, 1000}
		for _, preference := range []Preference{PreferBest, PreferNext} {
			want := Rank(now, preference, seed, candidates, exclude...)
			shuffled := slices.Clone(candidates)
			rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
			if got := Rank(now, preference, seed, shuffled, exclude...); !slices.Equal(got, want) {
				t.Fatalf("seed %d: the order depends on that of the candidates", seed)
			}
			there := map[int64]bool{}
			for _, c := range want {
				there[c.ConfigID] = true
			}
			if len(there) != len(want) {
				t.Fatalf("seed %d: a candidate is there twice", seed)
			}
			for _, c := range candidates {
				if expected := !c.Excluded && !slices.Contains(exclude, c.ConfigID); there[c.ConfigID] != expected {
					t.Fatalf("seed %d: %+v there: %v", seed, c, !expected)
				}
			}
			last := 0
			for i, c := range want {
				if c.Score < 0 || c.Score > 1 || c.Why == "" {
					t.Errorf("seed %d: %+v", seed, c)
				}
				standing := slices.Index([]Class{ClassPinned, ClassProven, ClassUnknown, ClassRecovering, ClassCooling}, c.Class)
				if preference == PreferNext {
					standing = max(standing, 2)
				}
				if standing < last {
					t.Fatalf("seed %d: %s at place %d, after better ones", seed, c.Class, i)
				}
				last = standing
			}
		}
	}
}

// Different users of one list begin with different servers, and each server gets its share.
func TestSeedShufflesTheUntried(t *testing.T) {
	candidates := make([]Candidate, 10)
	for i := range candidates {
		candidates[i].ConfigID = int64(i)
	}
	firsts := map[int64]int{}
	for seed := range uint64(10_000) {
		firsts[Rank(now, PreferBest, seed+1, candidates)[0].ConfigID]++
	}
	for id := range int64(10) {
		if firsts[id] < 800 || firsts[id] > 1200 { // 1000 ± 6.7 standard deviations
			t.Errorf("%d comes first %d times of 10,000", id, firsts[id])
		}
	}
	if got := ids(Rank(now, PreferBest, 0, candidates)); !slices.IsSorted(got) {
		t.Errorf("without a seed: %v", got)
	}
}

// Rotating by hand again and again must reach every server, even while they are being checked in
// the background.
func TestNextReachesAll(t *testing.T) {
	for _, exploring := range []bool{false, true} {
		candidates := []Candidate{{ConfigID: 1}, {ConfigID: 2}, {ConfigID: 3}, {ConfigID: 4}}
		active, clock := int64(1), now
		seen := map[int64]int{}
		for i := range uint64(40) {
			active = Rank(clock, PreferNext, 1, candidates, active)[0].ConfigID
			h := &candidates[active-1].History
			*h = h.Succeeded(clock, time.Duration(active)*time.Millisecond).Used(clock)
			seen[active]++
			clock = clock.Add(time.Hour)
			if id, ok := Explore(clock, i, candidates, active); exploring && ok {
				h := &candidates[id-1].History
				*h = h.Succeeded(clock, time.Millisecond)
			}
		}
		for _, c := range candidates {
			if seen[c.ConfigID] < 9 {
				t.Errorf("exploring %v: config %d was used %d times of 40: %v", exploring, c.ConfigID, seen[c.ConfigID], seen)
			}
		}
	}
}

// In a long list of dead servers, one that is known to work comes among the first two.
func TestNextFindsAKnownOneSoon(t *testing.T) {
	candidates := make([]Candidate, 1000)
	for i := range candidates {
		candidates[i].ConfigID = int64(i)
	}
	candidates[700].History = answered(5, time.Hour, time.Second).Used(now)
	if got := ids(Rank(now, PreferNext, 1, candidates)[:2]); got[1] != 700 {
		t.Errorf("%v", got)
	}
}

func BenchmarkRank10000(b *testing.B) {
	candidates := many(10_000, 1)
	for b.Loop() {
		Rank(now, PreferBest, 1, candidates, 17)
	}
}

func BenchmarkExplore10000(b *testing.B) {
	candidates := many(10_000, 1)
	for b.Loop() {
		Explore(now, 1, candidates, 17)
	}
}

// The limit is ten times what is promised, for slow machines.
func TestRankIsFast(t *testing.T) {
	candidates := many(10_000, 1)
	limit := 50 * time.Millisecond
	if raceDetector {
		limit *= 10
	}
	best := time.Hour
	for i := 0; i < 50 && best > limit; i++ {
		start := time.Now()
		Rank(now, PreferBest, 1, candidates, 17)
		best = min(best, time.Since(start))
	}
	if best > limit {
		t.Errorf("ranking 10,000 takes %v", best)
	}
}
