package catalog

import (
	"context"
	"math/rand/v2"
	"net/url"
	"slices"
	"time"

	"github.com/xrat-tray/xrat/daemon/store"
)

const (
	// updateQuiet is how long after its start the daemon updates nothing: there is more urgent
	// work, and the proxy may be about to be there.
	updateQuiet = 30 * time.Second
	// updateRecheck is how soon to look again if nothing can be fetched now.
	updateRecheck = time.Minute
	// updateRetry is the pause after a failed update; it doubles with each in a row.
	updateRetry = 5 * time.Minute
	// purgeInterval is how often to look for what was retired long ago.
	purgeInterval = 24 * time.Hour
)

// updateInterval returns how often to update a subscription: as the user says for it, else as its
// provider says, else as the settings say; 0: only by hand.
func (cat *Catalog) updateInterval(sub store.Subscription) time.Duration {
	general := cat.Settings.Subscription.Interval.Std()
	switch {
	case sub.IntervalSecs > 0:
		return time.Duration(sub.IntervalSecs) * time.Second
	case general > 0 && sub.ProviderSecs > 0:
		return time.Duration(sub.ProviderSecs) * time.Second
	default:
		return general
	}
}

// nextUpdate returns when a subscription is due; zero: never. Up to a tenth of the interval is
// added, so that the users of one provider do not all come at the same time.
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
	// The same number each time.
	jitter := rand.New(rand.NewPCG(uint64(sub.ID), uint64(last.UnixNano()))).Float64()
	return last.Add(wait + time.Duration(float64(wait)/10*jitter))
}

// schedule is when subscriptions are looked at. The goroutine of Run owns it.
type schedule struct {
	lookAt   time.Time // when one may be due; zero: never
	soonest  time.Time // no look before
	purgedAt time.Time // when what was retired long ago was last looked for
}

// Run updates subscriptions when they are due, until ctx ends. It waits for what it has begun.
func (cat *Catalog) Run(ctx context.Context) {
	if !cat.rules.Empty() {
		cat.changed(ctx) // what an earlier daemon left running may be kept away by now
	}
	plan := schedule{soonest: cat.startedAt.Add(updateQuiet)}
	cat.plan(ctx, &plan, false)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		// Not for longer than a while: the timer stands still while the machine sleeps.
		if timer.Stop(); !plan.lookAt.IsZero() {
			timer.Reset(min(max(time.Until(plan.lookAt), 0), updateRecheck))
		}
		select {
		case <-cat.urgent:
			cat.lookNow(ctx)
			cat.plan(ctx, &plan, true)
		case <-cat.replan:
			cat.plan(ctx, &plan, false)
		case now := <-timer.C:
			if !now.Round(0).Before(plan.lookAt.Round(0)) {
				cat.look(ctx, &plan)
			}
		case <-ctx.Done():
			return
		}
	}
}

// plan sets the time of the next look at the subscriptions. What is due still after a look could
// not be asked for, or not be recorded: it has to wait for a while.
func (cat *Catalog) plan(ctx context.Context, plan *schedule, looked bool) {
	plan.lookAt = time.Time{}
	now := time.Now()
	subscriptions, err := cat.Store.Subscriptions(ctx)
	if err != nil {
		cat.Log.Error().Err(err).Msg("reading the subscriptions")
		plan.lookAt = now.Add(updateRecheck)
		return
	}
	if len(subscriptions) == 0 {
		return
	}
	plan.lookAt = plan.purgedAt.Add(purgeInterval)
	for _, sub := range subscriptions {
		if next := nextUpdate(sub, cat.updateInterval(sub), now); !next.IsZero() && next.Before(plan.lookAt) {
			plan.lookAt = next
		}
	}
	if looked && !plan.lookAt.After(now) {
		plan.soonest = now.Add(updateRecheck)
	}
	if plan.lookAt.Before(plan.soonest) {
		plan.lookAt = plan.soonest
	}
}

// look updates the subscriptions that are due.
func (cat *Catalog) look(ctx context.Context, plan *schedule) {
	now := time.Now()
	if cat.Supervisor.Stopping() != nil {
		plan.lookAt = time.Time{}
		return
	}
	if proxy, soon := cat.Supervisor.Proxy(); proxy == nil && soon {
		plan.lookAt = now.Add(updateQuiet) // the proxy comes first
		return
	}
	subscriptions, err := cat.Store.Subscriptions(ctx)
	if err != nil {
		cat.plan(ctx, plan, true) // it logs the error, and looks again later
		return
	}
	subscriptions = slices.DeleteFunc(subscriptions, func(sub store.Subscription) bool {
		next := nextUpdate(sub, cat.updateInterval(sub), now)
		return next.IsZero() || next.After(now)
	})
	cat.updateThese(ctx, subscriptions)
	if now.Sub(plan.purgedAt) >= purgeInterval && ctx.Err() == nil {
		plan.purgedAt = now
		if err := cat.purgeRetired(ctx); err != nil {
			cat.Log.Error().Err(err).Msg("looking for what was retired long ago")
		}
		cat.changed(ctx)
	}
	cat.plan(ctx, plan, true)
}

// urgentPause is how long after an attempt at a subscription none is made because nothing works.
const urgentPause = 5 * time.Minute

// NothingWorks has the subscriptions updated that are updated by themselves: the provider may have
// servers by now that work. Any goroutine may call it; it returns at once.
func (cat *Catalog) NothingWorks() {
	select {
	case cat.urgent <- struct{}{}:
	default:
	}
}

// lookNow updates the subscriptions, due or not, but those that were asked a moment ago.
func (cat *Catalog) lookNow(ctx context.Context) {
	subscriptions, err := cat.Store.Subscriptions(ctx)
	if err != nil || cat.Supervisor.Stopping() != nil {
		return
	}
	now := time.Now()
	cat.updateThese(ctx, slices.DeleteFunc(subscriptions, func(sub store.Subscription) bool {
		return cat.updateInterval(sub) <= 0 || now.Sub(sub.AttemptedAt).Abs() < urgentPause
	}))
}

// updateThese updates subscriptions that are due, except for those that have to wait for a network
// or a connection.
func (cat *Catalog) updateThese(ctx context.Context, due []store.Subscription) {
	var ids []int64
	for _, sub := range due {
		switch u, err := url.Parse(sub.URL); {
		case err == nil && !cat.Online(u.Hostname()):
		case len(cat.ways(sub.URL, sub.Private)) == 0:
			if err := cat.noteFailure(ctx, sub, errNoWay, nil); err != nil {
				cat.Log.Error().Err(err).Msg("updating subscriptions")
			}
		default:
			ids = append(ids, sub.ID)
		}
	}
	if _, err := cat.refreshAll(ctx, ids, refreshing{conditional: true}); err != nil && ctx.Err() == nil {
		cat.Log.Error().Err(err).Msg("updating subscriptions")
	}
}
