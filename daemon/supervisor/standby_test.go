package supervisor_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/store/storetest"
)

func TestStandbyStepsIn(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		first := h.Connect(1)
		time.Sleep(time.Second)
		synctest.Wait()
		standby := h.Status().Standby
		if standby == nil || h.StandbyHost() == "" || h.StandbyHost() == "a" {
			t.Fatalf("standby %+v, in the front %q", standby, h.StandbyHost())
		}
		time.Sleep(20 * time.Second)
		pid, host, started := standby.PID, h.StandbyHost(), h.Starts()
		h.Set("a", daemontest.Dead)
		h.World.Mu.Lock()
		h.Waited[first.SessionID], h.Rescues[first.SessionID+1] = 2, 3
		h.World.Mu.Unlock()
		if got := h.Status().Traffic; got.Rescued != 3 || got.Waited != 2 {
			t.Errorf("traffic %+v", got)
		}
		h.Rescued()
		if took := h.WaitRotation(10 * time.Second); took > 2500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if got := h.Status().LastRotation; got.Waited != 2 || got.Replayed != 3 || got.Rescued != 3 {
			t.Errorf("waited %d, replayed %d, rescued %d", got.Waited, got.Replayed, got.Rescued)
		}
		if got := h.Status().Session; got.PID != pid || h.TargetHost() != host || got.Trigger != ipc.TriggerHealthCheckFailed {
			t.Errorf("session %+v through %q, want the standby's process %d through %q", got, h.TargetHost(), pid, host)
		}
		if got := h.Session(h.Status().Session.ID); got.Status != store.StatusRunning || got.PreviousID != first.SessionID || got.Rotation == nil {
			t.Errorf("record %+v", got)
		}
		if h.Gaps > 0 {
			t.Error("the front had no target")
		}
		// The account of it.
		l := h.Status().LastRotation
		if l.DetectMillis < 1000 || l.DetectMillis > 2500 || l.DurationMillis > 100 || l.Candidates != 2 || !strings.Contains(l.Winner, "standby") {
			t.Errorf("%+v", l)
		}
		var control, failed int
		for _, c := range l.Checks {
			switch {
			case c.OK && c.ConfigID == standby.ConfigID:
				control++
			case !c.OK && c.ConfigID == 1:
				failed++
			}
		}
		if control == 0 || failed < 5 || len(l.Considered) == 0 || l.Considered[0].Result != "won" || l.Considered[0].ConfigID != standby.ConfigID {
			t.Errorf("checks %+v, considered %+v", l.Checks, l.Considered)
		}
		// The next one takes its place.
		time.Sleep(20 * time.Second)
		synctest.Wait()
		if s := h.Status().Standby; s == nil || s.PID == pid || h.Starts() != started+1 {
			t.Errorf("standby %+v after %d starts", s, h.Starts()-started)
		}
	})
}

// Without traffic a dead server is found within one tick and four seconds.
func TestStandbyStepsInWithoutTraffic(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(time.Minute)
		h.Set("a", daemontest.Dead)
		if took := h.WaitRotation(time.Minute); took > 15*time.Second+4*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// The standby that does not work either proves nothing against the active one.
func TestNoBlameWithoutProof(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		first := h.Connect(1)
		time.Sleep(20 * time.Second)
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

// The network is back, and the active server is not: the standby's answer ends the wait for the
// next attempt.
func TestStandbyAnswersAfterAnOutage(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		host := h.StandbyHost()
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, daemontest.Dead)
		}
		time.Sleep(10 * time.Minute)
		h.Want(ipc.StateDegraded, "a")
		h.Set(host, daemontest.Alive)
		if took := h.WaitRotation(time.Minute); took > 8*time.Second {
			t.Errorf("it took %v", took)
		}
		h.Want(ipc.StateConnected, host)
	})
}

// Without a route nobody is asked and nobody is blamed, and the return is noticed.
func TestOffline(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		first := h.Connect(1)
		time.Sleep(20 * time.Second)
		h.World.Mu.Lock()
		h.Offline = true
		h.World.Mu.Unlock()
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, daemontest.Dead)
		}
		for h.State().Condition != ipc.ConditionOffline {
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		h.World.Mu.Lock()
		probes, started := h.Probes, h.Started
		h.World.Mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		h.World.Mu.Lock()
		if h.Probes != probes || h.Started != started {
			t.Errorf("%d probes and %d starts while offline", h.Probes-probes, h.Started-started)
		}
		h.Offline = false
		h.World.Mu.Unlock()
		if s := h.Status(); s.State != ipc.StateDegraded || !strings.Contains(s.Message, "offline") || s.Session.ID != first.SessionID {
			t.Errorf("%+v", s)
		}
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, daemontest.Alive)
		}
		back := time.Now()
		for h.State().State != ipc.StateConnected {
			if time.Sleep(100 * time.Millisecond); time.Since(back) > 4*time.Second {
				t.Fatalf("4 s after the return: %+v", h.Status())
			}
		}
		if s := h.Status(); s.LastRotation != nil || s.Session.ID != first.SessionID {
			t.Errorf("%+v", s)
		}
	})
}

// Ten hours in which one probe of twenty is lost bring no rotation.
func TestProbeLossRotatesNothing(t *testing.T) {
	for name, fast := range map[string]bool{"failing": true, "silent": false} {
		t.Run(name, func(t *testing.T) {
			daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
				first := h.Connect(1)
				h.World.Mu.Lock()
				h.Loss, h.LossFast = 0.05, fast
				h.World.Mu.Unlock()
				time.Sleep(10 * time.Hour)
				if s := h.State(); s.LastRotation != nil || s.Session.ID != first.SessionID {
					t.Errorf("%+v", s.LastRotation)
				}
				if h.Probes < 2000 {
					t.Errorf("only %d probes in 10 hours", h.Probes)
				}
			})
		})
	}
}

