package rotation

import (
	"math"
	"strconv"
	"time"
)

// assessment is a candidate and what to think of it now.
type assessment struct {
	Candidate
	class    Class
	standing int // the class as a number, the best first
	score    float64
	tie      uint64
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

func assess(now time.Time, c Candidate) assessment {
	h := c.History
	a := assessment{Candidate: c, score: score(now, h)}
	good, bad := h.counts(now)
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
	return a
}

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

// reliability estimates how likely a server is to answer, from 0 to 1.
func reliability(now time.Time, h History) float64 {
	good, bad := h.counts(now)
	return (good + priorGood) / (good + bad + priorGood + priorBad)
}

// score says how good a server is, from 0 to 1. Reliability weighs far more than
// latency: a slow page is slow, a dead server is an interruption.
func score(now time.Time, h History) float64 {
	s := math.Pow(reliability(now, h), 4)
	latency := halfLatency
	if h.Latency > 0 {
		latency = h.Latency + h.Deviation
	}
	s *= float64(halfLatency) / float64(halfLatency+latency)
	if !h.LastFailure.IsZero() {
		s *= 1 - halved(now.Sub(h.LastFailure), failureHalfLife)/2
	}
	return s / float64(1+h.Consecutive+h.flaps(now))
}

// why says in a clause what the class rests on.
func (a *assessment) why(now time.Time) string {
	h := a.History
	text := make([]byte, 0, 64)
	if a.Pinned {
		text = append(text, "pinned, "...)
	}
	checks := h.Successes + h.Failures
	switch {
	case !h.tried():
		return string(append(text, "never tried"...))
	case h.Consecutive > 0:
		text = append(text, "failed "...)
		text = appendTimes(text, h.Consecutive)
	case h.cooling(now):
		text = append(text, "died "...)
		text = appendTimes(text, h.Flaps)
		text = append(text, " soon after it had worked"...)
	default:
		text = append(text, "answered "...)
		text = strconv.AppendInt(text, int64(100*h.Successes/checks), 10)
		text = append(text, " % of "...)
		text = strconv.AppendInt(text, int64(checks), 10)
		text = append(text, " checks"...)
		if h.Latency > 0 {
			text = append(text, ", "...)
			text = strconv.AppendInt(text, h.Latency.Milliseconds(), 10)
			text = append(text, " ms"...)
		}
	}
	if h.cooling(now) {
		text = append(text, ", waits until "...)
		text = h.CooldownUntil.In(now.Location()).AppendFormat(text, "15:04")
	}
	return string(text)
}

func appendTimes(text []byte, n int) []byte {
	if n == 1 {
		return append(text, "once"...)
	}
	text = strconv.AppendInt(text, int64(n), 10)
	return append(text, " times"...)
}
