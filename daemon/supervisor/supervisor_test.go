package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/xray"
)

func TestConnectAndDisconnect(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Want(ipc.StateDisconnected, "")
		if h.World.FrontOpen {
			t.Error("the front is open while disconnected")
		}
		p := h.Connect(2)
		h.Want(ipc.StateConnected, "b")
		status := h.Status()
		if s := status.Session; s == nil || s.ConfigID != 2 || s.PID != p.PID || s.Trigger != ipc.TriggerManual || s.LatencyMillis != 50 {
			t.Errorf("session %+v", s)
		}
		if got := h.Session(p.SessionID); got.Status != store.StatusRunning || got.PID != p.PID || got.Nonce == "" || len(got.Inbounds) != 1 {
			t.Errorf("record %v", got)
		}
		if h.Look().Desired != (store.Desired{Connected: true, ConfigID: 2}) {
			t.Errorf("desired %+v", h.Look().Desired)
		}
		again := h.Connect(2)
		if again.SessionID != p.SessionID {
			t.Error("connecting to the active config made a new session")
		}
		payload, err := h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		if err != nil || !payload.(ipc.DisconnectPayload).StoppedSession {
			t.Errorf("disconnect: %+v, %v", payload, err)
		}
		h.Want(ipc.StateDisconnected, "")
		if h.World.FrontOpen || len(h.Running()) > 0 || h.Look().Desired.Connected {
			t.Errorf("after a disconnect: front open %v, %d cores, desired %+v", h.World.FrontOpen, len(h.Running()), h.Look().Desired)
		}
		got := h.Session(p.SessionID)
		if got.Status != store.StatusStopped || got.EndCode != "user_request" || got.EndedAt.IsZero() || got.DownBytes != uint64(p.SessionID)*100 {
			t.Errorf("record %+v", got)
		}
		payload, err = h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		if err != nil || payload.(ipc.DisconnectPayload).StoppedSession {
			t.Errorf("second disconnect: %+v, %v", payload, err)
		}
	})
}

func TestConnectFails(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*daemontest.Harness)
		config  *int64
		code    ipc.Code
		want    string
	}{
		"dead server": {func(h *daemontest.Harness) { h.Set("a", func(s *daemontest.Server) { s.Dead = true }) }, new(int64(1)), ipc.CodeInternalError, "no answer through it"},
		"all dead": {func(h *daemontest.Harness) {
			h.Set("a", func(s *daemontest.Server) { s.Dead = true })
			h.Set("b", func(s *daemontest.Server) { s.Dead = true })
		}, nil, ipc.CodeInternalError, "none of 2 configs"},
		"core ends":     {func(h *daemontest.Harness) { h.Set("a", func(s *daemontest.Server) { s.NoStart = true }) }, new(int64(1)), ipc.CodeInternalError, "exit status 23"},
		"no such":       {func(*daemontest.Harness) {}, new(int64(99)), ipc.CodeNotFound, "99"},
		"no core":       {func(h *daemontest.Harness) { h.LocateErr = errors.New("no Xray core found") }, nil, ipc.CodeInternalError, "no Xray core found"},
		"port taken":    {func(h *daemontest.Harness) { h.OpenErr = errors.New("address already in use") }, new(int64(1)), ipc.CodeInternalError, "opening the front"},
		"nothing there": {func(h *daemontest.Harness) { h.Edit(func(r *storetest.Records) { clear(r.Configs) }) }, nil, ipc.CodeInvalidState, "xrat import"},
	} {
		t.Run(name, func(t *testing.T) {
			daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
				test.prepare(h)
				_, err := h.Do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: test.config})
				if ipc.CodeOf(err) != test.code || !strings.Contains(fmt.Sprint(err), test.want) {
					t.Errorf("got %v (%s); want %s with %q", err, ipc.CodeOf(err), test.code, test.want)
				}
				h.Want(ipc.StateDisconnected, "")
				if h.World.FrontOpen || len(h.Running()) > 0 || h.Look().Desired.Connected {
					t.Errorf("front open %v, %d cores, desired %+v", h.World.FrontOpen, len(h.Running()), h.Look().Desired)
				}
				if len(h.Look().Outcomes) > 0 {
					t.Errorf("blamed without proof: %+v", h.Look().Outcomes)
				}
			})
		})
	}
}

