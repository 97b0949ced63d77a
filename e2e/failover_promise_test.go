//go:build linux

package e2e

import (
	"slices"
	"testing"
	"time"
)

// Servers and cores die, and no application notices. What is counted is exact. The limits of time
// are ten times what is promised, or ten times what the same traffic meets on this machine without
// a fault.
func TestFailover(t *testing.T) {
	atOnce := make(chan struct{}, 3) // trials, each of about ten processes
	for name, promised := range map[string]struct {
		gap float64 // seconds
		// reset: streams that go silent are ended.
		reset float64
	}{
		"killed":    {gap: 0.1, reset: 4},
		"refused":   {gap: 0.1, reset: 4},
		"frozen":    {gap: 0.5, reset: 4},
		"blackhole": {gap: 0.5, reset: 4},
		"deadexit":  {gap: 0.5, reset: 4},
		"slow":      {gap: 0.5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			atOnce <- struct{}{}
			t.Cleanup(func() { <-atOnce })
			i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
			trial, f := try(t, scenarios[i], newProduct, testDemand)
			t.Log(f)
			for _, kind := range f.errors {
				t.Log(kind)
			}
			if f.sent == 0 || f.posts == 0 {
				t.Error("nothing was sent")
			}
			if f.failed > 0 || f.wrong > 0 || f.doubled > 0 || f.hanging > 0 {
				t.Errorf("%d requests failed, %d rotations too many, %d POSTs sent twice, %d streams hang", f.failed, f.wrong, f.doubled, f.hanging)
			}
			if most := slowReplays(f.slowest); f.slow > most {
				t.Errorf("20 requests to a slow site were replayed %d times, at most %d should be", f.slow, most)
			}
			const margin = 10
			if f.gap > margin*max(promised.gap, f.calm) {
				t.Errorf("for %s nothing was answered, before the fault at most for %s", duration(f.gap), duration(f.calm))
			}
			if promised.reset > 0 && (f.noticed > margin*4 || f.reset > margin*promised.reset) {
				t.Errorf("another server or core after %s, silent streams ended after %s", duration(f.noticed), duration(f.reset))
			}
			if t.Failed() {
				t.Logf("the slowest request took %s; the front counted %+v", duration(f.slowest), trial.box.status().Traffic)
			}
		})
	}
}

// slowReplays is how many requests to a slow site the front may send again, where others take up to
// slowest seconds: until the first of them has been silent for too long, which is up to 5 times
// what others take (a mean and four deviations, from rescue.floor to rescue.ceiling), and those
// that the machine has held up until then.
func slowReplays(slowest float64) int {
	others := time.Duration(slowest * float64(time.Second))
	limit := min(max(60*time.Millisecond, 5*others), 3*time.Second)
	return 1 + int((limit+others)/slowInterval)
}
