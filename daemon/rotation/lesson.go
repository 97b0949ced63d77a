package rotation

import "time"

// Lesson is something learned about a config: how its history is to change.
type Lesson struct {
	ConfigID int64
	// Change must not keep what it is given, and may be called again if its result was not stored.
	Change func(History) History
}

// Worked is the lesson of a config that has answered after latency.
func Worked(configID int64, now time.Time, latency time.Duration) Lesson {
	return Lesson{configID, func(h History) History { return h.Succeeded(now, latency) }}
}

// Limited is the lesson of a config that answers checks and strangles work.
func Limited(configID int64, now time.Time, limit string) Lesson {
	return Lesson{configID, func(h History) History { return h.LimitedBy(now, limit) }}
}

// DidWork is the lesson of a config that has done work.
func DidWork(configID int64) Lesson { return Lesson{configID, History.DidWork} }

// Failing is the lesson of a config that has not answered while another did. The cooldown is that
// of a first failure.
func Failing(configID int64, now time.Time, cooldown time.Duration) Lesson {
	return Lesson{configID, func(h History) History { return h.Failed(now, cooldown) }}
}
