package supervisor_test

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/store/storetest"
	"github.com/xrat-tray/xrat/runtime/front"
)

// The tests of this file are called after what went wrong once.

// Standby becomes the same config as the active one.
var _ = 0

func TestStandbyIsTheActiveConfig(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		h.Set("b", func(s *daemontest.Server) { s.Latency = 100 * time.Millisecond })
		time.Sleep(580 * time.Millisecond)
		synctest.Wait()
		h.Connect(2)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if s := h.Status(); s.Standby != nil && s.Standby.ConfigID == s.Session.ConfigID {
			t.Errorf("standby is config %d, active %d", s.Standby.ConfigID, s.Session.ConfigID)
		}
	})
}

// Fresh standby is outside of the window after attempts in vain.
func TestFreshStandbyOutsideTheWindow(t *testing.T) {
	daemontest.Bubble(t, daemontest.Hosts(200), daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		for i := range 200 {
			h.Set(fmt.Sprintf("h%d", i+1), daemontest.Dead)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		host := h.StandbyHost()
		h.Set(host, daemontest.Alive)
		n := h.Starts()
		took := h.WaitRotation(30 * time.Minute)
		if took > 9*time.Second {
			t.Errorf("it took %v, %d starts; now on %s, standby was %s; winner %q, considered %d", took, h.Starts()-n, h.TargetHost(), host, h.Status().LastRotation.Winner, len(h.Status().LastRotation.Considered))
		}
	})
}

// The desired config is forgotten when the front's port was taken for a while.
func TestDesiredFirstAfterPortTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := daemontest.NewHarness(t, daemontest.Hosts(12))
		h.Desire(store.Desired{Connected: true, ConfigID: 1})
		h.OpenErr = fmt.Errorf("taken")
		h.Boot(daemontest.WithStandby)
		time.Sleep(10 * time.Second)
		h.World.Mu.Lock()
		h.OpenErr = nil
		h.World.Mu.Unlock()
		time.Sleep(time.Minute)
		h.Want(ipc.StateConnected, "h1")
		h.Stop()
	})
}

// Binary is missing for a moment at a core's death.
func TestDesiredFirstAfterNoCore(t *testing.T) {
	daemontest.Bubble(t, daemontest.Hosts(20), daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		h.LoseCore(errors.New("no xray"))
		for _, c := range h.Running() {
			c.Exit("signal: killed")
		}
		time.Sleep(5 * time.Second)
		h.LoseCore(nil)
		time.Sleep(time.Minute)
		h.Want(ipc.StateConnected, "h1")
		t.Logf("%+v", h.Look().Outcomes[1])
	})
}

// Eight proven configs that are dead keep the ninth from being the standby.
func TestStandbySearchNeverLeavesTheFirstEight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := daemontest.NewHarness(t, daemontest.Hosts(10))
		for i := 2; i <= 9; i++ {
			h.Edit(func(r *storetest.Records) {
				r.Outcomes[int64(i)] = store.Outcome{ConfigID: int64(i), Successes: 5, Good: 5, LastSuccess: time.Now(), LatencyMS: 50}
			})
			h.Set(fmt.Sprintf("h%d", i), daemontest.Dead)
		}
		h.Boot(daemontest.WithStandby)
		h.Connect(1)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if h.StandbyHost() != "h10" {
			t.Errorf("standby %q after a day, %d starts", h.StandbyHost(), h.Starts())
		}
		h.Stop()
	})
}

// A standby that has just failed its check is kept.
func TestFailedStandbyIsKept(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		host := h.StandbyHost()
		h.Set(host, func(s *daemontest.Server) { s.Refuse = true })
		h.Set("a", daemontest.Dead)
		h.Rescued()
		h.WaitRotation(10 * time.Second)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if h.StandbyHost() == host {
			t.Errorf("30 s after the rotation to %s the standby is still %s, which refuses: %+v", h.TargetHost(), host, h.Look().Outcomes[2])
		}
	})
}

