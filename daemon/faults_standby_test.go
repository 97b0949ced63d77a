package daemon

import (
	"errors"
	"fmt"
	"strings"
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

func hosts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "h%d ", i+1)
	}
	return b.String()
}

// Standby becomes the same config as the active one.
var _ = 0

func TestStandbyIsTheActiveConfig(t *testing.T) {
	bubble(t, "a b", withStandby, func(h *harness) {
		h.connect(1)
		h.set("b", func(s *server) { s.latency = 100 * time.Millisecond })
		time.Sleep(580 * time.Millisecond)
		synctest.Wait()
		h.connect(2)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := h.s.status(); s.Standby != nil && s.Standby.ConfigID == s.Session.ConfigID {
			t.Errorf("standby is config %d, active %d", s.Standby.ConfigID, s.Session.ConfigID)
		}
	})
}

// Fresh standby is outside of the window after attempts in vain.
func TestFreshStandbyOutsideTheWindow(t *testing.T) {
	bubble(t, hosts(200), withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		for i := range 200 {
			h.set(fmt.Sprintf("h%d", i+1), dead)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		t.Log("attempts", h.s.st.attempts, "standby", h.standbyHost())
		host := h.standbyHost()
		h.set(host, alive)
		n := h.starts()
		took := h.waitRotation(30 * time.Minute)
		if took > 9*time.Second {
			t.Errorf("it took %v, %d starts; now on %s, standby was %s; winner %q, considered %d", took, h.starts()-n, h.targetHost(), host, h.s.status().LastRotation.Winner, len(h.s.status().LastRotation.Considered))
		}
	})
}

// The desired config is forgotten when the front's port was taken for a while.
func TestDesiredFirstAfterPortTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := strings.Fields(hosts(12))
		h := &harness{t: t, world: newWorld(names...), memory: newMemory(names...)}
		h.desired = store.Desired{Connected: true, ConfigID: 1}
		h.openErr = fmt.Errorf("taken")
		h.boot(withStandby)
		time.Sleep(10 * time.Second)
		h.world.mu.Lock()
		h.openErr = nil
		h.world.mu.Unlock()
		time.Sleep(time.Minute)
		h.want(ipc.StateConnected, "h1")
		h.stop()
	})
}

// Binary is missing for a moment at a core's death.
func TestDesiredFirstAfterNoCore(t *testing.T) {
	bubble(t, hosts(20), withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		h.s.tell(func() {})
		h.loseCore(errors.New("no xray"))
		for _, c := range h.running() {
			c.exit("signal: killed")
		}
		time.Sleep(5 * time.Second)
		h.loseCore(nil)
		time.Sleep(time.Minute)
		h.want(ipc.StateConnected, "h1")
		t.Logf("%+v", h.outcomes[1])
	})
}

// Eight proven configs that are dead keep the ninth from being the standby.
func TestStandbySearchNeverLeavesTheFirstEight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		names := strings.Fields(hosts(10))
		h := &harness{t: t, world: newWorld(names...), memory: newMemory(names...)}
		for i := 2; i <= 9; i++ {
			h.outcomes[int64(i)] = store.Outcome{ConfigID: int64(i), Successes: 5, Good: 5, LastSuccess: time.Now(), LatencyMS: 50}
			h.set(fmt.Sprintf("h%d", i), dead)
		}
		h.boot(withStandby)
		h.connect(1)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if h.standbyHost() != "h10" {
			t.Errorf("standby %q after a day, %d starts", h.standbyHost(), h.starts())
		}
		h.stop()
	})
}

// A standby that has just failed its check is kept.
func TestFailedStandbyIsKept(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		host := h.standbyHost()
		h.set(host, func(s *server) { s.refuse = true })
		h.set("a", dead)
		h.rescued()
		h.waitRotation(10 * time.Second)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if h.standbyHost() == host {
			t.Errorf("30 s after the rotation to %s the standby is still %s, which refuses: %+v", h.targetHost(), host, h.outcomes[2])
		}
	})
}

