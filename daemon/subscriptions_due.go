package daemon

import (
	"context"
	"math/rand/v2"
	"net/url"
	"time"

	"github.com/xrat-tray/xrat/daemon/store"
)

const (
	// updateQuiet is how long after its start the daemon updates nothing: there is
	// more urgent work, and the proxy may be about to be there.
	updateQuiet = 30 * time.Second
	// updateRecheck is how soon to look again if nothing can be fetched now.
	updateRecheck = time.Minute
	// updateRetry is the pause after a failed update; it doubles with each in a row.
	updateRetry = 5 * time.Minute
	// purgeInterval is how often to look for what was retired long ago.
	purgeInterval = 24 * time.Hour
)

// subscriptionState is what the loop knows of the subscriptions.
type subscriptionState struct {
	known    []store.Subscription
	lookAt   time.Time // when one may be due; zero: there is none
	purgedAt time.Time
	busy     bool // some are being updated
}

// updateInterval is how often a subscription is updated: as the user says for it, as
// its provider says, or as the settings say; 0: only by hand.
func (s *Supervisor) updateInterval(sub store.Subscription) time.Duration {
	general := s.Settings.Subscription.Interval.Std()
	switch {
	case sub.IntervalSecs > 0:
		return time.Duration(sub.IntervalSecs) * time.Second
	case general > 0 && sub.ProviderSecs > 0:
		return time.Duration(sub.ProviderSecs) * time.Second
	default:
		return general
	}
}

// nextUpdate tells when a subscription is due; zero: never. Up to a tenth is added, so
// that not everybody who has the same provider comes at the same time.
func nextUpdate(sub store.Subscription, interval time.Duration, now time.Time) time.Time {
	if interval <= 0 {
		return time.Time{}
	}
	last := sub.CreatedAt
	if sub.AttemptedAt.After(last) {
		last = sub.AttemptedAt
	}
	if last.After(now) {
		return now // the clock was wrong then, or is now
	}
	wait := interval
	if sub.Failures > 0 {
		wait = min(updateRetry<<min(sub.Failures-1, 16), interval)
	}
	// The same number each time that somebody asks.
	jitter := rand.New(rand.NewPCG(uint64(sub.ID), uint64(last.UnixNano()))).Float64()
	return last.Add(wait + time.Duration(float64(wait)/10*jitter))
}

// planUpdates sets the time of the next look at the subscriptions.
func (s *Supervisor) planUpdates(now time.Time) {
	st := &s.st.subscriptions
	st.lookAt = time.Time{}
	if len(st.known) == 0 || st.busy { // the end of the work in progress plans
		return
	}
	st.lookAt = st.purgedAt.Add(purgeInterval)
	for _, sub := range st.known {
		if next := nextUpdate(sub, s.updateInterval(sub), now); !next.IsZero() && next.Before(st.lookAt) {
			st.lookAt = next
		}
	}
	if quiet := s.startedAt.Add(updateQuiet); st.lookAt.Before(quiet) {
		st.lookAt = quiet
	}
}

// lookAtSubscriptions updates, in a worker, those that are due.
func (s *Supervisor) lookAtSubscriptions(now time.Time) {
	st := &s.st.subscriptions
	if st.busy || s.st.stopping {
		return
	}
	if s.st.desired.Connected && s.st.active == nil && s.st.attempts == 0 {
		st.lookAt = now.Add(updateQuiet) // it is connecting: the proxy comes first
		return
	}
	var due []store.Subscription
	for _, sub := range st.known {
		if next := nextUpdate(sub, s.updateInterval(sub), now); !next.IsZero() && !next.After(now) {
			due = append(due, sub)
		}
	}
	purge := now.Sub(st.purgedAt) >= purgeInterval
	if purge {
		st.purgedAt = now
	}
	if len(due) == 0 && !purge {
		s.planUpdates(now)
		return
	}
	st.busy = true
	s.work(func(ctx context.Context) func() {
		waiting := s.updateThese(ctx, due)
		if purge && ctx.Err() == nil {
			if err := s.purgeRetired(ctx); err != nil {
				s.Log.Error().Err(err).Msg("looking for what was retired long ago")
			}
			s.configsChanged(ctx)
		}
		return func() {
			st.busy = false
			now := time.Now()
			s.planUpdates(now)
			// Not so soon if nobody could be asked: those are due still.
			if at := now.Add(updateRecheck); waiting && st.lookAt.Before(at) {
				st.lookAt = at
			}
		}
	})
}

// updateThese updates subscriptions that are due, and tells whether some have to wait
// for a network or a connection.
func (s *Supervisor) updateThese(ctx context.Context, due []store.Subscription) (waiting bool) {
	var ids []int64
	for _, sub := range due {
		switch u, err := url.Parse(sub.URL); {
		case err == nil && !s.Online(u.Hostname()):
			waiting = true
		case len(s.ways(sub.URL)) == 0:
			waiting = true
			if err := s.noteFailure(ctx, sub, errNoWay); err != nil {
				s.Log.Error().Err(err).Msg("updating subscriptions")
			}
		default:
			ids = append(ids, sub.ID)
		}
	}
	if _, err := s.refreshAll(ctx, ids, true); err != nil && ctx.Err() == nil {
		s.Log.Error().Err(err).Msg("updating subscriptions")
		return true
	}
	return waiting
}