// A standby whose core ends soon after its start is started over and over.
func TestStandbyCrashLoop(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(5 * time.Second)
		n := h.Starts()
		for range 600 {
			time.Sleep(200 * time.Millisecond)
			h.Kill("b", "exit status 2")
		}
		if got := h.Starts() - n; got > 15 {
			t.Errorf("%d starts in two minutes", got)
		}
	})
}

// An outage that begins just before the look at the standby.
func TestOutageBlamesTheStandby(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		// The look at the standby comes next, and the check of the active server long after.
		var checkedAt time.Time
		for n := h.Probed("a"); ; n = h.Probed("a") {
			time.Sleep(100 * time.Millisecond)
			if h.Probed("a") > n {
				checkedAt = time.Now()
			}
			lookAt, checkAt := h.Status().Standby.CheckedAt.Add(2*time.Minute), checkedAt.Add(15*time.Second)
			if !checkedAt.IsZero() && checkAt.Sub(lookAt) > 8*time.Second && time.Until(lookAt) < 500*time.Millisecond {
				break
			}
			if time.Since(lookAt) > time.Hour {
				t.Fatal("no such moment")
			}
		}
		for _, x := range []string{"a", "b", "c"} {
			h.Set(x, daemontest.Dead)
		}
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		for id, o := range h.Look().Outcomes {
			if o.Failures > 0 {
				t.Errorf("config %d is blamed for an outage: %+v", id, o)
			}
		}
	})
}

// The standby's core ends between its promotion and the swap.
func TestStandbyDiesBeforeTheSwap(t *testing.T) {
	daemontest.Bubble(t, "a b", func(c *settings.Settings) {
		c.Rotation.Standby = true
		c.Health.Enabled = false // what it takes to hide nothing
	}, func(h *daemontest.Harness) {
		slow := h.SlowOutcomes()
		h.Connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		slow.Store(int64(20 * time.Millisecond)) // opening the store, syncing a record
		go h.Rotate(new(int64(2)))
		time.Sleep(65 * time.Millisecond)
		for _, c := range h.Running() {
			if c.Host == "b" {
				c.Exit("signal: killed")
			}
		}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if h.TargetHost() == "(gone)" {
			t.Errorf("ten minutes later the front's target is a core that is gone: %s, %q", h.Status().State, h.Status().Message)
		}
	})
}

// Strong hints in a row.
func TestStrongHintStorm(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		events, stop := h.Daemon.Subscribe()
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
		probes := h.Asked()
		for range 600 { // ten minutes: one site that the active server's address is refused by
			time.Sleep(time.Second)
			h.Rescued()
		}
		synctest.Wait()
		t.Logf("rescued: %d probes in ten minutes, degraded %d times", h.Asked()-probes, degraded.Load())
		if h.Asked()-probes > 600 {
			t.Error("too many")
		}
		probes = h.Asked()
		for range 600 {
			time.Sleep(300 * time.Millisecond)
			h.Hints <- front.Signal{TargetID: h.Status().Session.ID, Kind: front.Silent}
		}
		synctest.Wait()
		t.Logf("silent: %d probes in three minutes, degraded %d", h.Asked()-probes, degraded.Load())
		stop()
		_ = events
	})
}

// The first failing handshake of a core whose way out works.
func TestOneLostHandshakeRotates(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		h.Set("a", func(s *daemontest.Server) { s.Hung = true })
		time.Sleep(16 * time.Second) // one check
		h.Set("a", func(s *daemontest.Server) { s.Hung = false })
		time.Sleep(time.Minute)
		synctest.Wait()
		if l := h.Status().LastRotation; l != nil {
			t.Errorf("rotated: %s %s; a: %+v", l.ReasonCode, l.Reason, h.Look().Outcomes[1])
		}
	})
}

// A frozen core's message.
func TestFrozenCoreMessage(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		h.Set("a", func(s *daemontest.Server) { s.Hung, s.Dead = true, true })
		h.Rescued()
		h.WaitRotation(time.Minute)
		l := h.Status().LastRotation
		t.Logf("%s: %q", l.ReasonCode, l.Reason)
		if strings.Contains(l.Reason, "canceled") {
			t.Error("it says canceled")
		}
	})
}
