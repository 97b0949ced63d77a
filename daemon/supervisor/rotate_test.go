package supervisor_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/runtime/front"
)

// Without a network nobody is asked, and no core is started, also not by the timer.
func TestTimerRotatesNothingWhileOffline(t *testing.T) {
	daemontest.Bubble(t, "a b c", func(c *settings.Settings) {
		c.Rotation.Standby = true
		c.Rotation.Interval = settings.Duration(10 * time.Minute)
	}, func(h *daemontest.Harness) {
		h.Settle()
		h.Locked(func() { h.Offline = true })
		for _, x := range []string{"a", "b", "c"} {
			h.Set(x, daemontest.Dead)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		n, p := h.Starts(), h.Asked()
		time.Sleep(time.Hour)
		synctest.Wait()
		if h.Starts() > n || h.Asked() > p {
			t.Errorf("offline: %d starts, %d probes; %s %q %q", h.Starts()-n, h.Asked()-p, h.Status().State, h.Status().Condition, h.Status().Message)
		}
	})
}

// A server that dies while the timer tries dead candidates is left as fast as otherwise.
func TestDeadServerIsLeftAlthoughTheTimerRotates(t *testing.T) {
	daemontest.Bubble(t, daemontest.Hosts(10), func(c *settings.Settings) {
		c.Rotation.Standby = true
		c.Rotation.Interval = settings.Duration(10 * time.Minute)
	}, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		host := h.StandbyHost()
		for i := range 9 {
			if x := fmt.Sprintf("h%d", i+2); x != host {
				h.Set(x, daemontest.Dead)
			}
		}
		for h.State().State != ipc.StateRotating {
			time.Sleep(10 * time.Millisecond)
		}
		h.Set("h1", daemontest.Dead)
		begin := time.Now()
		for h.TargetHost() == "h1" {
			time.Sleep(100 * time.Millisecond)
			if h.Status().Session != nil {
				select {
				case h.Hints <- front.Signal{TargetID: h.Status().Session.ID, Kind: front.Rescued}:
				default:
				}
			}
		}
		if took := time.Since(begin); took > 4*time.Second {
			t.Errorf("left after %v", took)
		}
	})
}

// The standby steps in although the store takes seconds to name the candidates.
func TestSlowStoreDoesNotDelayARotation(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		slow := h.SlowOutcomes()
		h.Settle()
		synctest.Wait()
		slow.Store(int64(2 * time.Second))
		h.Set("a", daemontest.Dead)
		h.Rescued()
		took := h.WaitRotation(time.Minute)
		if took > 4*time.Second {
			t.Error("too long")
		}
		slow.Store(0)
		time.Sleep(time.Minute)
	})
}

// One death counts once.
func TestDeadServerIsBlamedOnce(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Settle()
		h.Set("a", func(s *daemontest.Server) { s.NoStart = true })
		h.Kill("a", "signal: killed")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		h.Want(ipc.StateConnected, "b")
		if o := h.Look().Outcomes[1]; o.Failures != 1 {
			t.Errorf("%+v", o)
		}
	})
}

// A rotation of the timer that finds nobody leaves no trace on a session that is well.
func TestTimerInVainChangesNothing(t *testing.T) {
	daemontest.Bubble(t, daemontest.Hosts(12), func(c *settings.Settings) {
		c.Rotation.Interval = settings.Duration(10 * time.Minute)
		c.Health.Interval = settings.Duration(time.Hour)
	}, func(h *daemontest.Harness) {
		h.Connect(1)
		for i := range 11 {
			h.Set(fmt.Sprintf("h%d", i+2), daemontest.Dead)
		}
		time.Sleep(10*time.Minute + 30*time.Second)
		s := h.State()
		if s.Message != "" || s.Attempts != 0 {
			t.Errorf("%s, %q, %d attempts", s.State, s.Message, s.Attempts)
		}
		for i := range 11 {
			h.Set(fmt.Sprintf("h%d", i+2), daemontest.Alive)
		}
		h.Kill("h1", "signal: killed")
		time.Sleep(5 * time.Second)
		h.Want(ipc.StateConnected, "h1")
	})
}

// A rotation to the standby needs no disk.
func TestDeadServerIsLeftWithoutADisk(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		slow := h.SlowOutcomes()
		h.Settle()
		synctest.Wait()
		slow.Store(int64(time.Hour))
		h.Set("a", daemontest.Dead)
		h.Rescued()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if h.TargetHost() == "a" {
			t.Error("still on the dead one")
		}
		slow.Store(0)
		time.Sleep(time.Hour)
	})
}

// While rotation is switched off, no time of a next rotation is shown.
func TestNoTimerWhileRotationIsOff(t *testing.T) {
	daemontest.Bubble(t, "a b", func(c *settings.Settings) { c.Rotation.Interval = settings.Duration(time.Hour) }, func(h *daemontest.Harness) {
		h.Do(ipc.Request{Type: ipc.KindProxyStop})
		h.Connect(1)
		if next := h.State().Rotation.NextTimerEpochSecs; next != nil {
			t.Errorf("next timer %d", *next)
		}
	})
}

