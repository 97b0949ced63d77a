package supervisor_test

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
)

// The tests of this file are called after what went wrong once.

// Disconnect while a dropped standby is being stopped.
func TestDisconnectLeavesADroppedStandby(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		h.World.Mu.Lock()
		h.StopTime = 2 * time.Second
		h.World.Mu.Unlock()
		h.Do(ipc.Request{Type: ipc.KindProxyStop})
		time.Sleep(10 * time.Millisecond)
		h.World.Mu.Lock()
		h.StopTime = 0
		h.World.Mu.Unlock()
		h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		if n := len(h.Running()); n > 0 {
			t.Errorf("%d cores run after the disconnect was answered", n)
		}
		time.Sleep(10 * time.Second)
	})
}

// The timer rotates while the machine is offline.
func TestTimerWhileOffline(t *testing.T) {
	daemontest.Bubble(t, "a b c", func(c *settings.Settings) {
		c.Rotation.Standby = true
		c.Rotation.Interval = settings.Duration(10 * time.Minute)
	}, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		h.World.Mu.Lock()
		h.Offline = true
		h.World.Mu.Unlock()
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

// A server that dies during a rotation by hand or by the timer through dead candidates.
func TestDeathDuringARotation(t *testing.T) {
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
		t.Logf("on %s after %v, trigger %s", h.TargetHost(), time.Since(begin), h.Status().LastRotation.Trigger)
		if time.Since(begin) > 4*time.Second {
			t.Error("too long")
		}
	})
}

// Proxy stop while the standby is looked at.
func TestProxyStopDropsTheStandbyAtOnce(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		h.Set(h.StandbyHost(), daemontest.Dead)
		for host, n := h.StandbyHost(), h.Probed(h.StandbyHost()); h.Probed(host) == n; {
			time.Sleep(10 * time.Millisecond)
		}
		h.Do(ipc.Request{Type: ipc.KindProxyStop})
		time.Sleep(time.Second)
		synctest.Wait()
		if h.StandbyHost() != "" {
			t.Errorf("a second after proxy stop connections are still rescued through %q", h.StandbyHost())
		}
		time.Sleep(time.Minute)
	})
}

// Store while idle.
func TestStoreWhileIdle(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(time.Minute)
		synctest.Wait()
		before := h.Written()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := h.Written() - before; n > 20 {
			t.Errorf("%d outcomes were written in an idle hour", n)
		}
	})
}

// The first good answer after a return from offline.
func TestSpacingAfterOffline(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		h.World.Mu.Lock()
		h.Offline = true
		h.World.Mu.Unlock()
		for _, x := range []string{"a", "b", "c"} {
			h.Set(x, daemontest.Dead)
		}
		time.Sleep(time.Minute)
		h.World.Mu.Lock()
		h.Offline = false // a route, and nothing more yet
		h.World.Mu.Unlock()
		time.Sleep(4500 * time.Millisecond)
		synctest.Wait()
		for _, x := range []string{"a", "b", "c"} {
			h.Set(x, daemontest.Alive)
		}
		back := time.Now()
		for h.State().State != ipc.StateConnected {
			if time.Sleep(50 * time.Millisecond); time.Since(back) > 20*time.Second {
				t.Fatal("never")
			}
		}
		t.Logf("connected after %v", time.Since(back))
	})
}

// The standby's rescued connections are cut when a better one takes its place.
func TestStandbyIsDrained(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		h.Do(ipc.Request{Type: ipc.KindProxyStop})
		time.Sleep(time.Second)
		synctest.Wait()
		if len(h.Drained) == 0 {
			t.Error("dropped without a drain")
		}
	})
}

// The old session's check keeps the new one waiting.
func TestOldCheckBlocksTheNewSession(t *testing.T) {
	daemontest.Bubble(t, "a b c", func(c *settings.Settings) { c.Rotation.Standby = true; c.Health.Threshold = 100 }, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		h.Set("a", daemontest.Dead)
		time.Sleep(16 * time.Second)
		h.Rotate(new(int64(2)))
		begin := time.Now()
		time.Sleep(20 * time.Millisecond)
		h.Set("b", daemontest.Dead)
		_ = begin
		at := time.Now()
		for h.Status().State == ipc.StateConnected {
			time.Sleep(100 * time.Millisecond)
			if time.Since(at) > time.Hour {
				break
			}
			synctest.Wait()
		}
		t.Logf("b in doubt after %v", time.Since(at))
		if time.Since(at) > 20*time.Second {
			t.Error("too long")
		}
	})
}

