package supervisor_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon"
	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/store/storetest"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// After a crash in the middle of a rotation the session that served goes on; the one that had not
// proven itself is ended.
func TestReattachPrefersTheOneThatServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := daemontest.NewHarness(t, "a b")
		for i, host := range []string{"a", "b"} {
			pid := 4000 + i
			h.LeaveCore(host, xray.Identity{PID: pid, StartTime: 99, BootID: "boot"}, xray.Inbound{Address: "core-" + host, User: "u", Password: "p"})
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

// A daemon that was stopped while connected connects again when it starts, and one that the user
// had disconnected does not.
func TestDesiredStateOutlivesARestart(t *testing.T) {
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

// The daemon takes over exactly the process that is recorded, if it is wanted and answers; else it
// ends that one, says why, and never touches a stranger.
func TestOnlyTheRecordedCoreIsTakenOver(t *testing.T) {
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
					h.LeaveCore("a", xray.Identity{PID: pid, StartTime: 99, BootID: "boot"}, xray.Inbound{Address: "core-x", User: "u", Password: "p"})
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

// A daemon that starts anew ends the standby of the one before, and takes over the session that
// served.
func TestStandbyOfAnEarlierDaemonIsEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := daemontest.NewHarness(t, "a b")
		h.Boot(daemontest.WithStandby)
		first := h.Settle()
		synctest.Wait()
		standby := h.Status().Standby
		// The daemon is killed: its cores and records stay as they are.
		left, cores := h.Look(), h.Running()
		h.Stop()
		h.Edit(func(r *storetest.Records) { *r = left })
		for _, c := range cores {
			c.Revive()
		}
		h.Boot(daemontest.WithStandby)
		defer h.Stop()
		if synctest.Wait(); h.Status().Session.PID != first.PID {
			t.Errorf("serving: %+v", h.Status().Session)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		h.World.Mu.Lock()
		_, stillRuns := h.Cores[standby.PID]
		h.World.Mu.Unlock()
		if stillRuns {
			t.Error("the old standby still runs")
		}
		for _, s := range h.Records() {
			if s.PID == standby.PID {
				t.Errorf("its record is left: %+v", s)
			}
		}
	})
}

// A daemon that can read only what was known before the session began leaves that alone: to act on
// it would cut applications off.
func TestStaleStoreCutsNobodyOff(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.World.Locked(func() { h.World.Outlives = true })
		h.Connect(1)
		if _, err := h.Do(ipc.Request{Type: ipc.KindDaemonShutdown, Keep: true}); err != nil {
			t.Fatal(err)
		}
		h.Stop()
		known := h.Look()
		h.Edit(func(r *storetest.Records) { r.Desired, r.Sessions = store.Desired{}, map[int64]store.Session{} })
		h.Memory.Old = errors.New("no space")
		next := daemon.New(h.Deps(settings.Default()))
		if err := next.Restore(t.Context()); err == nil || !strings.Contains(err.Error(), "no space") {
			t.Errorf("restored: %v", err)
		}
		if h.TargetHost() != "a" || !h.World.FrontOpen || len(h.Running()) != 1 {
			t.Errorf("target %q, open %v, %d cores", h.TargetHost(), h.World.FrontOpen, len(h.Running()))
		}
		h.Edit(func(r *storetest.Records) { r.Desired, r.Sessions = known.Desired, known.Sessions })
		h.Boot(nil)
		time.Sleep(time.Second)
		h.Want(ipc.StateConnected, "a")
		h.Stop()
	})
}

// A daemon that leaves ends nothing: the next one finds the same session, standby and drain, where
// the front goes on without a daemon.
func TestSessionsOutliveTheDaemon(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.World.Locked(func() { h.World.Outlives = true })
		first := h.Settle()
		stream := make(chan struct{})
		h.World.Locked(func() { h.DrainTill[first.SessionID] = stream })
		if _, err := h.Rotate(nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		synctest.Wait()
		before, standby, cores := h.Status().Session, h.StandbyHost(), len(h.Running())
		if standby == "" || cores != 3 {
			t.Fatalf("standby %q, %d cores", standby, cores)
		}
		payload, err := h.Do(ipc.Request{Type: ipc.KindDaemonShutdown, Keep: true})
		if err != nil || payload.(ipc.ShutdownPayload).RuntimeDisconnected {
			t.Errorf("%+v, %v", payload, err)
		}
		h.Stop()
		if n := len(h.Running()); n != 3 || h.TargetHost() != before.ConfigName || h.StandbyHost() != standby {
			t.Errorf("left %d cores, target %s, standby %s", n, h.TargetHost(), h.StandbyHost())
		}
		h.Boot(daemontest.WithStandby)
		h.Want(ipc.StateConnecting, before.ConfigName) // at once, and unproven
		time.Sleep(time.Second)
		h.Want(ipc.StateConnected, before.ConfigName)
		if s := h.Status().Session; s.ID != before.ID || s.PID != before.PID || h.StandbyHost() != standby || len(h.Running()) != 3 {
			t.Errorf("session %+v, before %+v; standby %s; %d cores", s, before, h.StandbyHost(), len(h.Running()))
		}
		if h.World.Gaps > 0 {
			t.Errorf("the target went away %d times", h.World.Gaps)
		}
		close(stream)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := h.Session(first.SessionID); got.Status.Live() || len(h.Running()) != 2 {
			t.Errorf("after the drain: %+v, %d cores", got, len(h.Running()))
		}
		h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		if n := len(h.Running()); n > 0 || h.World.FrontOpen {
			t.Errorf("%d cores run after the disconnect", n)
		}
	})
}

// A daemon that was asked to leave stops like any other where the front ends with it.
func TestLeavingStopsWhatCannotGoOn(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		payload, err := h.Do(ipc.Request{Type: ipc.KindDaemonShutdown, Keep: true})
		if err != nil || !payload.(ipc.ShutdownPayload).RuntimeDisconnected || len(h.Running()) > 0 {
			t.Errorf("%+v, %v, %d cores", payload, err, len(h.Running()))
		}
		h.Stop()
	})
}
