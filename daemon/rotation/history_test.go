package rotation

import (
	"testing"
	"time"
)

func TestCooldownGrows(t *testing.T) {
	var h History
	for i, want := range []time.Duration{5, 10, 20, 40, 60, 60, 60} {
		h = h.Failed(now, cooldownBase)
		if got := h.CooldownUntil.Sub(now); got != want*time.Minute {
			t.Errorf("after failure %d: %v, want %v", i+1, got, want*time.Minute)
		}
	}
	if h = h.Succeeded(now, time.Second); h.Consecutive != 0 || !h.CooldownUntil.IsZero() || h.Failures != 7 {
		t.Errorf("after a success: %+v", h)
	}
	if got := (History{}).Failed(now, 2*time.Hour).CooldownUntil.Sub(now); got != 2*time.Hour {
		t.Errorf("a longer base is cut to %v", got)
	}
	if got := (History{}).Failed(now, 0).CooldownUntil.Sub(now); got != 0 {
		t.Errorf("no cooldown became %v", got)
	}
}

// A server that fails again soon after it has worked waits longer each time, is not released by one
// success, and is forgiven in time.
func TestFlapperWaitsLonger(t *testing.T) {
	for name, test := range map[string]struct {
		fail func(History, time.Time) History
		want []time.Duration
	}{
		"checked":           {func(h History, at time.Time) History { return h.Failed(at, cooldownBase) }, []time.Duration{5, 10, 20, 40, 60, 60}},
		"served 10 minutes": {func(h History, at time.Time) History { return h.RotatedAway(at, 10*time.Minute, cooldownBase) }, []time.Duration{10, 20, 40, 60, 60}},
		"served 5 seconds":  {func(h History, at time.Time) History { return h.RotatedAway(at, 5*time.Second, cooldownBase) }, []time.Duration{20, 60, 60}},
		"served 10 hours":   {func(h History, at time.Time) History { return h.RotatedAway(at, 10*time.Hour, cooldownBase) }, []time.Duration{5, 5, 5}},
	} {
		var h History
		at := now
		for i, want := range test.want {
			h = test.fail(h, at)
			if got := h.CooldownUntil.Sub(at); got != want*time.Minute {
				t.Errorf("%s: cooldown %d is %v, want %v", name, i+1, got, want*time.Minute)
			}
			at = at.Add(time.Minute)
			flapping := h.Flaps > 0
			if h = h.Succeeded(at, time.Second); h.cooling(at) != flapping {
				t.Errorf("%s: after a success cooling: %v", name, !flapping)
			}
			at = later(at, h.released()).Add(time.Minute)
		}
		at = at.Add(maxFlaps * forgiveFlap)
		if h = h.Succeeded(at, time.Second); h.Flaps != 0 || h.cooling(at) {
			t.Errorf("%s: after hours without a failure: %+v", name, h)
		}
		if got := h.Failed(at, cooldownBase).CooldownUntil.Sub(at); got != cooldownBase {
			t.Errorf("%s: after hours without a failure the next cooldown is %v", name, got)
		}
	}
}

// What counts is how a server has done lately.
func TestRecentChecksCountMost(t *testing.T) {
	at := now
	reliability := func(h History) float64 {
		a := assess(at, &Candidate{History: h})
		return a.reliability
	}
	h := answered(1000, 0, time.Second)
	if r := reliability(h); r < 0.95 {
		t.Errorf("after 1000 successes %v", r)
	}
	for range sampleHalfLife {
		at = at.Add(time.Minute)
		h = h.Failed(at, cooldownBase)
	}
	if r := reliability(h); r < 0.4 || r > 0.6 {
		t.Errorf("after %d failures %v", sampleHalfLife, r)
	}
	for range 3 * sampleHalfLife {
		at = at.Add(time.Minute)
		h = h.Succeeded(at, time.Second)
	}
	if r := reliability(h); r < 0.8 {
		t.Errorf("after as many successes, three times: %v", r)
	}
	at = at.Add(10 * timeHalfLife)
	if r := reliability(h); r < 0.49 || r > 0.51 {
		t.Errorf("after days without a check: %v", r)
	}
}

func TestLatencyIsSmoothed(t *testing.T) {
	h := History{}.Succeeded(now, 100*time.Millisecond)
	if h.Latency != 100*time.Millisecond || h.Deviation != 50*time.Millisecond {
		t.Errorf("after the first: %v ± %v", h.Latency, h.Deviation)
	}
	h = h.Succeeded(now, 500*time.Millisecond)
	if h.Latency != 200*time.Millisecond || h.Deviation != 137500*time.Microsecond {
		t.Errorf("after the second: %v ± %v", h.Latency, h.Deviation)
	}
	before := h
	if h = h.Succeeded(now, 0); h.Latency != before.Latency || h.Deviation != before.Deviation {
		t.Errorf("after one without a measurement: %v ± %v", h.Latency, h.Deviation)
	}
	for range 50 {
		h = h.Succeeded(now, 300*time.Millisecond)
	}
	if d := (h.Latency - 300*time.Millisecond).Abs(); d > time.Millisecond || h.Deviation > 2*time.Millisecond {
		t.Errorf("after many equal ones: %v ± %v", h.Latency, h.Deviation)
	}
}

// Records of older versions lack the newer fields.
func TestOldRecordsKeepTheirMeaning(t *testing.T) {
	good := Candidate{ConfigID: 1, History: History{Successes: 5000, Failures: 50, LastSuccess: now, LastFailure: now.Add(-time.Hour), Latency: time.Second}}
	bad := Candidate{ConfigID: 2, History: History{Successes: 50, Failures: 5000, LastSuccess: now, LastFailure: now.Add(-time.Hour), Latency: time.Second}}
	if a := assess(now, &good); a.class != ClassProven || a.reliability < 0.9 || a.evidence > sampleHalfLife {
		t.Errorf("a good one: %+v", a)
	}
	if a := assess(now, &bad); a.class != ClassRecovering || a.reliability > 0.1 {
		t.Errorf("a bad one: %+v", a)
	}
	if h := good.History.Failed(now, cooldownBase); h.Good < 15 || h.Bad < 1 || h.Bad > 2 {
		t.Errorf("it goes on with %v good, %v bad", h.Good, h.Bad)
	}
}

// The clock may be set, back or forward, by years.
func TestHistorySurvivesClockJumps(t *testing.T) {
	h := answered(20, time.Hour, time.Second).Failed(now, cooldownBase)
	if !h.cooling(now.Add(-time.Second)) {
		t.Error("a clock that was set back by a second ends a cooldown")
	}
	for _, jump := range []time.Duration{-24 * time.Hour, -50 * 365 * 24 * time.Hour, 24 * time.Hour, 200 * 365 * 24 * time.Hour} {
		at := now.Add(jump)
		if h.cooling(at) {
			t.Errorf("after a jump of %v it still waits", jump)
		}
		candidates := []Candidate{{ConfigID: 1, History: h}, {ConfigID: 2}}
		if got := Rank(at, PreferBest, 0, candidates); got[0].ConfigID != 2 || got[1].Score < 0 || got[1].Score > 1 {
			t.Errorf("after a jump of %v: %+v", jump, got)
		}
		if got := h.Succeeded(at, time.Second).Failed(at, cooldownBase).CooldownUntil.Sub(at); got < cooldownBase || got > maxCooldown {
			t.Errorf("after a jump of %v the next cooldown is %v", jump, got)
		}
	}
}
