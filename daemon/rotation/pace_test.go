package rotation

import (
	"testing"
	"time"
)

// If there is always a reason to rotate: three at once, then ever more rarely, and at most three in
// any minute.
func TestPaceSlowsDown(t *testing.T) {
	var p Pace
	var at []time.Duration
	for clock := now; clock.Before(now.Add(20 * time.Minute)); clock = clock.Add(time.Second) {
		next, ok := p.Allow(clock)
		if ok != next.Equal(clock) || next.Before(clock) || next.Sub(clock) > maxSpacing {
			t.Fatalf("at %v: %v, %v", clock, next, ok)
		}
		if ok {
			p = p.Rotated(clock)
			at = append(at, clock.Sub(now))
		}
	}
	for i := range at {
		if i >= freeRotations && at[i]-at[i-freeRotations] < time.Minute {
			t.Errorf("more than %d in a minute: %v", freeRotations, at)
		}
	}
	if at[2] != 2*time.Second {
		t.Errorf("the first three do not take place at once: %v", at)
	}
	if n := len(at); n > 25 || at[n-1]-at[n-2] != maxSpacing {
		t.Errorf("%d rotations in 20 minutes, the last ones after %v", n, at[n-1]-at[n-2])
	}
}

func TestPaceForgives(t *testing.T) {
	burst := Pace{}
	for i := range maxBurst + 5 {
		burst = burst.Rotated(now.Add(time.Duration(i-maxBurst-4) * time.Second))
	}
	for after, free := range map[time.Duration]int{
		time.Second:     0,
		maxSpacing:      1,
		4 * time.Minute: 1,
		// Each two quiet minutes make up for one of six.
		8 * time.Minute:  1,
		10 * time.Minute: 2,
		12 * time.Minute: 3,
		8 * time.Hour:    3,
	} {
		p, at, got := burst, now.Add(after), 0
		for {
			if _, ok := p.Allow(at); !ok {
				break
			}
			p = p.Rotated(at)
			got++
		}
		if got != free {
			t.Errorf("after %v: %d rotations at once, want %d", after, got, free)
		}
	}
	// A server that serves for some minutes and dies, again and again: there is no reason to wait.
	var p Pace
	for i := range 100 {
		at := now.Add(time.Duration(i) * 3 * time.Minute)
		if next, ok := p.Allow(at); !ok {
			t.Fatalf("rotation %d has to wait %v", i, next.Sub(at))
		}
		p = p.Rotated(at)
	}
}

// A clock that was set back does not stop rotations for years.
func TestPaceSurvivesClockJumps(t *testing.T) {
	var p Pace
	for range 10 {
		p = p.Rotated(now)
	}
	for _, jump := range []time.Duration{-24 * time.Hour, 24 * time.Hour} {
		if next, ok := p.Allow(now.Add(jump)); !ok {
			t.Errorf("after a jump of %v it waits until %v", jump, next)
		}
	}
}
