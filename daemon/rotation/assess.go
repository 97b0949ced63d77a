package rotation

import (
	"strconv"
	"time"
)

// assessment is a candidate and what to think of it now.
type assessment struct {
	*Candidate
	class    Class
	standing int // the class as a number, the best first
	score    float64
	// evidence is how many checks of late there are, and reliability how likely
	// the next one is to succeed, from 0 to 1.
	evidence, reliability float64
}

const (
	standingPinned = iota
	standingProven
	standingUnknown
	standingRecovering
	standingCooling
)

// failing tells whether the candidate is known to be failing.
func (a *assessment) failing() bool { return a.standing >= standingRecovering }

const (
	// A server of which nothing is known counts as one that answered once and
	// failed once: what is seen must outweigh that.
	priorGood, priorBad = 1, 1
	// A server with this latency is half as good as one with none.
	halfLatency = time.Second
	// A failure just now makes a server half as good, and that much less again
	// after every failureHalfLife.
	failureHalfLife = 30 * time.Minute
)

func assess(now time.Time, c *Candidate) assessment {
	h := &c.History
	good, bad := h.counts(now)
	a := assessment{
		Candidate: c, evidence: good + bad,
		reliability: (good + priorGood) / (good + bad + priorGood + priorBad),
	}
	switch {
	case h.cooling(now):
		a.class, a.standing = ClassCooling, standingCooling
	case h.Consecutive > 0 || bad > good:
		a.class, a.standing = ClassRecovering, standingRecovering
	case c.Pinned:
		a.class, a.standing = ClassPinned, standingPinned
	case !h.tried():
		a.class, a.standing = ClassUnknown, standingUnknown
	default:
		a.class, a.standing = ClassProven, standingProven
	}
	// Reliability weighs far more than latency: a slow page is slow, a dead
	// server is an interruption.
	a.score = a.reliability * a.reliability * a.reliability * a.reliability
	latency := halfLatency
	if h.Latency > 0 {
		latency = h.slowness()
	}
	a.score *= float64(halfLatency) / float64(halfLatency+latency)
	if !h.LastFailure.IsZero() {
		a.score *= 1 - halved(now.Sub(h.LastFailure), failureHalfLife)/2
	}
	a.score /= float64(1 + h.Consecutive + h.flaps(now))
	return a
}

// why says in a clause what the class rests on.
func (a *assessment) why(now time.Time) string {
	h := &a.History
	text := make([]byte, 0, 64)
	if a.Pinned {
		text = append(text, "pinned, "...)
	}
	switch {
	case !h.tried():
		return string(append(text, "never tried"...))
	case h.Consecutive > 0:
		text = append(text, "failed "...)
		text = appendTimes(text, h.Consecutive)
	case h.cooling(now):
		text = append(text, "died "...)
		text = appendTimes(text, h.Flaps)
		text = append(text, " after a short time"...)
	default:
		text = appendAnswered(text, h)
	}
	if h.cooling(now) {
		text = append(text, ", waits until "...)
		text = h.CooldownUntil.In(now.Location()).AppendFormat(text, "15:04")
	}
	return string(text)
}

func appendAnswered(text []byte, h *History) []byte {
	text = append(text, "answered "...)
	if checks := h.Successes + h.Failures; checks == 1 {
		text = append(text, "its only check"...)
	} else {
		text = strconv.AppendInt(text, int64(100*h.Successes/checks), 10)
		text = append(text, " % of "...)
		text = strconv.AppendInt(text, int64(checks), 10)
		text = append(text, " checks"...)
	}
	if h.Latency > 0 {
		text = append(text, ", "...)
		text = strconv.AppendInt(text, h.Latency.Milliseconds(), 10)
		text = append(text, " ms"...)
	}
	return text
}

func appendTimes(text []byte, n int) []byte {
	if n == 1 {
		return append(text, "once"...)
	}
	text = strconv.AppendInt(text, int64(n), 10)
	return append(text, " times"...)
}
