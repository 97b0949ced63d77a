package rotation

import (
	"testing"
	"time"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

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