func TestConnectUncheckedTakesADeadServer(t *testing.T) {
	daemontest.Bubble(t, "a", func(c *settings.Settings) { c.Rotation.Enabled = false }, func(h *daemontest.Harness) {
		h.Set("a", func(s *daemontest.Server) { s.Dead = true })
		if _, err := h.Do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: new(int64(1)), Unchecked: true}); err != nil {
			t.Fatal(err)
		}
		h.Want(ipc.StateConnecting, "a")
		time.Sleep(time.Minute)
		h.Want(ipc.StateDegraded, "a")
	})
}

func TestRotateByHand(t *testing.T) {
	daemontest.Bubble(t, "a b c", nil, func(h *daemontest.Harness) {
		first := h.Connect(1)
		stream := make(chan struct{})
		h.World.Mu.Lock()
		h.DrainTill[first.SessionID] = stream
		h.World.Mu.Unlock()
		p, err := h.Rotate(nil)
		if err != nil || !p.Replaced || *p.OldSessionID != first.SessionID || p.NewConfigID != 2 {
			t.Fatalf("%+v, %v", p, err)
		}
		h.Want(ipc.StateConnected, "b")
		if got := h.Session(first.SessionID).Status; got != store.StatusDraining {
			t.Errorf("the old session is %s", got)
		}
		if got := h.Session(p.NewSessionID).PreviousID; got != first.SessionID {
			t.Errorf("previous session %d", got)
		}
		close(stream)
		synctest.Wait()
		if got := h.Session(first.SessionID); got.Status != store.StatusStopped || len(h.Running()) != 1 {
			t.Errorf("after the drain the old session is %s, %d cores run", got.Status, len(h.Running()))
		}
		if p, err := h.Rotate(nil); err != nil || p.NewConfigID != 3 {
			t.Errorf("the second rotation went to %d: %v", p.NewConfigID, err)
		}
		if p, err := h.Rotate(new(int64(1))); err != nil || p.NewConfigID != 1 {
			t.Errorf("rotate 1: %+v, %v", p, err)
		}
		status := h.Status()
		r := status.Rotation
		if *r.LastTrigger != ipc.TriggerManual || r.LastResult != "replaced" || *r.LastCandidateConfigID != 1 ||
			r.LastCandidateResult != "healthy" || !r.CooldownActive || *r.ActiveConfigID != 1 {
			t.Errorf("rotation %+v", r)
		}
		if l := status.LastRotation; l == nil || l.FromConfigName != "c" || l.ToConfigName != "a" {
			t.Errorf("last rotation %+v", l)
		}
		if h.Gaps > 0 {
			t.Errorf("the front had no target %d times", h.Gaps)
		}
	})
}

func TestDrainIsBounded(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		first := h.Connect(1)
		h.World.Mu.Lock()
		h.DrainTill[first.SessionID] = make(chan struct{}) // never ends
		h.World.Mu.Unlock()
		h.Rotate(nil)
		time.Sleep(29 * time.Second)
		if len(h.Running()) != 2 {
			t.Error("the old core did not get its 30 s")
		}
		time.Sleep(2 * time.Second)
		if len(h.Running()) != 1 {
			t.Error("the old core outlives the drain")
		}
	})
}

func TestRotateToADeadOneKeepsTheOld(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		first := h.Connect(1)
		h.Set("b", func(s *daemontest.Server) { s.Dead = true })
		_, err := h.Rotate(new(int64(2)))
		if err == nil || !strings.Contains(err.Error(), "b is not usable") {
			t.Errorf("got %v", err)
		}
		h.Want(ipc.StateConnected, "a")
		if s := h.Status(); s.Session.ID != first.SessionID || s.Rotation.LastResult != "all_failed" || s.Rotation.LastCandidateResult != "probe_timeout" {
			t.Errorf("%+v", s)
		}
		if _, err := h.Rotate(new(int64(1))); ipc.CodeOf(err) != ipc.CodeInvalidState {
			t.Errorf("rotating to the active one: %v", err)
		}
		if _, err := h.Rotate(new(int64(9))); ipc.CodeOf(err) != ipc.CodeNotFound {
			t.Errorf("rotating to nowhere: %v", err)
		}
		if h.Gaps > 0 {
			t.Errorf("the front had no target %d times", h.Gaps)
		}
	})
}

func TestRotateWithoutAnything(t *testing.T) {
	daemontest.Bubble(t, "a", nil, func(h *daemontest.Harness) {
		if _, err := h.Rotate(nil); ipc.CodeOf(err) != ipc.CodeInvalidState {
			t.Errorf("while disconnected: %v", err)
		}
		h.Connect(1)
		if _, err := h.Rotate(nil); ipc.CodeOf(err) != ipc.CodeInvalidState || !strings.Contains(err.Error(), "no other config") {
			t.Errorf("with one config: %v", err)
		}
		h.Want(ipc.StateConnected, "a")
	})
}

