package front

import (
	"testing"
	"time"
)

// The limit of silence follows what answers take, between floor and ceiling: it follows the probes
// until traffic is answered, and one slow answer does not spoil it.
func TestRTT(t *testing.T) {
	const floor, ceiling = 60 * time.Millisecond, 3 * time.Second
	var r rtt
	limit := func() time.Duration { return r.limit(floor, ceiling) }
	if limit() != unknownRTT {
		t.Errorf("unknown: %v", limit())
	}
	r.seed(200 * time.Millisecond)
	if got := limit(); got != 600*time.Millisecond {
		t.Errorf("seeded: %v", got)
	}
	r.seed(40 * time.Millisecond)
	if got := limit(); got != 120*time.Millisecond {
		t.Errorf("seeded twice: %v", got)
	}
	r.seed(0)
	if got := limit(); got != 120*time.Millisecond {
		t.Errorf("seeded with nothing: %v", got)
	}
	answer := func(took time.Duration) { r.note(0, int64(took), floor, ceiling) }
	for range 100 {
		answer(200 * time.Millisecond)
	}
	if got := limit(); got < 250*time.Millisecond || got > 350*time.Millisecond {
		t.Errorf("steady 200 ms: %v", got)
	}
	r.seed(time.Second)
	if got := limit(); got > 350*time.Millisecond {
		t.Errorf("seeded after traffic: %v", got)
	}
	answer(time.Minute)
	if got := limit(); got > 2*time.Second {
		t.Errorf("after one slow one: %v", got)
	}
	for range 50 {
		answer(2 * time.Second)
	}
	if got := limit(); got < 2*time.Second || got > ceiling {
		t.Errorf("steady 2 s: %v", got)
	}
	for range 100 {
		answer(time.Millisecond)
	}
	if got := limit(); got != floor {
		t.Errorf("steady 1 ms: %v", got)
	}
}
