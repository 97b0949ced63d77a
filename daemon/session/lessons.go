package session

import (
	"time"

	"github.com/xrat-tray/xrat/daemon/rotation"
)

// Lessons are what the attempts of a result have shown, but for the config spared. Failures count
// only beside a proven success: alone they may as well be the network's. cooldown is that of a
// first failure, and latency how long the session's last probe took.
func (r Result) Lessons(spared int64, cooldown, latency time.Duration) []rotation.Lesson {
	now := time.Now()
	var all []rotation.Lesson
	for _, failed := range r.Tried {
		switch {
		case failed.Blamed() && failed.Config.ID != spared:
			all = append(all, rotation.Failing(failed.Config.ID, now, cooldown))
		case failed.Limited && r.Proof.Worked:
			all = append(all, rotation.Limited(failed.Config.ID, now, failed.Code))
		}
	}
	if r.Proof.Worked {
		all = append(all, rotation.DidWork(r.Session.Config.ID))
	}
	return append(all, rotation.Worked(r.Session.Config.ID, now, latency))
}
