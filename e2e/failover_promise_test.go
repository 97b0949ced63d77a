//go:build linux

package e2e

import (
	"slices"
	"testing"
)

// Servers and cores die, and no application notices. The limits of time are ten
// times what is promised: the machine may be busy. What is counted is exact.
func TestFailover(t *testing.T) {
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
			i := slices.IndexFunc(scenarios, func(s scenario) bool { return s.name == name })
			s := scenarios[i]
			f := try(t, s, newProduct, 20, 6)
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
			if f.slow > 1 {
				t.Errorf("20 requests to a slow site were replayed %d times", f.slow)
			}
			const margin = 10
			if f.gap > margin*promised.gap {
				t.Errorf("for %s nothing was answered", duration(f.gap))
			}
			if promised.reset > 0 && (f.noticed > margin*4 || f.reset > margin*promised.reset) {
				t.Errorf("another server or core after %s, silent streams ended after %s", duration(f.noticed), duration(f.reset))
			}
		})
	}
}
