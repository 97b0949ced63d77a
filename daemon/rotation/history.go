package rotation

import (
	"math"
	"time"
)

const (
	// sampleHalfLife and timeHalfLife are after how many further checks, and after how much time, a
	// check counts half. A server is what it was lately, and of one that was not checked for days
	// little is known.
	sampleHalfLife = 20
	timeHalfLife   = 12 * time.Hour
	// maxCooldown bounds how long a config that keeps failing is left alone.
	maxCooldown = time.Hour
	// shortService is how long a server that worked must go on working, or its failure counts as a
	// flap.
	shortService = 30 * time.Minute
	// forgiveFlap is how long after its cooldown a server must go without a failure to have one
	// flap forgiven.
	forgiveFlap = time.Hour
	// maxFlaps bounds what there is to forgive: more flaps would not lengthen the cooldown, only
	// the way back.
	maxFlaps = 6
	// networkMemory is how long it counts that a config has worked in a network.
	networkMemory = 24 * time.Hour
	// limitMemory is how long it is believed that a config strangles work, when nobody looks.
	limitMemory = 24 * time.Hour
	// clockSlack is how far in the future a recorded time may lie. Beyond it the clock was set
	// back, and a cooldown that may last for years is ignored.
	clockSlack = time.Minute
)

// History is what is known of a config's past. It is a plain value for the caller to keep; the
// exported methods return the history after an event. The zero value is that of a config that was
// never tried. The fields from Good on may be zero where others are not, as in the records of older
// versions.
type History struct {
	Successes, Failures int
	// Consecutive counts the failures since the last success.
	Consecutive              int
	LastSuccess, LastFailure time.Time
	// Latency of the checks that succeeded, smoothed; 0: unknown.
	Latency time.Duration
	// CooldownUntil is when the config may be chosen again as a matter of course.
	CooldownUntil time.Time

	// Good and Bad are the successes and failures of late: each counts less with every check and
	// every hour that follows. They are as of the last check.
	Good, Bad float64
	// Deviation of the latency, smoothed.
	Deviation time.Duration
	// Flaps counts the failures soon after the config had worked, as far as they are not forgiven
	// yet.
	Flaps int
	// LastUsed is when the config last began or ceased to serve.
	LastUsed time.Time

	// Limit is what the config does to work although it answers checks, such as "stalls", and
	// LimitedAt when that was last found. Only work that is done ends it: checks never do.
	Limit     string
	LimitedAt time.Time

	// Network is where the config last answered, and has not failed since, NetworkAt when that was.
	// Empty: unknown.
	Network   string
	NetworkAt time.Time
}

// Succeeded returns the history after a check that succeeded: it ends the row of failures, and the
// cooldown with it. Only a config that flaps stays in its cooldown, since each flap began with a
// success. A latency of 0 means that none was measured.
func (h History) Succeeded(now time.Time, latency time.Duration) History {
	h.Good, h.Bad = h.counts(now)
	h.Good, h.Bad = afterOne(h.Good)+1, afterOne(h.Bad)
	h.Successes++
	h.Consecutive = 0
	h.LastSuccess = now
	h.Latency, h.Deviation = smoothed(h.Latency, h.Deviation, latency)
	if h.flaps(now) == 0 {
		h.Flaps, h.CooldownUntil = 0, time.Time{}
	}
	return h
}

// Failed returns the history after a check that failed, for a config that was not serving (see
// RotatedAway). Call it only if something else worked at the same time: otherwise the network may
// be at fault. The cooldown begins with base and doubles with every failure in a row and every
// flap, up to an hour (or base, if that is longer).
func (h History) Failed(now time.Time, base time.Duration) History {
	flaps := h.flaps(now)
	if h.Consecutive == 0 && !h.LastFailure.IsZero() && now.Sub(h.released()) < shortService {
		flaps++ // failed, worked, failed
	}
	return h.failed(now, base, flaps)
}

// RotatedAway returns the history of a config that served for a time and was then left because it
// was dead. It takes the place of Failed. A short service counts as a flap, a very short one as
// two, so that a server which comes and goes does not get every second turn.
func (h History) RotatedAway(now time.Time, served, base time.Duration) History {
	flaps := h.flaps(now)
	if served < shortService {
		flaps++
	}
	if served < shortService/10 {
		flaps++
	}
	h = h.failed(now, base, flaps)
	h.LastUsed = now
	return h
}

// Used returns the history of a config that begins or ceases to serve. PreferNext goes by it.
func (h History) Used(now time.Time) History {
	h.LastUsed = now
	return h
}

