package daemon

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
)

// The tests of this file are called after what went wrong once.

// Disconnect while a dropped standby is being stopped.
func TestDisconnectLeavesADroppedStandby(t *testing.T) {
	bubble(t, "a b", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		h.world.mu.Lock()
		h.stopTime = 2 * time.Second
		h.world.mu.Unlock()
		h.do(ipc.Request{Type: ipc.KindProxyStop})
		time.Sleep(10 * time.Millisecond)
		h.world.mu.Lock()
		h.stopTime = 0
		h.world.mu.Unlock()
		h.do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		if n := len(h.running()); n > 0 {
			t.Errorf("%d cores run after the disconnect was answered", n)
		}
		time.Sleep(10 * time.Second)
	})
}

// The timer rotates while the machine is offline.
func TestTimerWhileOffline(t *testing.T) {
	bubble(t, "a b c", func(c *settings.Settings) {
		c.Rotation.Standby = true
		c.Rotation.Interval = settings.Duration(10 * time.Minute)
	}, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		h.world.mu.Lock()
		h.offline = true
		h.world.mu.Unlock()
		for _, x := range []string{"a", "b", "c"} {
			h.set(x, dead)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		n, p := h.starts(), h.asked()
		time.Sleep(time.Hour)
		synctest.Wait()
		if h.starts() > n || h.asked() > p {
			t.Errorf("offline: %d starts, %d probes; %s %q %q", h.starts()-n, h.asked()-p, h.s.status().State, h.s.status().Condition, h.s.status().Message)
		}
	})
}

// A server that dies during a rotation by hand or by the timer through dead candidates.
func TestDeathDuringARotation(t *testing.T) {
	bubble(t, hosts(10), func(c *settings.Settings) {
		c.Rotation.Standby = true
		c.Rotation.Interval = settings.Duration(10 * time.Minute)
	}, func(h *harness) {
		h.connect(1)
		time.Sleep(9 * time.Minute)
		synctest.Wait()
		host := h.standbyHost()
		for i := range 9 {
			if x := fmt.Sprintf("h%d", i+2); x != host {
				h.set(x, dead)
			}
		}
		for h.state().State != ipc.StateRotating {
			time.Sleep(10 * time.Millisecond)
		}
		h.set("h1", dead)
		begin := time.Now()
		for h.targetHost() == "h1" {
			time.Sleep(100 * time.Millisecond)
			if h.s.status().Session != nil {
				select {
				case h.signals <- front.Signal{TargetID: h.s.status().Session.ID, Kind: front.Rescued}:
				default:
				}
			}
		}
		t.Logf("on %s after %v, trigger %s", h.targetHost(), time.Since(begin), h.s.status().LastRotation.Trigger)
		if time.Since(begin) > 4*time.Second {
			t.Error("too long")
		}
	})
}

// Proxy stop while the standby is looked at.
func TestProxyStopDropsTheStandbyAtOnce(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		h.set(h.standbyHost(), dead)
		for {
			var in bool
			done := make(chan struct{})
			h.s.tell(func() { in = h.s.st.standbyOp != nil; close(done) })
			if <-done; in {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		h.do(ipc.Request{Type: ipc.KindProxyStop})
		time.Sleep(time.Second)
		synctest.Wait()
		if h.standbyHost() != "" {
			t.Errorf("a second after proxy stop connections are still rescued through %q", h.standbyHost())
		}
		time.Sleep(time.Minute)
	})
}

// Store while idle.
func TestStoreWhileIdle(t *testing.T) {
	bubble(t, "a b", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(time.Minute)
		synctest.Wait()
		before := h.written()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := h.written() - before; n > 20 {
			t.Errorf("%d outcomes were written in an idle hour", n)
		}
	})
}

