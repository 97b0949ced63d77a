package ipc

import "time"

// Millis returns a duration in whole milliseconds, rounded up: 0 only for none.
func Millis(d time.Duration) int64 { return (d + time.Millisecond - 1).Milliseconds() }
