package daemon

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
)

// lessons are what the attempts have shown, but for the config spared. Failures
// count only beside a proven success: alone they may as well be the network's.
func (s *Supervisor) lessons(o outcome, spared int64) []learned {
	if o.session == nil || !o.session.verified {
		return nil
	}
	now, latency, cooldown := time.Now(), o.session.latency, s.Settings.Rotation.Cooldown.Std()
	var all []learned
	for _, failed := range o.tried {
		if failed.blamed() && failed.config.ID != spared {
			all = append(all, learned{failed.config.ID, func(h rotation.History) rotation.History { return h.Failed(now, cooldown) }})
		}
	}
	return append(all, learned{o.session.config.ID, func(h rotation.History) rotation.History { return h.Succeeded(now, latency) }})
}

// learnAll changes what is known of configs, in a worker.
func (s *Supervisor) learnAll(all []learned) {
	s.work(func(ctx context.Context) func() {
		s.recordLearned(ctx, all...)
		return nil
	})
}

// learn changes what is known of a config, in a worker.
func (s *Supervisor) learn(configID int64, change func(rotation.History) rotation.History) {
	s.work(func(ctx context.Context) func() {
		s.recordOutcome(ctx, configID, change)
		return nil
	})
}

// recordOutcome changes what is known of a config. Workers do it, one at a time.
func (s *Supervisor) recordOutcome(ctx context.Context, configID int64, change func(rotation.History) rotation.History) {
	s.recordLearned(ctx, learned{configID, change})
}

// recordLearned is recordOutcome for many configs at a time.
func (s *Supervisor) recordLearned(ctx context.Context, all ...learned) {
	if len(all) == 0 {
		return
	}
	s.outcomes <- struct{}{}
	defer func() { <-s.outcomes }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTime)
	defer cancel()
	outcomes, err := s.Store.Outcomes(ctx)
	for i := 0; err == nil && i < len(all); i++ {
		id := all[i].configID
		err = s.Store.PutOutcome(ctx, outcomeOf(id, all[i].change(historyOf(outcomes[id]))))
	}
	if err != nil {
		s.Log.Error().Err(err).Int64("config", all[0].configID).Int("configs", len(all)).Msg("recording how configs did")
	}
}

func historyOf(o store.Outcome) rotation.History {
	return rotation.History{
		Successes: o.Successes, Failures: o.Failures, Consecutive: o.ConsecutiveFailures,
		LastSuccess: o.LastSuccess, LastFailure: o.LastFailure, LastUsed: o.LastUsed, CooldownUntil: o.CooldownUntil,
		Latency: millis(o.LatencyMS), Deviation: millis(o.DeviationMS),
		Good: o.Good, Bad: o.Bad, Flaps: o.Flaps,
	}
}

func outcomeOf(configID int64, h rotation.History) store.Outcome {
	return store.Outcome{
		ConfigID: configID, Successes: h.Successes, Failures: h.Failures, ConsecutiveFailures: h.Consecutive,
		LastSuccess: h.LastSuccess, LastFailure: h.LastFailure, LastUsed: h.LastUsed, CooldownUntil: h.CooldownUntil,
		LatencyMS: roundUp(h.Latency), DeviationMS: roundUp(h.Deviation),
		Good: h.Good, Bad: h.Bad, Flaps: h.Flaps,
	}
}

func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// roundUp returns whole milliseconds, and 0 only for none.
func roundUp(d time.Duration) int64 { return (d + time.Millisecond - 1).Milliseconds() }
