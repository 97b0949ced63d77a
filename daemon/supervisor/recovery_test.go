package supervisor_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
)

// That the executable is missing says nothing about any config.
func TestMissingCoreBlamesNobody(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
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

// A port that was taken for a while does not make the daemon forget what the user wants.
func TestDesiredConfigIsTriedFirstAfterATakenPort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := daemontest.NewHarness(t, daemontest.Hosts(12))
		h.Desire(store.Desired{Connected: true, ConfigID: 1})
		h.OpenErr = fmt.Errorf("taken")
		h.Boot(daemontest.WithStandby)
		time.Sleep(10 * time.Second)
		h.Locked(func() { h.OpenErr = nil })
		time.Sleep(time.Minute)
		h.Want(ipc.StateConnected, "h1")
		h.Stop()
	})
}

// Nor does an executable that was missing for a moment.
func TestDesiredConfigIsTriedFirstAfterAMissingCore(t *testing.T) {
	daemontest.Bubble(t, daemontest.Hosts(20), daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
		h.LoseCore(errors.New("no xray"))
		for _, c := range h.Running() {
			c.Exit("signal: killed")
		}
		time.Sleep(5 * time.Second)
		h.LoseCore(nil)
		time.Sleep(time.Minute)
		h.Want(ipc.StateConnected, "h1")
	})
}

// A long wait after failures must not hold back the next recovery.
func TestSuccessEndsTheBackoff(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Do(ipc.Request{Type: ipc.KindProxyStop})
		h.Connect(1)
		h.Set("a", func(s *daemontest.Server) { s.NoStart = true })
		h.Kill("a", "exit status 1")
		time.Sleep(10 * time.Minute)
		h.Connect(2)
		h.Kill("b", "signal: killed")
		time.Sleep(time.Second)
		h.Want(ipc.StateConnected, "b")
	})
}

// The core in use dies while the timer's rotation tries dead candidates: it is back at once all the
// same.
func TestCoreThatEndsDuringARotationIsBackAtOnce(t *testing.T) {
	daemontest.Bubble(t, "a b c d e f", func(c *settings.Settings) { c.Rotation.Interval = settings.Duration(time.Hour) }, func(h *daemontest.Harness) {
		h.Connect(1)
		for _, host := range strings.Fields("b c d e f") {
			h.Set(host, daemontest.Dead)
		}
		for h.State().State != ipc.StateRotating {
			time.Sleep(time.Second)
		}
		h.Kill("a", "signal: killed")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if got := h.TargetHost(); got != "a" {
			t.Errorf("after 100 ms the target is %q", got)
		}
		time.Sleep(time.Minute)
		h.Want(ipc.StateConnected, "a")
		if len(h.Running()) != 1 {
			t.Errorf("%d cores run", len(h.Running()))
		}
	})
}

// A core that keeps ending is left for a config that has proven itself, and what happens to that
// one's core is not held against it.
func TestCrashLoopGoesToAProvenConfig(t *testing.T) {
	daemontest.Bubble(t, "a b c", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		h.Set("b", daemontest.Dead)
		for range 3 {
			time.Sleep(100 * time.Millisecond)
			h.Kill("a", "exit status 2")
		}
		time.Sleep(10 * time.Second)
		h.Want(ipc.StateConnected, "c")
		l := h.Status().LastRotation
		if l == nil || l.FromConfigName != "a" || l.ToConfigName != "c" || l.ReasonCode != "core_crash_loop" {
			t.Errorf("last rotation %+v", l)
		}
		h.Kill("c", "exit status 2") // the first of its own
		time.Sleep(time.Second)
		h.Want(ipc.StateConnected, "c")
		var newest store.Session
		for _, s := range h.Records() {
			newest = s
			break
		}
		if newest.PreviousID == 0 {
			t.Error("the chain of sessions is broken")
		}
	})
}

// A core that was killed is there again with its config within 100 ms, in a new session, and the
// front stays open.
func TestCoreExitRestartsTheSameConfig(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		first := h.Connect(1)
		time.Sleep(time.Minute)
		h.Running()[0].Exit("signal: killed")
		died := time.Now()
		for h.State().Session == nil {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(died); took > 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		time.Sleep(time.Second)
		h.Want(ipc.StateConnected, "a")
		status := h.Status()
		if status.Session.ID == first.SessionID || status.Session.ReasonCode != "core_exited" || h.Gaps != 1 || !h.World.FrontOpen {
			t.Errorf("session %+v, gaps %d, front open %v", status.Session, h.Gaps, h.World.FrontOpen)
		}
		if got := h.Session(first.SessionID); got.Status != store.StatusFailed || got.EndCode != "core_exited" || got.EndReason != "signal: killed" {
			t.Errorf("record %+v", got)
		}
	})
}

// The third end in a row of a core by itself moves to another config.
func TestCrashLoopMovesOn(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		for range 3 {
			time.Sleep(100 * time.Millisecond)
			for _, c := range h.Running() {
				if c.Host == "a" {
					c.Exit("exit status 2")
				}
			}
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		h.Want(ipc.StateConnected, "b")
		if got := h.Status().Session.ReasonCode; got != "core_crash_loop" {
			t.Errorf("reason %s", got)
		}
	})
}

// The only config's core keeps ending: it is started ever more rarely, but not given up.
func TestOnlyConfigIsRestartedEverMoreRarely(t *testing.T) {
	daemontest.Bubble(t, "a", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		crash := func(cause string, during time.Duration) int {
			before := h.Starts()
			for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
				for _, c := range h.Running() {
					c.Exit(cause)
				}
			}
			return h.Starts() - before
		}
		if n := crash("exit status 2", 20*time.Second); n > 7 {
			t.Errorf("%d starts in 20 s", n)
		}
		if n := crash("exit status 2", 10*time.Minute); n < 8 || n > 17 {
			t.Errorf("%d starts in 10 min", n)
		}
		if !h.World.FrontOpen {
			t.Error("the front was closed")
		}
		time.Sleep(2 * time.Minute)
		h.Want(ipc.StateConnected, "a")
		// Killed from outside, it is back at once, however often.
		if n := crash("signal: killed", time.Minute); n < 250 {
			t.Errorf("%d starts in a minute of kills", n)
		}
	})
}

// A core that always ends at once must not be started over and over.
func TestCoreThatNeverStartsIsRetriedRarely(t *testing.T) {
	daemontest.Bubble(t, "a", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		h.Set("a", func(s *daemontest.Server) { s.NoStart = true })
		h.Running()[0].Exit("exit status 1")
		time.Sleep(20 * time.Second)
		if n := h.Starts(); n > 1+6 {
			t.Errorf("%d starts in 20 s", n)
		}
		h.Want(ipc.StateFailed, "")
		if !h.World.FrontOpen {
			t.Error("the front was closed")
		}
		before := h.Starts()
		time.Sleep(10 * time.Minute)
		if n := h.Starts() - before; n > 14 || n < 8 {
			t.Errorf("%d starts in 10 min", n)
		}
		h.Set("a", func(s *daemontest.Server) { s.NoStart = false })
		time.Sleep(time.Minute + 5*time.Second)
		h.Want(ipc.StateConnected, "a")
	})
}