// A server that comes and goes, and takes the others along, does not have the daemon run in
// circles.
func TestFlapping(t *testing.T) {
	daemontest.Bubble(t, "a b c d", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		hosts := []string{"a", "b", "c"}
		rotations, worst := []time.Time(nil), 0
		last := h.Status().LastRotation
		for i := range 360 { // half an hour
			for _, host := range hosts {
				h.Set(host, []func(*daemontest.Server){daemontest.Dead, daemontest.Alive}[i%2])
			}
			h.Rescued()
			for range 50 {
				time.Sleep(100 * time.Millisecond)
				if r := h.State().LastRotation; r != nil && (last == nil || !r.At.Equal(last.At)) {
					last = r
					rotations = append(rotations, r.At)
				}
			}
			inMinute := 0
			for _, at := range rotations {
				if time.Since(at) < time.Minute {
					inMinute++
				}
			}
			worst = max(worst, inMinute)
		}
		if worst > 3 {
			t.Errorf("%d rotations in a minute", worst)
		}
		if h.TargetHost() != "d" {
			t.Errorf("in the end it is on %q, after %d rotations", h.TargetHost(), len(rotations))
		}
	})
}

// A standby that dies is replaced, and its process is gone.
func TestStandbyIsLookedAfter(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		host := h.StandbyHost()
		h.Set(host, daemontest.Dead)
		time.Sleep(2*2*time.Minute + 30*time.Second)
		synctest.Wait()
		if got := h.StandbyHost(); got == host || got == "" || got == "a" {
			t.Errorf("the standby is %q, was %q", got, host)
		}
		if n := len(h.Running()); n != 2 {
			t.Errorf("%d cores run", n)
		}
		h.Want(ipc.StateConnected, "a")

		// Its core is killed.
		killed := h.StandbyHost()
		for _, c := range h.Running() {
			if c.Host == killed {
				c.Exit("signal: killed")
			}
		}
		if synctest.Wait(); h.StandbyHost() == "(gone)" {
			t.Error("the front still has it")
		}
		time.Sleep(30 * time.Second)
		if synctest.Wait(); h.StandbyHost() == "" || len(h.Running()) != 2 {
			t.Errorf("the standby is %q, %d cores run", h.StandbyHost(), len(h.Running()))
		}
	})
}

// Who stays where they are wants no other server's address for some connections.
func TestNoStandbyWhileRotationIsOff(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		if synctest.Wait(); h.StandbyHost() != "b" {
			t.Fatalf("standby %q", h.StandbyHost())
		}
		h.Do(ipc.Request{Type: ipc.KindProxyStop})
		if synctest.Wait(); h.StandbyHost() != "" || len(h.Running()) != 1 || h.Status().Standby != nil {
			t.Errorf("with rotation off: standby %q, %d cores", h.StandbyHost(), len(h.Running()))
		}
		h.Do(ipc.Request{Type: ipc.KindProxyStart})
		time.Sleep(time.Second)
		if synctest.Wait(); h.StandbyHost() != "b" {
			t.Errorf("with rotation on again: standby %q", h.StandbyHost())
		}
	})
}

// A connect or a rotation to the standby's config takes its core.
func TestStandbyIsTakenByHand(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		pid := h.Status().Standby.PID
		p, err := h.Rotate(nil)
		if err != nil || p.NewPID != pid || h.TargetHost() != "b" {
			t.Errorf("%+v, %v; want process %d", p, err, pid)
		}
		// A standby that is dead by then is no reason to fail.
		time.Sleep(time.Second)
		synctest.Wait()
		h.Set("a", daemontest.Dead)
		if _, err := h.Rotate(new(int64(1))); err == nil {
			t.Error("rotated to a dead one")
		}
		h.Want(ipc.StateConnected, "b")
	})
}

// Whatever is going on with the standby, a disconnect leaves no process behind.
func TestDisconnectEndsTheStandby(t *testing.T) {
	for _, after := range []time.Duration{0, 20 * time.Millisecond, 60 * time.Millisecond, 100 * time.Millisecond, 10 * time.Second, 2*time.Minute + 30*time.Millisecond} {
		daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
			h.Connect(1)
			time.Sleep(after)
			if _, err := h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect}); err != nil {
				t.Fatal(err)
			}
			if synctest.Wait(); len(h.Running()) != 0 || h.StandbyHost() != "" {
				t.Errorf("after %v: %d cores run, standby %q", after, len(h.Running()), h.StandbyHost())
			}
			for _, s := range h.Records() {
				if s.Status == store.StatusStandby || s.ReasonCode == "standby" {
					t.Errorf("after %v: a standby's record is left: %+v", after, s)
				}
			}
		})
	}
}

// A daemon that starts anew ends the standby of the one before, and takes over the session that
// served.
func TestLeftoverStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := daemontest.NewHarness(t, "a b")
		h.Boot(daemontest.WithStandby)
		first := h.Connect(1)
		time.Sleep(20 * time.Second)
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

// When the active server is dead, several candidates are tried at a time, and of the others nothing
// is left.
func TestRace(t *testing.T) {
	daemontest.Bubble(t, "a b c d", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(20 * time.Second)
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

// The wall clock jumps by eight hours: the machine slept.
func TestSleepRotatesNothing(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		first := h.Connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		// When it wakes, nothing works for a moment.
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, daemontest.Dead)
		}
		h.Sleep()
		time.Sleep(20 * time.Second)
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, daemontest.Alive)
		}
		time.Sleep(time.Minute)
		h.Want(ipc.StateConnected, "a")
		if s := h.Status(); s.LastRotation != nil || s.Session.ID != first.SessionID {
			t.Errorf("%+v", s)
		}
	})
}
