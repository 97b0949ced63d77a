package supervisor_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/store/storetest"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// What happens when one thing comes in the middle of another.

func TestCandidateZeroWithoutASession(t *testing.T) {
	daemontest.Bubble(t, "a", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		h.Set("a", func(s *daemontest.Server) { s.NoStart = true })
		h.Kill("a", "exit status 1")
		h.Want(ipc.StateConnecting, "")
		time.Sleep(10 * time.Second)
		if _, err := h.Rotate(new(int64(0))); ipc.CodeOf(err) != ipc.CodeNotFound {
			t.Errorf("%v", err)
		}
	})
}

// After a crash in the middle of a rotation the session that served goes on; the one that had not
// proven itself is ended.
func TestReattachPrefersTheOneThatServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := daemontest.NewHarness(t, "a b")
		for i, host := range []string{"a", "b"} {
			pid := 4000 + i
			h.Leave(host, xray.Identity{PID: pid, StartTime: 99, BootID: "boot"}, xray.Inbound{Address: "core-" + host, User: "u", Password: "p"})
			h.Edit(func(r *storetest.Records) {
				r.Sessions[int64(7+i)] = store.Session{
					ID: int64(7 + i), ConfigID: int64(1 + i), Status: []store.Status{store.StatusRunning, store.StatusStarting}[i],
					PID: pid, PIDStart: 99, BootID: "boot",
					Inbounds: []store.Inbound{{Protocol: "socks", Address: "core-" + host, User: "u", Password: "p"}},
				}
			})
		}
		h.Desire(store.Desired{Connected: true, ConfigID: 1})
		h.Boot(nil)
		time.Sleep(time.Second)
		h.Want(ipc.StateConnected, "a")
		if s := h.Status().Session; s == nil || s.ID != 7 || len(h.Running()) != 1 {
			t.Errorf("session %+v, %d cores", s, len(h.Running()))
		}
		if got := h.Session(8); got.Status.Live() || got.EndCode != "reattach_not_needed" {
			t.Errorf("the unproven one: %+v", got)
		}
		h.Stop()
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
func TestCoreExitDuringARotation(t *testing.T) {
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

func TestConnectToTheActiveOneStopsARotation(t *testing.T) {
	daemontest.Bubble(t, "a b", func(c *settings.Settings) { c.Rotation.Interval = settings.Duration(time.Hour) }, func(h *daemontest.Harness) {
		h.Connect(1)
		h.Set("b", func(s *daemontest.Server) { s.Latency = 2 * time.Second })
		for h.State().State != ipc.StateRotating {
			time.Sleep(time.Second)
		}
		h.Connect(1)
		time.Sleep(time.Minute)
		h.Want(ipc.StateConnected, "a")
		if len(h.Running()) != 1 {
			t.Errorf("%d cores run", len(h.Running()))
		}
	})
}

func TestShutdownIsBoundedWithADeadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := daemontest.NewHarness(t, "a")
		hang := make(chan struct{})
		h.Before(func(_ context.Context, method string) error {
			if method != "SetDesired" {
				return nil
			}
			<-hang
			return errors.New("too late")
		})
		h.Boot(daemontest.WithStandby)
		go h.Do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: new(int64(1))})
		time.Sleep(time.Second)
		began := time.Now()
		h.Stop()
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("it took %v", took)
		}
		if len(h.Running()) > 0 || h.World.FrontOpen {
			t.Errorf("%d cores run, front open %v", len(h.Running()), h.World.FrontOpen)
		}
		close(hang)
	})
}

func TestDisconnectOvertakenByAShutdownIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := daemontest.NewHarness(t, "a")
		h.Boot(nil)
		h.Connect(1)
		var disconnected, shut error
		var wg sync.WaitGroup
		h.World.StopTime = time.Second
		wg.Go(func() { _, disconnected = h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect}) })
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() { _, shut = h.Do(ipc.Request{Type: ipc.KindDaemonShutdown}) })
		wg.Wait()
		if disconnected != nil || shut != nil {
			t.Errorf("disconnect: %v; shutdown: %v", disconnected, shut)
		}
		if h.Look().Desired.Connected {
			t.Error("still wants to be connected")
		}
		h.Stop()
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

func TestFailedRotationByHandChangesNothing(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(time.Second)
		h.Set("b", daemontest.Dead)
		h.Rotate(new(int64(2)))
		h.Rotate(new(int64(99)))
		if s := h.State(); s.Message != "" || s.State != ipc.StateConnected || s.Attempts != 0 {
			t.Errorf("%s, message %q, attempts %d", s.State, s.Message, s.Attempts)
		}
		for _, s := range h.Records() {
			if s.ConfigID == 2 && (s.Status != store.StatusFailed || s.EndCode != "probe_timeout" || s.ReasonCode != "user_request" || s.EndReason == "") {
				t.Errorf("record of the candidate: %+v", s)
			}
		}
	})
}

func TestNoTimerWhileRotationIsOff(t *testing.T) {
	daemontest.Bubble(t, "a b", func(c *settings.Settings) { c.Rotation.Interval = settings.Duration(time.Hour) }, func(h *daemontest.Harness) {
		h.Do(ipc.Request{Type: ipc.KindProxyStop})
		h.Connect(1)
		if next := h.State().Rotation.NextTimerEpochSecs; next != nil {
			t.Errorf("next timer %d", *next)
		}
	})
}

// A check's result that arrives when another session serves is not held against that one.
func TestLateCheckResult(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(14 * time.Second)
		h.Set("a", daemontest.Dead)
		time.Sleep(2 * time.Second) // the check is in flight, and ends a second from now
		h.Rotate(new(int64(2)))
		for range 500 {
			time.Sleep(10 * time.Millisecond)
			if s := h.State(); s.State != ipc.StateConnected && s.State != ipc.StateConnecting {
				t.Fatalf("%s: %s", s.State, s.Message)
			}
		}
	})
}

// What hangs on a server that died is cut soon after the rotation; a drain after a rotation by hand
// has its whole time.
func TestHangingConnectionsOfADeadServerAreCut(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		first := h.Connect(1)
		h.World.Mu.Lock()
		h.DrainTill[first.SessionID] = make(chan struct{}) // never ends by itself
		h.World.Mu.Unlock()
		h.Set("a", daemontest.Dead)
		for h.State().LastRotation == nil {
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(6 * time.Second)
		if got := h.Session(first.SessionID).Status; got != store.StatusStopped || len(h.Running()) != 1 {
			t.Errorf("the dead server's session is %s, %d cores run", got, len(h.Running()))
		}
	})
}