// The first good answer after a return from offline.
func TestSpacingAfterOffline(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		h.world.mu.Lock()
		h.offline = true
		h.world.mu.Unlock()
		for _, x := range []string{"a", "b", "c"} {
			h.set(x, dead)
		}
		time.Sleep(time.Minute)
		h.world.mu.Lock()
		h.offline = false // a route, and nothing more yet
		h.world.mu.Unlock()
		time.Sleep(4500 * time.Millisecond)
		synctest.Wait()
		done := make(chan struct{})
		h.s.tell(func() {
			t.Logf("next check in %v, attempts %d, since %v, op %v checking %v", time.Until(h.s.st.checkAt), h.s.st.attempts, h.s.st.health.since, h.s.st.op != nil, h.s.st.check)
			close(done)
		})
		<-done
		for _, x := range []string{"a", "b", "c"} {
			h.set(x, alive)
		}
		back := time.Now()
		for h.state().State != ipc.StateConnected {
			if time.Sleep(50 * time.Millisecond); time.Since(back) > 20*time.Second {
				t.Fatal("never")
			}
		}
		t.Logf("connected after %v", time.Since(back))
	})
}

// The standby's rescued connections are cut when a better one takes its place.
func TestStandbyIsDrained(t *testing.T) {
	bubble(t, "a b", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		h.do(ipc.Request{Type: ipc.KindProxyStop})
		time.Sleep(time.Second)
		synctest.Wait()
		if len(h.drained) == 0 {
			t.Error("dropped without a drain")
		}
	})
}

// The old session's check keeps the new one waiting.
func TestOldCheckBlocksTheNewSession(t *testing.T) {
	bubble(t, "a b c", func(c *settings.Settings) { c.Rotation.Standby = true; c.Health.Threshold = 100 }, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		h.set("a", dead)
		time.Sleep(16 * time.Second)
		h.rotate(id(2))
		begin := time.Now()
		time.Sleep(20 * time.Millisecond)
		h.set("b", dead)
		_ = begin
		at := time.Now()
		for h.s.status().State == ipc.StateConnected {
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
	bubble(t, "a b c", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		h.loseCore(errors.New("no xray"))
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		for id, o := range h.outcomes {
			if o.Failures > 0 {
				t.Errorf("config %d is blamed for the missing core: %+v", id, o)
			}
		}
	})
}

// Slow store in the way of a rescue.
func TestSlowStoreDelaysTheRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{t: t, world: newWorld("a", "b", "c"), memory: newMemory("a", "b", "c")}
		deps := h.deps(settings.Default())
		slow := &slowOutcomes{memory: h.memory}
		deps.Store = slow
		h.s = New(deps)
		ctx, cancel := contextWithCancel()
		if err := h.s.Restore(ctx); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); h.s.Run(ctx) }()
		h.stop = func() { cancel(); <-done }
		h.connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		slow.wait.Store(int64(2 * time.Second))
		h.set("a", dead)
		h.rescued()
		took := h.waitRotation(time.Minute)
		t.Logf("rotation after %v: %d ms of it after the verdict", took, h.s.status().LastRotation.DurationMillis)
		if took > 4*time.Second {
			t.Error("too long")
		}
		slow.wait.Store(0)
		time.Sleep(time.Minute)
		h.stop()
	})
}

// Cuts of an older rotation are counted for the next one.
func TestCutsOfAnotherRotation(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		p := h.connect(1)
		time.Sleep(20 * time.Second)
		h.world.mu.Lock()
		h.drainTill[p.SessionID], h.uncut = make(chan struct{}), true
		h.world.mu.Unlock()
		h.set("a", dead)
		h.rescued()
		h.waitRotation(10 * time.Second)
		if _, err := h.rotate(nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h.world.mu.Lock()
		h.uncut = false
		h.world.mu.Unlock()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if l := h.s.status().LastRotation; l.Trigger == ipc.TriggerManual && l.Cut > 0 {
			t.Errorf("the manual rotation from %s counts %d cuts of the one before", l.FromConfigName, l.Cut)
		}
	})
}

// Looking at others leaves sessions in the history.
func TestExplorationFillsTheHistory(t *testing.T) {
	bubble(t, hosts(20), withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		left := 0
		for _, s := range h.all() {
			if s.ReasonCode == reasonStandby && s.Status != store.StatusStandby {
				left++
			}
		}
		if left > 0 {
			t.Errorf("%d records of %d after a day without any event", left, len(h.all()))
		}
	})
}

// The config of the standby is removed.
func TestRemovedStandby(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		s := h.s.status().Standby
		h.do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{s.ConfigID}})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got := h.s.status().Standby; got != nil && got.ConfigID == s.ConfigID {
			t.Errorf("a day after it was removed, config %d is still the standby", s.ConfigID)
		}
	})
}