// A server that dies is left for the fastest of those that race, within the time that a check
// takes, with the reason in the report and blame on its config.
func TestDeadServerIsLeft(t *testing.T) {
	daemontest.Bubble(t, "a b c", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		h.Set("b", func(s *daemontest.Server) { s.Latency = 200 * time.Millisecond })
		time.Sleep(time.Minute)
		h.Want(ipc.StateConnected, "a")
		h.Set("a", func(s *daemontest.Server) { s.Dead = true })
		died := time.Now()
		for h.State().LastRotation == nil {
			if time.Sleep(100 * time.Millisecond); time.Since(died) > time.Minute {
				t.Fatal("no rotation within a minute")
			}
		}
		// One tick until it is noticed, three rounds of 3 s that overlap.
		if took := time.Since(died); took > 15*time.Second+4*time.Second {
			t.Errorf("it took %v", took)
		}
		h.Want(ipc.StateConnected, "c") // the fastest of those that raced
		status := h.Status()
		l := status.LastRotation
		if l.Trigger != ipc.TriggerHealthCheckFailed || l.ReasonCode != "probe_timeout" || !strings.Contains(l.Reason, "3 failed checks") {
			t.Errorf("last rotation %+v", l)
		}
		if status.Session.Trigger != ipc.TriggerHealthCheckFailed {
			t.Errorf("trigger %s", status.Session.Trigger)
		}
		synctest.Wait()
		if o := h.Look().Outcomes[1]; o.ConsecutiveFailures != 1 || !o.CooldownUntil.After(time.Now()) {
			t.Errorf("the dead one's outcome: %+v", o)
		}
		if h.Gaps > 0 {
			t.Errorf("the front had no target %d times", h.Gaps)
		}
	})
}

// The timer rotates once an interval, to the config used least recently, not while rotation is off,
// and not during the cooldown after another rotation.
func TestTimerRotation(t *testing.T) {
	daemontest.Bubble(t, "a b c", func(c *settings.Settings) {
		c.Rotation.Interval = settings.Duration(10 * time.Minute)
	}, func(h *daemontest.Harness) {
		h.Connect(1)
		next := h.Status().Rotation.NextTimerEpochSecs
		if next == nil || *next != time.Now().Add(10*time.Minute).Unix() {
			t.Errorf("next timer %v", next)
		}
		time.Sleep(10*time.Minute + time.Second)
		h.Want(ipc.StateConnected, "b")
		if l := h.Status().LastRotation; l.Trigger != ipc.TriggerTimer {
			t.Errorf("%+v", l)
		}
		time.Sleep(10 * time.Minute)
		h.Want(ipc.StateConnected, "c")
		h.Do(ipc.Request{Type: ipc.KindProxyStop})
		if h.State().Rotation.NextTimerEpochSecs != nil {
			t.Error("a timer runs while rotation is off")
		}
		time.Sleep(time.Hour)
		h.Want(ipc.StateConnected, "c")
		h.Do(ipc.Request{Type: ipc.KindProxyStart})
		time.Sleep(10*time.Minute + time.Second)
		h.Want(ipc.StateConnected, "a")
		// Just after a rotation by hand the timer lets the cooldown pass.
		time.Sleep(9*time.Minute + 50*time.Second)
		h.Rotate(nil)
		time.Sleep(time.Minute)
		h.Want(ipc.StateConnected, "b")
	})
}

// The network is back, and the active server is not: the standby's answer ends the wait for the
// next attempt.
func TestStandbyAnswersAfterAnOutage(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
		synctest.Wait()
		host := h.StandbyHost()
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, daemontest.Dead)
		}
		time.Sleep(10 * time.Minute)
		h.Want(ipc.StateDegraded, "a")
		h.Set(host, daemontest.Alive)
		if took := h.WaitRotation(time.Minute); took > 8*time.Second {
			t.Errorf("it took %v", took)
		}
		h.Want(ipc.StateConnected, host)
	})
}

// A server that comes and goes, and takes the others along, does not have the daemon run in
// circles.
func TestFlappingServerIsLeftForLonger(t *testing.T) {
	daemontest.Bubble(t, "a b c d", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
		hosts := []string{"a", "b", "c"}
		var rotations []time.Time
		last := h.Status().LastRotation
		for i := range 360 { // half an hour
			for _, host := range hosts {
				h.Set(host, []func(*daemontest.Server){daemontest.Dead, daemontest.Alive}[i%2])
			}
			h.Rescued()
			for range 50 {
				time.Sleep(100 * time.Millisecond)
				if r := h.State().LastRotation; r != nil && (last == nil || !r.At.Equal(last.At)) {
					last = r
					rotations = append(rotations, r.At)
				}
			}
		}
		if len(rotations) > 12 {
			t.Errorf("%d rotations in half an hour", len(rotations))
		}
		if h.TargetHost() != "d" {
			t.Errorf("in the end it is on %q, after %d rotations", h.TargetHost(), len(rotations))
		}
	})
}

// However short or long everything is dead, nothing moves and nobody is blamed: what answers first
// afterwards is no better than the server in use, which is asked once more.
func TestOutagesMoveNothing(t *testing.T) {
	for outage := time.Second; outage < 20*time.Second; outage += 700 * time.Millisecond {
		daemontest.Bubble(t, "a b c d e f", daemontest.WithStandby, func(h *daemontest.Harness) {
			h.Settle()
			all := func(how func(*daemontest.Server)) {
				for _, host := range strings.Fields("a b c d e f") {
					h.Set(host, how)
				}
			}
			all(daemontest.Dead)
			h.Rescued()
			time.Sleep(outage)
			all(daemontest.Alive)
			time.Sleep(time.Minute)
			h.Want(ipc.StateConnected, "a")
			if l := h.Status().LastRotation; l != nil {
				t.Errorf("%v: rotated: %s", outage, l.Reason)
			}
			for id, o := range h.Look().Outcomes {
				if o.Failures > 0 {
					t.Errorf("%v: %d is blamed", outage, id)
				}
			}
		})
	}
}
