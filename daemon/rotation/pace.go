package rotation

import "time"

const (
	// freeRotations is how many rotations may follow each other at once, and how many there may be
	// in any minute.
	freeRotations = 3
	// firstSpacing is how long to wait after these; it doubles up to maxSpacing. That is short,
	// since where each server is blocked after some minutes, every minute of waiting is a minute
	// without a network.
	firstSpacing = 10 * time.Second
	maxSpacing   = time.Minute
	// forgiveRotation is how long it must be quiet for one rotation to be forgotten. It is longer
	// than maxSpacing: merely having waited is not quiet.
	forgiveRotation = 2 * time.Minute
	// maxBurst bounds what there is to forget. The spacing is the longest by then.
	maxBurst = freeRotations + 3
)

// Pace limits automatic rotations that come in bursts, as they do when it is the network that comes
// and goes: at most three a minute, and ever fewer if they go on. The zero value is a quiet past.
// Rotations that the user asks for are neither limited nor counted.
type Pace struct {
	last  [freeRotations]time.Time // the last rotations, the latest first
	burst int                      // how many came close together
}

// Allow reports whether an automatic rotation may take place now, and if not, when.
func (p Pace) Allow(now time.Time) (time.Time, bool) {
	next := now
	if n := p.burst - freeRotations; n >= 0 {
		next = p.last[0].Add(doubled(firstSpacing, n, maxSpacing))
	}
	if third := p.last[freeRotations-1]; !third.IsZero() {
		next = later(next, third.Add(time.Minute))
	}
	if clockSetBack := next.Sub(now) > maxSpacing; clockSetBack || !next.After(now) {
		return now, true
	}
	return next, false
}

// Rotated returns the pace after an automatic rotation.
func (p Pace) Rotated(now time.Time) Pace {
	forgiven := int(min(max(0, now.Sub(p.last[0]))/forgiveRotation, maxBurst))
	p.burst = min(max(0, p.burst-forgiven)+1, maxBurst)
	copy(p.last[1:], p.last[:])
	p.last[0] = now
	return p
}