// No_core blames candidates.
func TestNoCoreBlames(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		h.LoseCore(errors.New("no xray"))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		for id, o := range h.Look().Outcomes {
			if o.Failures > 0 {
				t.Errorf("config %d is blamed for the missing core: %+v", id, o)
			}
		}
	})
}

// Slow store in the way of a rescue.
func TestSlowStoreDelaysTheRotation(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		slow := h.SlowOutcomes()
		h.Connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		slow.Store(int64(2 * time.Second))
		h.Set("a", daemontest.Dead)
		h.Rescued()
		took := h.WaitRotation(time.Minute)
		t.Logf("rotation after %v: %d ms of it after the verdict", took, h.Status().LastRotation.DurationMillis)
		if took > 4*time.Second {
			t.Error("too long")
		}
		slow.Store(0)
		time.Sleep(time.Minute)
	})
}

// Cuts of an older rotation are counted for the next one.
func TestCutsOfAnotherRotation(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		p := h.Connect(1)
		time.Sleep(20 * time.Second)
		h.World.Mu.Lock()
		h.DrainTill[p.SessionID], h.Uncut = make(chan struct{}), true
		h.World.Mu.Unlock()
		h.Set("a", daemontest.Dead)
		h.Rescued()
		h.WaitRotation(10 * time.Second)
		if _, err := h.Rotate(nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h.World.Mu.Lock()
		h.Uncut = false
		h.World.Mu.Unlock()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if l := h.Status().LastRotation; l.Trigger == ipc.TriggerManual && l.Cut > 0 {
			t.Errorf("the manual rotation from %s counts %d cuts of the one before", l.FromConfigName, l.Cut)
		}
	})
}

// Looking at others leaves sessions in the history.
func TestExplorationFillsTheHistory(t *testing.T) {
	daemontest.Bubble(t, daemontest.Hosts(20), daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		left := 0
		for _, s := range h.Records() {
			if s.ReasonCode == "standby" && s.Status != store.StatusStandby {
				left++
			}
		}
		if left > 0 {
			t.Errorf("%d records of %d after a day without any event", left, len(h.Records()))
		}
	})
}

// The config of the standby is removed.
func TestRemovedStandby(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		s := h.Status().Standby
		h.Do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{s.ConfigID}})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got := h.Status().Standby; got != nil && got.ConfigID == s.ConfigID {
			t.Errorf("a day after it was removed, config %d is still the standby", s.ConfigID)
		}
	})
}

// Blamed twice for one event.
func TestBlamedTwice(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
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

// A strong hint while a check is in flight.
func TestHintDuringACheck(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Set("a", func(s *daemontest.Server) { s.Latency = time.Second })
		h.Connect(1)
		time.Sleep(20 * time.Second)
		for n := h.Probed("a"); h.Probed("a") == n; {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(10 * time.Millisecond)
		h.Set("a", daemontest.Dead) // the probe under way still gets its answer
		h.Rescued()
		h.Rescued()
		if took := h.WaitRotation(time.Minute); took > 6*time.Second {
			t.Errorf("%v after a strong hint", took)
		}
	})
}

// A timer rotation in vain leaves its mark on a session that is well.
func TestTimerInVain(t *testing.T) {
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

// Losers of a race and a disconnect.
func TestDisconnectWaitsForLosers(t *testing.T) {
	daemontest.Bubble(t, "a b c d", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		h.Set("b", daemontest.Dead)
		h.Set("c", daemontest.Dead)
		h.Set("a", daemontest.Dead)
		h.World.Mu.Lock()
		h.StopTime = time.Second
		h.World.Mu.Unlock()
		h.Rescued()
		h.WaitRotation(time.Minute)
		h.World.Mu.Lock()
		h.StopTime = 0
		h.World.Mu.Unlock()
		h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		if n := len(h.Running()); n > 0 {
			t.Errorf("%d cores run after the disconnect was answered", n)
		}
		time.Sleep(10 * time.Second)
	})
}

// The disk hangs when the server dies.
func TestDeadDiskKeepsTheDeadServer(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		slow := h.SlowOutcomes()
		h.Connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		slow.Store(int64(time.Hour))
		h.Set("a", daemontest.Dead)
		h.Rescued()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		t.Logf("half an hour later: %s through %q, standby %q", h.Status().State, h.TargetHost(), h.StandbyHost())
		if h.TargetHost() == "a" {
			t.Error("still on the dead one")
		}
		slow.Store(0)
		time.Sleep(time.Hour)
	})
}
