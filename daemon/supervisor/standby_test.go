package supervisor_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/store/storetest"
)

// With rotation off no connection is rescued any more, whatever is being done about the standby.
func TestProxyStopDropsAStandbyThatIsLookedAfter(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		h.Set(h.StandbyHost(), daemontest.Dead)
		for host, n := h.StandbyHost(), h.Probed(h.StandbyHost()); h.Probed(host) == n; {
			time.Sleep(10 * time.Millisecond)
		}
		h.Do(ipc.Request{Type: ipc.KindProxyStop})
		time.Sleep(time.Second)
		synctest.Wait()
		if h.StandbyHost() != "" {
			t.Errorf("a second after proxy stop connections are still rescued through %q", h.StandbyHost())
		}
		time.Sleep(time.Minute)
	})
}

// Connections that were rescued through a standby have the time of a drain when it is dropped.
func TestDroppedStandbyIsDrained(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
		synctest.Wait()
		h.Do(ipc.Request{Type: ipc.KindProxyStop})
		time.Sleep(time.Second)
		synctest.Wait()
		if len(h.Drained) == 0 {
			t.Error("dropped without a drain")
		}
	})
}

// A standby whose config is removed is replaced.
func TestRemovedConfigIsNoStandby(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
		synctest.Wait()
		s := h.Status().Standby
		h.Do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{s.ConfigID}})
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got := h.Status().Standby; got != nil && got.ConfigID == s.ConfigID {
			t.Errorf("a day after it was removed, config %d is still the standby", s.ConfigID)
		}
	})
}

// Active and standby are two configs, whatever the user asks for.
func TestStandbyIsNeverTheActiveConfig(t *testing.T) {
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

// Eight proven configs that are dead do not keep the ninth from being the standby.
func TestStandbySearchReachesEveryConfig(t *testing.T) {
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

// A standby that failed when it was to step in is replaced.
func TestStandbyThatFailedIsNotKept(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
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

// A standby whose core ends soon after its start is not started over and over.
func TestStandbyThatKeepsEndingIsStartedEverMoreRarely(t *testing.T) {
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

// A standby that does not answer during an outage is not blamed, also if the look at it comes
// first.
func TestOutageBlamesNoStandby(t *testing.T) {
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

// The standby's own process steps in for a dead server, the report tells what was measured and met
// with, and the next standby comes up.
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

// A standby that dies is replaced, and its process is gone.
func TestStandbyIsLookedAfter(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
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
		h.Settle()
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
		h.Settle()
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
