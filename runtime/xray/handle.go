package xray

import (
	"context"
	"time"
)

// pollInterval is the time between two looks for a process, where the system does not report its
// exit.
const pollInterval = 100 * time.Millisecond

// pollExit returns nil once the process with this pid and start time is gone.
func pollExit(ctx context.Context, pid int, start uint64) error {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		if id, err := identify(pid); err != nil || id.StartTime != start {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}