// Blamed twice for one event.
func TestBlamedTwice(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		h.set("a", func(s *server) { s.noStart = true })
		h.kill("a", "signal: killed")
		time.Sleep(5 * time.Second)
		synctest.Wait()
		h.want(ipc.StateConnected, "b")
		if o := h.outcomes[1]; o.Failures != 1 {
			t.Errorf("%+v", o)
		}
	})
}

// A strong hint while a check is in flight.
func TestHintDuringACheck(t *testing.T) {
	bubble(t, "a b", withStandby, func(h *harness) {
		h.set("a", func(s *server) { s.latency = time.Second })
		h.connect(1)
		time.Sleep(20 * time.Second)
		for {
			var in bool
			done := make(chan struct{})
			h.s.tell(func() { in = h.s.st.check != nil; close(done) })
			if <-done; in {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(10 * time.Millisecond)
		h.set("a", dead) // the probe under way still gets its answer
		h.rescued()
		h.rescued()
		if took := h.waitRotation(time.Minute); took > 6*time.Second {
			t.Errorf("%v after a strong hint", took)
		}
	})
}

// A timer rotation in vain leaves its mark on a session that is well.
func TestTimerInVain(t *testing.T) {
	bubble(t, hosts(12), func(c *settings.Settings) {
		c.Rotation.Interval = settings.Duration(10 * time.Minute)
		c.Health.Interval = settings.Duration(time.Hour)
	}, func(h *harness) {
		h.connect(1)
		for i := range 11 {
			h.set(fmt.Sprintf("h%d", i+2), dead)
		}
		time.Sleep(10*time.Minute + 30*time.Second)
		s := h.state()
		if s.Message != "" || s.Attempts != 0 {
			t.Errorf("%s, %q, %d attempts", s.State, s.Message, s.Attempts)
		}
		for i := range 11 {
			h.set(fmt.Sprintf("h%d", i+2), alive)
		}
		h.kill("h1", "signal: killed")
		time.Sleep(5 * time.Second)
		h.want(ipc.StateConnected, "h1")
	})
}

// Losers of a race and a disconnect.
func TestDisconnectWaitsForLosers(t *testing.T) {
	bubble(t, "a b c d", nil, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		h.set("b", dead)
		h.set("c", dead)
		h.set("a", dead)
		h.world.mu.Lock()
		h.stopTime = time.Second
		h.world.mu.Unlock()
		h.rescued()
		h.waitRotation(time.Minute)
		h.world.mu.Lock()
		h.stopTime = 0
		h.world.mu.Unlock()
		h.do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		if n := len(h.running()); n > 0 {
			t.Errorf("%d cores run after the disconnect was answered", n)
		}
		time.Sleep(10 * time.Second)
	})
}

// The disk hangs when the server dies.
func TestDeadDiskKeepsTheDeadServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{t: t, world: newWorld("a", "b", "c"), memory: newMemory("a", "b", "c")}
		deps := h.deps(settings.Default())
		slow := &slowOutcomes{memory: h.memory}
		deps.Store = slow
		h.s = New(deps)
		ctx, cancel := contextWithCancel()
		if err := h.s.Restore(ctx); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); h.s.Run(ctx) }()
		h.connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		slow.wait.Store(int64(time.Hour))
		h.set("a", dead)
		h.rescued()
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		t.Logf("half an hour later: %s through %q, standby %q", h.s.status().State, h.targetHost(), h.standbyHost())
		if h.targetHost() == "a" {
			t.Error("still on the dead one")
		}
		slow.wait.Store(0)
		time.Sleep(time.Hour)
		cancel()
		<-done
	})
}

func contextWithCancel() (context.Context, context.CancelFunc) {
	return context.WithCancel(context.Background())
}

type slowOutcomes struct {
	*memory
	wait atomic.Int64
}

func (m *slowOutcomes) Outcomes(ctx context.Context) (map[int64]store.Outcome, error) {
	time.Sleep(time.Duration(m.wait.Load()))
	return m.memory.Outcomes(ctx)
}
