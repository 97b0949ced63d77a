package rotation

import "time"

// Verdict is what the checks of a session say of it.
type Verdict int

const (
	// Alive: the last check succeeded.
	Alive Verdict = iota
	// Doubtful: checks failed, and not yet too many.
	Doubtful
	// Dead: more checks in a row failed than the threshold allows.
	Dead
)

// Health counts the checks of one session that failed in a row.
type Health struct {
	Failures int
}

// Record returns the health after a check. The session is dead when more than
// threshold checks in a row have failed.
func (h Health) Record(ok bool, threshold int) (Health, Verdict) {
	if ok {
		return Health{}, Alive
	}
	h.Failures++
	return h, h.Verdict(threshold)
}

// Verdict says what the failures so far amount to.
func (h Health) Verdict(threshold int) Verdict {
	switch {
	case h.Failures == 0:
		return Alive
	case h.Failures <= threshold:
		return Doubtful
	default:
		return Dead
	}
}

// Spacing returns how long to wait before the next check: the interval while
// all is well and after the verdict is clear, and a short, growing time while
// in doubt, since a failure may be chance or the beginning of the end.
func (h Health) Spacing(interval time.Duration, threshold int) time.Duration {
	if h.Verdict(threshold) != Doubtful {
		return interval
	}
	return min(doubled(200*time.Millisecond, h.Failures-1, 2*time.Second), interval)
}

// Backoff returns how long to wait after the attempt-th attempt in a row (from
// 1) at which nothing worked: it doubles from one second to a minute, and jitter
// (from 0 to 1) shortens it by up to a quarter, so that many clients of one dead
// server do not return in step.
func Backoff(attempt int, jitter float64) time.Duration {
	d := doubled(time.Second, max(attempt, 1)-1, time.Minute)
	return d - time.Duration(jitter*float64(d)/4)
}

// Slept tells whether the machine slept, or somebody set its clock, between two
// readings of the clock: the wall clock went on more than tolerance further than
// the monotonic one, which stands still during sleep. What was counted before
// says nothing of now.
func Slept(before, now time.Time, tolerance time.Duration) bool {
	wall := now.Round(0).Sub(before.Round(0))
	running := now.Sub(before)
	return wall-running > tolerance || running-wall > tolerance
}
