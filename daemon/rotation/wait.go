package rotation

import "time"

// Backoff returns how long to wait after the attempt-th attempt in a row (from 1) at which nothing
// worked. It doubles from one second to a minute, and jitter (from 0 to 1) shortens it by up to a
// quarter, so that the many clients of a dead server do not return in step.
func Backoff(attempt int, jitter float64) time.Duration {
	d := doubled(time.Second, max(attempt, 1)-1, time.Minute)
	return d - time.Duration(jitter*float64(d)/4)
}

// Slept reports whether the machine slept, or its clock was set, between two readings of the clock:
// the wall clock and the monotonic one, which stands still during sleep, differ by more than
// tolerance. What was counted before says nothing about now.
func Slept(before, now time.Time, tolerance time.Duration) bool {
	wall, running := now.Round(0).Sub(before.Round(0)), now.Sub(before)
	return (wall - running).Abs() > tolerance
}
