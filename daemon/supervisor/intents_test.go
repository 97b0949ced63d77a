package supervisor_test

import (
	"context"
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
	"github.com/xrat-tray/xrat/daemon/store/storetest"
)

// A config that does not exist is said not to be found, also while there is no session.
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

// Who connects to the server in use while the timer rotates away from it stays there, and no second
// core is left.
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

// A rotation by hand that fails changes nothing in the status, and the record of the candidate says
// why.
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

// Connecting opens the front, starts one core and records both; a disconnect takes all of it back,
// and a second one has nothing to end.
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
		if got := h.Session(p.SessionID); got.Status != store.StatusRunning || got.PID != p.PID || got.Nonce == "" || len(got.Inbounds) != 2 {
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

// A connect that fails says why, with the right code, and leaves no core, no open front, no desire
// to be connected and nobody blamed.
func TestConnectThatFailsLeavesNothing(t *testing.T) {
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

// An unchecked connect takes a server that gives no answer, which then counts as degraded and not
// as connected.
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

// A rotation by hand goes to the config that was named, or to the one used least recently, without
// a gap; the old session drains and is stopped.
func TestRotateByHand(t *testing.T) {
	daemontest.Bubble(t, "a b c", nil, func(h *daemontest.Harness) {
		first := h.Connect(1)
		stream := make(chan struct{})
		h.Locked(func() { h.DrainTill[first.SessionID] = stream })
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

// A rotation to a server that is dead, in use already or unknown is refused with the reason, and
// the old session serves on without a gap.
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

// Without a session, or without another config, a rotation is refused with the reason.
func TestRotateNeedsSomethingToRotate(t *testing.T) {
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

// A store that takes no writes keeps nobody from connecting or rotating; the answer says why
// nothing was saved.
func TestStoreThatTakesNoWritesKeepsNobodyFromConnecting(t *testing.T) {
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