// While a rotation waits for a dead candidate, everything that only asks is answered at once, a
// second intent is refused, and a disconnect wins.
func TestRotationInFlight(t *testing.T) {
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

func TestHealthRotation(t *testing.T) {
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

func TestOneFailedCheckIsNoReason(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(10 * time.Second)
		h.Set("a", func(s *daemontest.Server) { s.Dead = true })
		for h.State().State != ipc.StateDegraded {
			time.Sleep(100 * time.Millisecond)
		}
		h.Set("a", func(s *daemontest.Server) { s.Dead = false })
		time.Sleep(time.Minute)
		h.Want(ipc.StateConnected, "a")
		if h.Status().LastRotation != nil || h.Status().Message != "" {
			t.Errorf("%+v", h.Status())
		}
	})
}

func TestHealthDoesNotRotateWhenSwitchedOff(t *testing.T) {
	for name, off := range map[string]func(*daemontest.Harness, *settings.Settings){
		"health.enabled":   func(_ *daemontest.Harness, c *settings.Settings) { c.Health.Enabled = false },
		"rotation.enabled": func(_ *daemontest.Harness, c *settings.Settings) { c.Rotation.Enabled = false },
		"proxy_stop":       nil,
	} {
		t.Run(name, func(t *testing.T) {
			var adjust func(*settings.Settings)
			if off != nil {
				adjust = func(c *settings.Settings) { off(nil, c) }
			}
			daemontest.Bubble(t, "a b", adjust, func(h *daemontest.Harness) {
				h.Connect(1)
				if off == nil {
					h.Do(ipc.Request{Type: ipc.KindProxyStop})
				}
				h.Set("a", func(s *daemontest.Server) { s.Dead = true })
				time.Sleep(10 * time.Minute)
				h.Want(ipc.StateDegraded, "a")
				h.Set("a", func(s *daemontest.Server) { s.Dead = false })
				time.Sleep(time.Minute)
				h.Want(ipc.StateConnected, "a")
			})
		})
	}
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
func TestCrashLoopOfTheOnlyConfig(t *testing.T) {
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

func TestRestore(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		first := h.Connect(2)
		h.Stop()
		if len(h.Running()) > 0 || h.World.FrontOpen {
			t.Fatal("something is left after the shutdown")
		}
		// Stopped while connected: connects again.
		h.Boot(nil)
		time.Sleep(time.Second)
		h.Want(ipc.StateConnected, "b")
		if s := h.Status().Session; s.ID == first.SessionID || s.ReasonCode != "restored" {
			t.Errorf("%+v", s)
		}
		// Disconnected by the user: stays so.
		h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		h.Stop()
		h.Boot(nil)
		time.Sleep(time.Hour)
		h.Want(ipc.StateDisconnected, "")
		if len(h.Running()) > 0 {
			t.Error("a core runs")
		}
	})
}