// A standby whose core ends soon after its start is started over and over.
func TestStandbyCrashLoop(t *testing.T) {
	bubble(t, "a b", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(5 * time.Second)
		n := h.starts()
		for range 600 {
			time.Sleep(200 * time.Millisecond)
			h.kill("b", "exit status 2")
		}
		if got := h.starts() - n; got > 15 {
			t.Errorf("%d starts in two minutes", got)
		}
	})
}

// An outage that begins just before the look at the standby.
func TestOutageBlamesTheStandby(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		var lookAt, checkAt time.Time
		for {
			done := make(chan struct{})
			h.s.tell(func() { lookAt, checkAt = h.s.st.standbyAt, h.s.st.checkAt; close(done) })
			<-done
			if d := checkAt.Sub(lookAt); d > 8*time.Second && time.Until(lookAt) < 500*time.Millisecond {
				break
			}
			time.Sleep(100 * time.Millisecond)
			if time.Since(lookAt) > time.Hour {
				t.Skip("no such moment")
			}
		}
		for _, x := range []string{"a", "b", "c"} {
			h.set(x, dead)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		for id, o := range h.outcomes {
			if o.Failures > 0 {
				t.Errorf("config %d is blamed for an outage: %+v", id, o)
			}
		}
	})
}

// The standby's core ends between its promotion and the swap.
func TestStandbyDiesBeforeTheSwap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{t: t, world: newWorld("a", "b"), memory: newMemory("a", "b")}
		config := settings.Default()
		config.Health.Enabled = false // what it takes to hide nothing
		deps := h.deps(config)
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
		slow.wait.Store(int64(20 * time.Millisecond)) // opening the store, syncing a record
		go h.rotate(id(2))
		time.Sleep(65 * time.Millisecond)
		for _, c := range h.running() {
			if c.host == "b" {
				c.exit("signal: killed")
			}
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if h.targetHost() == "(gone)" {
			t.Errorf("ten minutes later the front's target is a core that is gone: %s, %q", h.s.status().State, h.s.status().Message)
		}
		h.stop()
	})
}

// Strong hints in a row.
func TestStrongHintStorm(t *testing.T) {
	bubble(t, "a b", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		events, stop := h.s.Subscribe()
		var degraded atomic.Int64
		quit := make(chan struct{})
		defer close(quit)
		go func() {
			for {
				select {
				case e := <-events:
					if e.Status.State == ipc.StateDegraded {
						degraded.Add(1)
					}
				case <-quit:
					return
				}
			}
		}()
		probes := h.asked()
		for range 600 { // ten minutes: one site that the active server's address is refused by
			time.Sleep(time.Second)
			h.rescued()
		}
		synctest.Wait()
		t.Logf("rescued: %d probes in ten minutes, degraded %d times", h.asked()-probes, degraded.Load())
		if h.asked()-probes > 600 {
			t.Error("too many")
		}
		probes = h.asked()
		for range 600 {
			time.Sleep(300 * time.Millisecond)
			h.signals <- front.Signal{TargetID: h.s.status().Session.ID, Kind: front.Silent}
		}
		synctest.Wait()
		t.Logf("silent: %d probes in three minutes, degraded %d", h.asked()-probes, degraded.Load())
		stop()
		_ = events
	})
}

// The first failing handshake of a core whose way out works.
func TestOneLostHandshakeRotates(t *testing.T) {
	bubble(t, "a b", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		h.set("a", func(s *server) { s.hung = true })
		time.Sleep(16 * time.Second) // one check
		h.set("a", func(s *server) { s.hung = false })
		time.Sleep(time.Minute)
		synctest.Wait()
		if l := h.s.status().LastRotation; l != nil {
			t.Errorf("rotated: %s %s; a: %+v", l.ReasonCode, l.Reason, h.outcomes[1])
		}
	})
}

// A frozen core's message.
func TestFrozenCoreMessage(t *testing.T) {
	bubble(t, "a b", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		h.set("a", func(s *server) { s.hung, s.dead = true, true })
		h.rescued()
		h.waitRotation(time.Minute)
		l := h.s.status().LastRotation
		t.Logf("%s: %q", l.ReasonCode, l.Reason)
		if strings.Contains(l.Reason, "canceled") {
			t.Error("it says canceled")
		}
	})
}