// LimitedBy returns the history of a config that answers checks and was found to strangle work.
func (h History) LimitedBy(now time.Time, limit string) History {
	h.Limit, h.LimitedAt = limit, now
	return h
}

// DidWork returns the history of a config that has done work.
func (h History) DidWork() History {
	h.Limit, h.LimitedAt = "", time.Time{}
	return h
}

// In returns the history h, which before became in the network that this machine is in.
func (h History) In(network string, before History) History {
	switch {
	case network == "":
	case h.LastSuccess.After(before.LastSuccess):
		h.Network, h.NetworkAt = network, h.LastSuccess
	case h.LastFailure.After(before.LastFailure) && h.Network == network:
		h.Network, h.NetworkAt = "", time.Time{}
	}
	return h
}

// WorkedIn reports whether the config is known to have worked in a network not long ago, wherever
// it may have failed since.
func (h *History) WorkedIn(network string, now time.Time) bool {
	return network != "" && h.Network == network && now.Sub(h.NetworkAt).Abs() < networkMemory
}

// LimitNow is the Limit as far as it is believed.
func (h History) LimitNow(now time.Time) string {
	if !h.limited(now) {
		return ""
	}
	return h.Limit
}

// limited reports whether the config is known to strangle work. What was found a day ago may have
// passed.
func (h *History) limited(now time.Time) bool {
	return h.Limit != "" && now.Sub(h.LimitedAt) < limitMemory
}

func (h History) failed(now time.Time, base time.Duration, flaps int) History {
	h.Good, h.Bad = h.counts(now)
	h.Good, h.Bad = afterOne(h.Good), afterOne(h.Bad)+1
	h.Failures++
	h.Consecutive++
	h.LastFailure = now
	h.Flaps = min(flaps, maxFlaps)
	h.CooldownUntil = now.Add(doubled(base, h.Consecutive-1+h.Flaps, maxCooldown))
	return h
}

// counts returns the successes and failures of late as of now.
func (h *History) counts(now time.Time) (good, bad float64) {
	good, bad = h.Good, h.Bad
	if good == 0 && bad == 0 {
		// An older record: the proportion is known, its age is not.
		if n := h.Successes + h.Failures; n > 0 {
			scale := min(1, sampleHalfLife/float64(n))
			good, bad = scale*float64(h.Successes), scale*float64(h.Failures)
		}
	}
	if good == 0 && bad == 0 {
		return 0, 0
	}
	fade := halved(now.Sub(h.lastSeen()), timeHalfLife)
	return good * fade, bad * fade
}

// lastSeen is when the config was last checked.
func (h *History) lastSeen() time.Time { return later(h.LastSuccess, h.LastFailure) }

// released is when the config was free to be chosen again after its last failure.
func (h *History) released() time.Time { return later(h.LastFailure, h.CooldownUntil) }

// flaps returns the flaps that are not forgiven by now.
func (h *History) flaps(now time.Time) int {
	if h.Flaps == 0 {
		return 0
	}
	return max(0, h.Flaps-int(max(0, now.Sub(h.released()))/forgiveFlap))
}

// cooling reports whether the config is in its cooldown.
func (h *History) cooling(now time.Time) bool {
	return now.Before(h.CooldownUntil) && h.LastFailure.Sub(now) < clockSlack
}

// tried reports whether anything is known of the config.
func (h *History) tried() bool { return h.Successes+h.Failures > 0 }

// slowness is the latency to reckon with: the usual one, and how much worse it often is.
func (h *History) slowness() time.Duration { return h.Latency + h.Deviation }

// smoothed returns mean and deviation with one more sample, in the manner of RFC 6298, section 2,
// but with a gain of a quarter for both: checks are rare.
func smoothed(mean, deviation, sample time.Duration) (time.Duration, time.Duration) {
	if sample <= 0 {
		return mean, deviation
	}
	if mean <= 0 {
		return sample, sample / 2
	}
	return mean + (sample-mean)/4, deviation + ((sample-mean).Abs()-deviation)/4
}

// afterOne returns what a count is worth after one more check.
func afterOne(count float64) float64 { return count * math.Exp2(-1.0/sampleHalfLife) }

// halved returns how much is left of 1 after an age.
func halved(age, halfLife time.Duration) float64 {
	return math.Exp2(-float64(max(0, age)) / float64(halfLife))
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// doubled returns base doubled n times, at most limit (or base, if that is longer).
func doubled(base time.Duration, n int, limit time.Duration) time.Duration {
	limit = max(base, limit)
	for range n {
		if base >= limit/2 {
			return limit
		}
		base *= 2
	}
	return base
}
