package rotation

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ids(candidates []Candidate) []int64 {
	var ids []int64
	for _, c := range candidates {
		ids = append(ids, c.ConfigID)
	}
	return ids
}

func TestOrder(t *testing.T) {
	good := func(ago, latency time.Duration) History {
		return History{}.Succeeded(now.Add(-ago), latency)
	}
	failed := func(ago time.Duration) History {
		return History{}.Failed(now.Add(-ago), 5*time.Minute)
	}
	candidates := []Candidate{
		{ConfigID: 1, History: good(time.Minute, 300*time.Millisecond)},
		{ConfigID: 2, History: History{}},
		{ConfigID: 3, History: failed(time.Minute)},
		{ConfigID: 4, History: good(time.Hour, 40*time.Millisecond)},
		{ConfigID: 5, History: failed(2 * time.Minute)},
		{ConfigID: 6, History: failed(time.Hour)},
		{ConfigID: 7, History: History{}},
	}
	for name, test := range map[string]struct {
		preference Preference
		exclude    []int64
		want       []int64
	}{
		"best":                {PreferBest, nil, []int64{4, 1, 2, 7, 6, 5, 3}},
		"best, without some":  {PreferBest, []int64{4, 2}, []int64{1, 7, 6, 5, 3}},
		"next":                {PreferNext, nil, []int64{2, 4, 7, 1, 6, 5, 3}},
		"next, without 2":     {PreferNext, []int64{2}, []int64{7, 4, 1, 6, 5, 3}},
		"everything excluded": {PreferBest, []int64{1, 2, 3, 4, 5, 6, 7}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			before := slices.Clone(candidates)
			got := ids(Order(now, test.preference, candidates, test.exclude...))
			if !slices.Equal(got, test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if !slices.Equal(before, candidates) {
				t.Error("the argument was changed")
			}
		})
	}
}

// Rotating by hand again and again must reach every server.
func TestNextReachesAll(t *testing.T) {
	history := map[int64]History{1: {}, 2: {}, 3: {}, 4: {}}
	active, clock := int64(1), now
	seen := map[int64]int{}
	for range 40 {
		var candidates []Candidate
		for id, h := range history {
			candidates = append(candidates, Candidate{ConfigID: id, History: h})
		}
		active = Order(clock, PreferNext, candidates, active)[0].ConfigID
		history[active] = history[active].Succeeded(clock, time.Duration(active)*time.Millisecond)
		seen[active]++
		clock = clock.Add(time.Second)
	}
	for id := range history {
		if seen[id] < 9 {
			t.Errorf("config %d was used %d times of 40: %v", id, seen[id], seen)
		}
	}
}

// The order does not depend on the order of the input.
func TestOrderIsStable(t *testing.T) {
	var candidates []Candidate
	for id := range int64(50) {
		candidates = append(candidates, Candidate{ConfigID: id, History: History{Successes: int(id % 2)}})
	}
	want := ids(Order(now, PreferBest, candidates))
	for range 20 {
		rand.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
		if got := ids(Order(now, PreferBest, candidates)); !slices.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
}

func TestCooldownGrows(t *testing.T) {
	var h History
	for i, want := range []time.Duration{5, 10, 20, 40, 60, 60, 60} {
		h = h.Failed(now, 5*time.Minute)
		if got := h.CooldownUntil.Sub(now); got != want*time.Minute {
			t.Errorf("after failure %d: %v, want %v", i+1, got, want*time.Minute)
		}
	}
	if h = h.Succeeded(now, time.Second); h.Consecutive != 0 || !h.CooldownUntil.IsZero() || h.Failures != 7 {
		t.Errorf("after a success: %+v", h)
	}
	if got := (History{}).Failed(now, 2*time.Hour).CooldownUntil.Sub(now); got != 2*time.Hour {
		t.Errorf("a longer base is cut to %v", got)
	}
	if got := (History{}).Failed(now, 0).CooldownUntil.Sub(now); got != 0 {
		t.Errorf("no cooldown became %v", got)
	}
}

func TestHealth(t *testing.T) {
	const threshold = 2
	var h Health
	steps := []struct {
		ok      bool
		want    Verdict
		spacing time.Duration
	}{
		{true, Alive, 15 * time.Second},
		{false, Doubtful, 200 * time.Millisecond},
		{false, Doubtful, 400 * time.Millisecond},
		{true, Alive, 15 * time.Second},
		{false, Doubtful, 200 * time.Millisecond},
		{false, Doubtful, 400 * time.Millisecond},
		{false, Dead, 15 * time.Second},
		{false, Dead, 15 * time.Second},
		{true, Alive, 15 * time.Second},
	}
	for i, step := range steps {
		var got Verdict
		h, got = h.Record(step.ok, threshold)
		if got != step.want || h.Spacing(15*time.Second, threshold) != step.spacing {
			t.Errorf("step %d: verdict %v, spacing %v; want %v, %v", i, got, h.Spacing(15*time.Second, threshold), step.want, step.spacing)
		}
	}
	if _, v := (Health{}).Record(false, 0); v != Dead {
		t.Error("threshold 0: the first failure is not the end")
	}
	if got := (Health{Failures: 1}).Spacing(50*time.Millisecond, threshold); got != 50*time.Millisecond {
		t.Errorf("in doubt, checks come later than without: %v", got)
	}
}

func TestBackoff(t *testing.T) {
	for attempt, want := range map[int]time.Duration{0: 1, 1: 1, 2: 2, 3: 4, 6: 32, 7: 60, 1000: 60} {
		if got := Backoff(attempt, 0); got != want*time.Second {
			t.Errorf("attempt %d: %v, want %v", attempt, got, want*time.Second)
		}
	}
	if got := Backoff(3, 1); got != 3*time.Second {
		t.Errorf("with full jitter: %v", got)
	}
}

func TestSlept(t *testing.T) {
	start := time.Now()
	later := start.Add(15 * time.Second) // both clocks go on
	if Slept(start, later, time.Second) {
		t.Error("an ordinary wait is taken for sleep")
	}
	// Without a monotonic reading only the wall clocks are compared, and then
	// there is nothing to tell them apart.
	if Slept(start.Round(0), later.Round(0).Add(8*time.Hour), time.Second) {
		t.Error("a jump without a monotonic clock")
	}
}
