package rotation

import (
	"testing"
	"time"
	"unsafe"
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
	for _, jump := range []time.Duration{8 * time.Hour, -8 * time.Hour} {
		if !Slept(start, jumped(later, jump), time.Minute) {
			t.Errorf("a jump of the wall clock by %v is not noticed", jump)
		}
	}
	if Slept(start, jumped(later, 59*time.Second), time.Minute) {
		t.Error("a jump within the tolerance is taken for sleep")
	}
	// Without a monotonic reading only the wall clocks are compared, and then there is nothing to
	// tell them apart.
	if Slept(start.Round(0), later.Round(0).Add(8*time.Hour), time.Second) {
		t.Error("a jump without a monotonic clock")
	}
}

// jumped returns t with the wall clock further on by d, and the monotonic one where it is. There is
// no other way to get one: its second word is the monotonic reading.
func jumped(t time.Time, d time.Duration) time.Time {
	t = t.Add(d)
	monotonic := unsafe.Add(unsafe.Pointer(&t), unsafe.Sizeof(uint64(0)))
	*(*int64)(monotonic) -= int64(d)
	return t
}
