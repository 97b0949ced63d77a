package rotation

import (
	"fmt"
	"time"
)

// assessment is what to think of a candidate now.
type assessment struct {
	*Candidate
	class    Class
	standing int // the class as a number, the best first
	score    float64
	// evidence is how many checks of late there are, and reliability how likely the next one is to
	// succeed, from 0 to 1.
	evidence, reliability float64
}

const (
	standingPinned = iota
	standingProven
	standingUnknown
	standingLimited
	standingRecovering
	standingCooling
)

// failing reports whether the candidate is known to be failing, or to strangle work.
func (a *assessment) failing() bool { return a.standing >= standingLimited }

const (
	// A server of which nothing is known counts as one that answered once and failed once: what is
	// seen must outweigh that.
	priorGood, priorBad = 1, 1
	// A server with this latency is half as good as one with none.
	halfLatency = time.Second
	// A failure just now makes a server half as good, and that much less again after every
	// failureHalfLife.
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
	case h.cooling(now) && !c.Here:
		a.class, a.standing = ClassCooling, standingCooling
	case (h.Consecutive > 0 || bad > good) && !c.Here:
		a.class, a.standing = ClassRecovering, standingRecovering
	case h.limited(now):
		a.class, a.standing = ClassLimited, standingLimited
	case c.Pinned:
		a.class, a.standing = ClassPinned, standingPinned
	case !h.tried():
		a.class, a.standing = ClassUnknown, standingUnknown
	default:
		a.class, a.standing = ClassProven, standingProven
	}
	// Reliability weighs far more than latency: a slow page is slow, a dead server is an
	// interruption.
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
	var text string
	switch {
	case !h.tried():
		text = "never tried"
	case h.Consecutive > 0:
		text = "failed " + times(h.Consecutive)
	case h.cooling(now):
		text = "died " + times(h.Flaps) + " after a short time"
	default:
		text = "answered " + share(h.Successes, h.Successes+h.Failures)
		if h.Latency > 0 {
			text += fmt.Sprintf(", %d ms", h.Latency.Milliseconds())
		}
	}
	if c := a.Candidate; c.Here && (h.Consecutive > 0 || h.cooling(now)) {
		text += ", but worked in this network"
	}
	if h.limited(now) {
		text += ", " + LimitText(h.Limit)
	}
	if a.Pinned {
		text = "pinned, " + text
	}
	if h.cooling(now) {
		text += ", waits until " + h.CooldownUntil.In(now.Location()).Format("15:04")
	}
	return text
}

// LimitText says in a clause what a limited server does.
func LimitText(limit string) string {
	switch limit {
	case "stalls":
		return "stalls on data"
	case "throttled":
		return "lets data through at a crawl"
	case "cuts_short":
		return "cuts answers short"
	case "lossy":
		return "loses connections"
	case "slow":
		return "is far slower than others"
	}
	return limit
}

func share(answered, checks int) string {
	if checks == 1 {
		return "its only check"
	}
	return fmt.Sprintf("%d %% of %d checks", 100*answered/checks, checks)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}
