package rotation

import (
	"testing"
	"time"
)

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