func TestReattach(t *testing.T) {
	const mine, foreign = 4000, 4001
	record := store.Session{
		ID: 7, ConfigID: 1, ConfigName: "a", Status: store.StatusRunning, Trigger: "manual", Nonce: "n",
		PID: mine, PIDStart: 99, BootID: "boot", UpBytes: 1000, Connections: 5,
		Inbounds: []store.Inbound{{Protocol: "socks", Address: "core-x", User: "u", Password: "p"}},
	}
	for name, test := range map[string]struct {
		desired bool
		change  func(h *daemontest.Harness, r *store.Session)
		adopted bool
		code    string
	}{
		"alive":           {true, func(*daemontest.Harness, *store.Session) {}, true, ""},
		"just begun":      {true, func(_ *daemontest.Harness, r *store.Session) { r.Status = store.StatusStarting }, true, ""},
		"not wanted":      {false, func(*daemontest.Harness, *store.Session) {}, false, "reattach_not_needed"},
		"was draining":    {true, func(_ *daemontest.Harness, r *store.Session) { r.Status = store.StatusDraining }, false, "reattach_not_needed"},
		"config removed":  {true, func(_ *daemontest.Harness, r *store.Session) { r.ConfigID = 5 }, false, "reattach_not_needed"},
		"gone":            {true, func(_ *daemontest.Harness, r *store.Session) { r.PID = 5000 }, false, "reattach_pid_missing"},
		"another process": {true, func(_ *daemontest.Harness, r *store.Session) { r.PIDStart = 98 }, false, "reattach_identity_mismatch"},
		"another boot":    {true, func(_ *daemontest.Harness, r *store.Session) { r.BootID = "earlier" }, false, "reattach_identity_mismatch"},
		"does not answer": {true, func(_ *daemontest.Harness, r *store.Session) { r.Inbounds[0].Address = "core-y" }, false, "reattach_unhealthy"},
		"not recorded":    {true, func(_ *daemontest.Harness, r *store.Session) { r.PID, r.Inbounds = 0, nil }, false, "reattach_pid_missing"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := daemontest.NewHarness(t, "a b")
				for _, pid := range []int{mine, foreign} {
					h.Leave("a", xray.Identity{PID: pid, StartTime: 99, BootID: "boot"}, xray.Inbound{Address: "core-x", User: "u", Password: "p"})
				}
				r := record
				r.Inbounds = slices.Clone(record.Inbounds)
				test.change(h, &r)
				h.Edit(func(records *storetest.Records) { records.Sessions[7] = r })
				h.Desire(store.Desired{Connected: test.desired, ConfigID: 1})
				h.Boot(nil)
				time.Sleep(5 * time.Second)
				synctest.Wait()
				got := h.Session(7)
				status := h.Status()
				if test.adopted {
					if status.Session == nil || status.Session.ID != 7 || status.Session.PID != mine || h.Starts() > 0 || !h.World.FrontOpen || got.Status != store.StatusRunning {
						t.Errorf("not taken over: %+v, record %s", status.Session, got.Status)
					}
					if status.Traffic.UpBytes != 1000+70 || status.Traffic.Connections != 5+7 {
						t.Errorf("the record does not continue: %+v", status.Traffic)
					}
				} else {
					if got.Status.Live() || got.EndCode != test.code {
						t.Errorf("record %s, code %q; want code %q", got.Status, got.EndCode, test.code)
					}
					if test.desired != (status.Session != nil) {
						t.Errorf("session %+v", status.Session)
					}
				}
				h.World.Mu.Lock()
				if _, alive := h.Cores[foreign]; !alive {
					t.Error("a stranger was killed")
				}
				_, alive := h.Cores[mine]
				named := r.PID == mine && r.PIDStart == 99 && r.BootID == "boot"
				if !test.adopted && alive == named {
					t.Errorf("its own process alive: %v, identified: %v", alive, named)
				}
				h.World.Mu.Unlock()
				h.Stop()
			})
		})
	}
}

func TestPassiveSignalBringsTheCheckForward(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		h.Set("a", func(s *daemontest.Server) { s.Dead = true })
		seen := time.Now()
		h.Hints <- front.Signal{TargetID: h.Status().Session.ID, Kind: front.ClosedEmpty}
		h.Hints <- front.Signal{TargetID: 999, Kind: front.ClosedEmpty}
		for h.State().LastRotation == nil {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(seen); took > 11*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		for range 1000 {
			h.Hints <- front.Signal{TargetID: h.Status().Session.ID, Kind: front.ClosedEmpty}
			time.Sleep(100 * time.Millisecond)
		}
		h.Want(ipc.StateConnected, "a") // signals alone never rotate
		if h.World.Probes > 130 {
			t.Errorf("%d probes in 100 s", h.World.Probes)
		}
	})
}

func TestStoreThatCannotBeWritten(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Fail(errors.New("no space left"))
		_, message, err := h.Daemon.Handle(context.Background(), ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: new(int64(1))})
		if err != nil || !strings.Contains(message, "no space left") {
			t.Errorf("%q, %v", message, err)
		}
		h.Want(ipc.StateConnected, "a")
		if p, err := h.Rotate(nil); err != nil || p.NewConfigID != 2 {
			t.Errorf("%+v, %v", p, err)
		}
		h.Want(ipc.StateConnected, "b")
	})
}

func TestSubscribersSeeTheNewestState(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		states, cancel := h.Daemon.Subscribe()
		defer cancel()
		first := <-states
		if first.Status.State != ipc.StateDisconnected {
			t.Errorf("the first state is %s", first.Status.State)
		}
		h.Connect(1)
		h.Rotate(nil)
		time.Sleep(time.Second) // the check that follows
		synctest.Wait()
		// Nobody read meanwhile: what is there is the newest, and a gap shows.
		last := <-states
		if last.Status.State != ipc.StateConnected || last.Status.Session.ConfigID != 2 || last.Seq <= first.Seq+1 {
			t.Errorf("%d: %+v", last.Seq, last.Status.Session)
		}
		select {
		case e := <-states:
			t.Errorf("another state without a change: %+v", e)
		case <-time.After(10 * time.Second):
		}
	})
}

