package daemon

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

const (
	// pulseSpacing is how often the loop is asked whether it goes on, and pulseTime how long it may
	// take to answer: it never waits for anything, so that only a mistake of ours takes longer.
	pulseSpacing = 5 * time.Second
	pulseTime    = 10 * time.Second
)

// watchdog calls hung if the loop does not answer in time, until ctx or the loop ends.
type watchdog struct {
	// pulse returns once the loop has been through an event.
	pulse func(ctx context.Context) error
	hung  func()
	log   zerolog.Logger
}

func (w watchdog) run(ctx context.Context) {
	ticker := time.NewTicker(pulseSpacing)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if w.alive(ctx) {
			continue
		}
		// The whole process may have been stopped meanwhile: then the answer comes now.
		if w.alive(ctx) || ctx.Err() != nil {
			continue
		}
		w.log.Error().Dur("limit", pulseTime).Msg("the loop does not answer; the daemon ends, to be started again")
		w.hung()
		return
	}
}

func (w watchdog) alive(ctx context.Context) bool {
	limited, cancel := context.WithTimeout(ctx, pulseTime/2)
	defer cancel()
	return w.pulse(limited) == nil || ctx.Err() != nil
}
