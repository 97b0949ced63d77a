package supervisor_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
)

// A standby that has answered is the first to be tried, whatever turn the attempts have come to.
func TestStandbyIsTriedFirstAfterAttemptsInVain(t *testing.T) {
	daemontest.Bubble(t, daemontest.Hosts(200), daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
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

// The end of a standby's core between its promotion and the swap is noticed.
func TestStandbyThatEndsBeforeTheSwapIsNotLeftAsTarget(t *testing.T) {
	daemontest.Bubble(t, "a b", func(c *settings.Settings) {
		c.Rotation.Standby = true
		c.Health.Enabled = false // what it takes to hide nothing
	}, func(h *daemontest.Harness) {
		slow := h.SlowOutcomes()
		h.Settle()
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

// While a rotation waits for a dead candidate, everything that only asks is answered at once, a
// second intent is refused, and a disconnect wins.
func TestSecondIntentIsBusyAndDisconnectWins(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		h.Set("b", func(s *daemontest.Server) { s.Dead = true })
		var rotated error
		var wg sync.WaitGroup
		wg.Go(func() { _, rotated = h.Rotate(new(int64(2))) })
		synctest.Wait()
		before := time.Now()
		h.Want(ipc.StateRotating, "a")
		for _, kind := range []ipc.Kind{ipc.KindDaemonPing, ipc.KindStatus, ipc.KindRuntimeStatus, ipc.KindProxyStatus, ipc.KindConfigList, ipc.KindSessionList} {
			if _, err := h.Do(ipc.Request{Type: kind}); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: new(int64(2))}); ipc.CodeOf(err) != ipc.CodeBusy {
			t.Errorf("a second intent: %v", err)
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindProxyStop}); err != nil {
			t.Errorf("proxy_stop: %v", err)
		}
		if waited := time.Since(before); waited > 0 {
			t.Errorf("these answers took %v of the rotation's time", waited)
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect}); err != nil {
			t.Errorf("disconnect: %v", err)
		}
		if waited := time.Since(before); waited > time.Second {
			t.Errorf("the disconnect took %v", waited)
		}
		wg.Wait()
		if ipc.CodeOf(rotated) != ipc.CodeInvalidState {
			t.Errorf("the rotation that lost: %v", rotated)
		}
		h.Want(ipc.StateDisconnected, "")
		if len(h.Running()) > 0 {
			t.Error("a core is left")
		}
	})
}

// With everything dead the old session stays, nobody is blamed, attempts become rare, and all is
// well soon after the network is back.
func TestNothingHealthyKeepsTheOldSession(t *testing.T) {
	daemontest.Bubble(t, "a b c", nil, func(h *daemontest.Harness) {
		first := h.Connect(1)
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, func(s *daemontest.Server) { s.Dead = true })
		}
		time.Sleep(time.Hour)
		for h.State().State == ipc.StateRotating { // an attempt is under way
			time.Sleep(100 * time.Millisecond)
		}
		h.Want(ipc.StateDegraded, "a")
		status := h.Status()
		if status.Session.ID != first.SessionID || !strings.Contains(status.Message, "staying on a") {
			t.Errorf("%+v", status)
		}
		started := h.Starts()
		// Two candidates an attempt, an attempt at most every 45 s in the end.
		if started > 1+2*90 || started < 20 {
			t.Errorf("%d cores were started in an hour", started)
		}
		if len(h.Look().Outcomes) > 1 || h.Look().Outcomes[1].Failures > 0 {
			t.Errorf("blamed without proof: %+v", h.Look().Outcomes)
		}
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, func(s *daemontest.Server) { s.Dead = false })
		}
		back := time.Now()
		for h.State().State != ipc.StateConnected {
			if time.Sleep(100 * time.Millisecond); time.Since(back) > 20*time.Second {
				t.Fatal("still not connected 20 s after the network's return")
			}
		}
		if h.Gaps > 0 {
			t.Errorf("the front had no target %d times", h.Gaps)
		}
	})
}

// The standby that does not work either proves nothing against the active one.
func TestNoBlameWithoutProof(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		first := h.Settle()
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, daemontest.Dead)
		}
		h.Rescued()
		for h.State().Condition != ipc.ConditionNoWorking {
			time.Sleep(100 * time.Millisecond)
		}
		status := h.Status()
		if status.State != ipc.StateDegraded || status.Session.ID != first.SessionID || !strings.Contains(status.Message, "no working config") {
			t.Errorf("%+v", status)
		}
		started := h.Starts()
		time.Sleep(20 * time.Second)
		if n := h.Starts() - started; n > 10 {
			t.Errorf("%d cores were started in 20 s", n)
		}
		for id, o := range h.Look().Outcomes {
			if o.Failures > 0 {
				t.Errorf("config %d is blamed: %+v", id, o)
			}
		}
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, daemontest.Alive)
		}
		back := time.Now()
		for h.State().State != ipc.StateConnected {
			if time.Sleep(100 * time.Millisecond); time.Since(back) > 5*time.Second {
				t.Fatalf("5 s after the network's return: %+v", h.Status())
			}
		}
		if got := h.Status(); got.Session.ID != first.SessionID || got.Condition != "" || got.Message != "" {
			t.Errorf("%+v", got)
		}
	})
}

// When the active server is dead, several candidates are tried at a time, and of the others nothing
// is left.
func TestFirstOfARaceWinsAndTheOthersGo(t *testing.T) {
	daemontest.Bubble(t, "a b c d", nil, func(h *daemontest.Harness) {
		h.Settle()
		h.Set("b", daemontest.Dead)
		h.Set("c", daemontest.Dead)
		h.Set("a", daemontest.Dead)
		h.Rescued()
		// Three rounds of 3 s that overlap; then d answers while b and c are silent.
		if took := h.WaitRotation(time.Minute); took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
		h.Want(ipc.StateConnected, "d")
		if h.MaxCores > 4 {
			t.Errorf("%d cores at a time", h.MaxCores)
		}
		time.Sleep(10 * time.Second)
		if synctest.Wait(); len(h.Running()) != 1 {
			t.Errorf("%d cores are left", len(h.Running()))
		}
		for id, o := range h.Look().Outcomes {
			if (id == 2 || id == 3) && o.Failures > 0 {
				t.Errorf("config %d was called off, and is blamed: %+v", id, o)
			}
		}
	})
}