func TestConfigsAreListedImportedAndRemoved(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		revision := h.State().ConfigsRevision
		payload, err := h.Do(ipc.Request{Type: ipc.KindConfigImport, Text: "socks://c:1080#three\nhttp//nonsense\nsocks://d:99999\n"})
		if err != nil {
			t.Fatal(err)
		}
		p := payload.(ipc.ConfigImportPayload)
		if len(p.Added) != 1 || p.Added[0].Name != "three" || len(p.Errors) != 2 || p.Errors[0].Line != 2 || p.Errors[1].Line != 3 {
			t.Errorf("%+v", p)
		}
		if s := h.State(); s.Configs != 3 || s.ConfigsRevision == revision {
			t.Errorf("%d configs, revision %d", s.Configs, s.ConfigsRevision)
		}
		h.Connect(1)
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{2, 1}}); ipc.CodeOf(err) != ipc.CodeInvalidState {
			t.Errorf("removing the active one: %v", err)
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{99}}); ipc.CodeOf(err) != ipc.CodeNotFound {
			t.Errorf("removing none: %v", err)
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{2}}); err != nil {
			t.Error(err)
		}
		synctest.Wait() // for what connecting has shown to be recorded
		list, err := h.Do(ipc.Request{Type: ipc.KindConfigList})
		configs := list.(ipc.ConfigListPayload).Configs
		if err != nil || len(configs) != 2 || !configs[0].Active || configs[0].Successes == 0 {
			t.Errorf("%+v, %v", configs, err)
		}
	})
}

// Random intents, faults and clients: whatever happens, there is one serving core at most, a
// disconnect leaves none, and every request is answered.
func TestRandomIntents(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			daemontest.Bubble(t, "a b c d", nil, func(h *daemontest.Harness) {
				rng := rand.New(rand.NewPCG(seed, 1))
				var clients sync.WaitGroup
				for range 300 {
					switch n := rng.IntN(12); n {
					case 0, 1, 2:
						clients.Go(func() { h.Do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: new(int64(1 + int64(n)))}) })
					case 3:
						clients.Go(func() { h.Do(ipc.Request{Type: ipc.KindRuntimeConnect}) })
					case 4, 5:
						clients.Go(func() { h.Rotate(nil) })
					case 6:
						clients.Go(func() { h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect}) })
					case 7:
						if cores := h.Running(); len(cores) > 0 {
							cores[rng.IntN(len(cores))].Exit("signal: killed")
						}
					case 8, 9:
						host := string(rune('a' + rng.IntN(4)))
						h.Set(host, func(s *daemontest.Server) { s.Dead = !s.Dead })
					case 10:
						clients.Go(func() {
							h.Do(ipc.Request{Type: []ipc.Kind{ipc.KindProxyStart, ipc.KindProxyStop}[seed%2]})
						})
					case 11:
						host := string(rune('a' + rng.IntN(4)))
						h.Set(host, func(s *daemontest.Server) { s.NoStart = !s.NoStart })
					}
					time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
				}
				clients.Wait() // every one was answered
				h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
				h.Want(ipc.StateDisconnected, "")
				if len(h.Running()) > 0 || h.World.FrontOpen {
					t.Errorf("after a disconnect %d cores run, front open: %v", len(h.Running()), h.World.FrontOpen)
				}
				for _, host := range strings.Fields("a b c d") {
					h.Set(host, func(s *daemontest.Server) { s.Dead, s.NoStart = false, false })
				}
				h.Connect(4)
				time.Sleep(time.Minute)
				h.Want(ipc.StateConnected, "d")
				if len(h.Running()) != 1 {
					t.Errorf("%d cores run", len(h.Running()))
				}
			})
		})
	}
}

func TestShutdownByRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := daemontest.NewHarness(t, "a")
		h.Boot(nil)
		h.Connect(1)
		payload, err := h.Do(ipc.Request{Type: ipc.KindDaemonShutdown})
		if err != nil || !payload.(ipc.ShutdownPayload).RuntimeDisconnected {
			t.Errorf("%+v, %v", payload, err)
		}
		h.Stop()
		if !h.Look().Desired.Connected || len(h.Running()) > 0 || h.World.FrontOpen {
			t.Errorf("desired %+v, %d cores, front open %v", h.Look().Desired, len(h.Running()), h.World.FrontOpen)
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect}); err == nil || !strings.Contains(err.Error(), "shutting down") {
			t.Errorf("after the end: %v", err)
		}
	})
}
