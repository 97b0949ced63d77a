package front

import (
	"fmt"
	"testing"
	"time"
)

// Tokens come in a burst, then with time and with answers, and one that is given back can be taken
// again.
func TestGuardTokens(t *testing.T) {
	r := newGuard(Rescue{})
	now := int64(time.Second)
	taken := func() (n int) {
		for r.take(now) {
			n++
		}
		return n
	}
	if n := taken(); n != guardBurst {
		t.Errorf("burst: %d", n)
	}
	now += int64(2500 * time.Millisecond)
	if n := taken(); n != 2 {
		t.Errorf("after 2.5 s: %d", n)
	}
	r.answers.Add(100)
	if n := taken(); n != 5 {
		t.Errorf("after 100 answers: %d", n)
	}
	r.giveBack()
	if n := taken(); n != 1 {
		t.Errorf("given back: %d", n)
	}
}

// The memory of slow destinations is bounded, and short.
func TestSlowDestinationsAreForgotten(t *testing.T) {
	r := newGuard(Rescue{})
	for i := range 3 * slowPlace {
		r.lost(fmt.Sprint(i), time.Second, 0)
	}
	if len(r.slow) > slowPlace {
		t.Errorf("%d are remembered", len(r.slow))
	}
	r.lost("x", time.Second, 0)
	r.lostEmpty("x", 1)
	for at, want := range map[int64]memory{
		int64(slowTime): {int64(slowTime) + 1, 2 * time.Second, true}, int64(slowTime) + 1: {},
	} {
		if got := r.recall("x", at); got != want {
			t.Errorf("at %d: %+v, want %+v", at, got, want)
		}
	}
	if got := r.recall("y", 0); got != (memory{}) {
		t.Errorf("unknown: %+v", got)
	}
}
