package catalog

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
)

// Learn changes what is known of configs. It waits for the disk, for a bounded time and also if ctx
// has ended; that something cannot be written is logged.
func (cat *Catalog) Learn(ctx context.Context, lessons ...rotation.Lesson) {
	if len(lessons) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTime)
	defer cancel()
	ids := make([]int64, len(lessons))
	changes := make(map[int64][]func(rotation.History) rotation.History, len(lessons))
	for i, lesson := range lessons {
		ids[i] = lesson.ConfigID
		changes[lesson.ConfigID] = append(changes[lesson.ConfigID], lesson.Change)
	}
	network := cat.Network()
	err := cat.Store.UpdateOutcomes(ctx, ids, func(o *store.Outcome) {
		before := historyOf(*o)
		h := before
		for _, change := range changes[o.ConfigID] {
			h = change(h)
		}
		*o = outcomeOf(o.ConfigID, h.In(network, before))
	})
	if err != nil {
		cat.Log.Error().Err(err).Int64("config", lessons[0].ConfigID).Int("configs", len(lessons)).Msg("recording how configs did")
	}
}

func historyOf(o store.Outcome) rotation.History {
	return rotation.History{
		Successes: o.Successes, Failures: o.Failures, Consecutive: o.ConsecutiveFailures,
		LastSuccess: o.LastSuccess, LastFailure: o.LastFailure, LastUsed: o.LastUsed, CooldownUntil: o.CooldownUntil,
		Latency: time.Duration(o.LatencyMS) * time.Millisecond, Deviation: time.Duration(o.DeviationMS) * time.Millisecond,
		Good: o.Good, Bad: o.Bad, Flaps: o.Flaps, Limit: o.Limit, LimitedAt: o.LimitedAt, Network: o.Network, NetworkAt: o.NetworkAt,
	}
}

func outcomeOf(configID int64, h rotation.History) store.Outcome {
	return store.Outcome{
		ConfigID: configID, Successes: h.Successes, Failures: h.Failures, ConsecutiveFailures: h.Consecutive,
		LastSuccess: h.LastSuccess, LastFailure: h.LastFailure, LastUsed: h.LastUsed, CooldownUntil: h.CooldownUntil,
		LatencyMS: ipc.Millis(h.Latency), DeviationMS: ipc.Millis(h.Deviation),
		Good: h.Good, Bad: h.Bad, Flaps: h.Flaps, Limit: h.Limit, LimitedAt: h.LimitedAt, Network: h.Network, NetworkAt: h.NetworkAt,
	}
}
