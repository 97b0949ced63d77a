package rotation

import "time"

const (
	// freeRotations is how many rotations may follow each other at once, and how
	// many there may be in any minute.
	freeRotations = 3
	// firstSpacing is how long to wait after these; it doubles up to maxSpacing.
	firstSpacing = 10 * time.Second
	maxSpacing   = 5 * time.Minute
	// forgiveRotation is how long it must be quiet for one rotation to be
	// forgotten. It is no shorter than maxSpacing, or waiting would be quiet enough.
	forgiveRotation = maxSpacing
	// maxBurst bounds what there is to forget.
	maxBurst = 9
)

// Pace holds back automatic rotations that come in bursts, as they do when it is
// the network that comes and goes: at most three a minute, and if they go on,
// ever more rarely. The zero value is a quiet past. Rotations that the user asks
// for are neither held back nor counted.
type Pace struct {
	last  [freeRotations]time.Time // the last rotations, the latest first
	burst int                      // how many came close to each other
}

// Allow tells whether an automatic rotation may take place now, and if not, when.
func (p Pace) Allow(now time.Time) (time.Time, bool) {
	next := now
	if n := p.burst - freeRotations; n >= 0 {
		next = p.last[0].Add(doubled(firstSpacing, n, maxSpacing))
	}
	if third := p.last[freeRotations-1]; !third.IsZero() {
		next = later(next, third.Add(time.Minute))
	}
	if !next.After(now) || next.Sub(now) > maxSpacing { // the latter: the clock was set back
		return now, true
	}
	return next, false
}

// Rotated returns the pace after an automatic rotation.
func (p Pace) Rotated(now time.Time) Pace {
	quiet := max(0, now.Sub(p.last[0]))
	forgotten := int(min(quiet/forgiveRotation, maxBurst))
	p.burst = min(max(0, p.burst-forgotten)+1, maxBurst)
	copy(p.last[1:], p.last[:])
	p.last[0] = now
	return p
}
