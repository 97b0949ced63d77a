package daemon

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/rotation"
)

// lessons are what the attempts have shown, but for the config spared. Failures
// count only beside a proven success: alone they may as well be the network's.
func (s *Supervisor) lessons(o outcome, spared int64) []rotation.Lesson {
	if o.session == nil || !o.session.verified {
		return nil
	}
	now, latency, cooldown := time.Now(), o.session.latency, s.Settings.Rotation.Cooldown.Std()
	var all []rotation.Lesson
	for _, failed := range o.tried {
		if failed.blamed() && failed.config.ID != spared {
			all = append(all, rotation.Failing(failed.config.ID, now, cooldown))
		}
	}
	return append(all, rotation.Worked(o.session.config.ID, now, latency))
}

// learnAll changes what is known of configs, in a worker.
func (s *Supervisor) learnAll(all []rotation.Lesson) {
	s.work(func(ctx context.Context) func() {
		s.catalog.Learn(ctx, all...)
		return nil
	})
}

// learn changes what is known of a config, in a worker.
func (s *Supervisor) learn(configID int64, change func(rotation.History) rotation.History) {
	s.work(func(ctx context.Context) func() {
		s.catalog.Learn(ctx, rotation.Lesson{ConfigID: configID, Change: change})
		return nil
	})
}
