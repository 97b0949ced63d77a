package daemon

import (
	"context"
	"errors"
	"github.com/xrat-tray/xrat/runtime/probe"
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

func withStandby(c *settings.Settings) { c.Rotation.Standby = true }

// waitRotation waits for a rotation and returns how long it took.
func (h *harness) waitRotation(limit time.Duration) time.Duration {
	h.t.Helper()
	begin := time.Now()
	before := h.s.status().LastRotation
	for h.state().LastRotation == before {
		if time.Sleep(10 * time.Millisecond); time.Since(begin) > limit {
			h.t.Fatalf("no rotation within %v: %+v", limit, h.s.status())
		}
	}
	return time.Since(begin)
}

// rescued is the front's hint that another server has answered where the active
// one was silent.
func (h *harness) rescued() {
	h.signals <- front.Signal{TargetID: h.s.status().Session.ID, Kind: front.Rescued}
}

func TestStandbyStepsIn(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		first := h.connect(1)
		time.Sleep(time.Second)
		synctest.Wait()
		standby := h.s.status().Standby
		if standby == nil || h.standbyHost() == "" || h.standbyHost() == "a" {
			t.Fatalf("standby %+v, in the front %q", standby, h.standbyHost())
		}
		time.Sleep(20 * time.Second)
		pid, host, started := standby.PID, h.standbyHost(), h.starts()
		h.set("a", dead)
		h.world.mu.Lock()
		h.waited[first.SessionID], h.rescues[first.SessionID+1] = 2, 3
		h.world.mu.Unlock()
		if got := h.s.status().Traffic; got.Rescued != 3 || got.Waited != 2 {
			t.Errorf("traffic %+v", got)
		}
		h.rescued()
		if took := h.waitRotation(10 * time.Second); took > 2500*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		if got := h.s.status().LastRotation; got.Waited != 2 || got.Replayed != 3 || got.Rescued != 3 {
			t.Errorf("waited %d, replayed %d, rescued %d", got.Waited, got.Replayed, got.Rescued)
		}
		if got := h.s.status().Session; got.PID != pid || h.targetHost() != host || got.Trigger != ipc.TriggerHealthCheckFailed {
			t.Errorf("session %+v through %q, want the standby's process %d through %q", got, h.targetHost(), pid, host)
		}
		if got := h.session(h.s.status().Session.ID); got.Status != store.StatusRunning || got.PreviousID != first.SessionID || len(got.Rotation) == 0 {
			t.Errorf("record %+v", got)
		}
		if h.gaps > 0 {
			t.Error("the front had no target")
		}
		// The account of it.
		l := h.s.status().LastRotation
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
		if s := h.s.status().Standby; s == nil || s.PID == pid || h.starts() != started+1 {
			t.Errorf("standby %+v after %d starts", s, h.starts()-started)
		}
	})
}

// Without traffic a dead server is found within one tick and four seconds.
func TestStandbyStepsInWithoutTraffic(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(time.Minute)
		h.set("a", dead)
		if took := h.waitRotation(time.Minute); took > 15*time.Second+4*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// The standby that does not work either proves nothing against the active one.
func TestNoBlameWithoutProof(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		first := h.connect(1)
		time.Sleep(20 * time.Second)
		for _, host := range []string{"a", "b", "c"} {
			h.set(host, dead)
		}
		h.rescued()
		for h.state().Condition != ipc.ConditionNoWorking {
			time.Sleep(100 * time.Millisecond)
		}
		status := h.s.status()
		if status.State != ipc.StateDegraded || status.Session.ID != first.SessionID || !strings.Contains(status.Message, "no working config") {
			t.Errorf("%+v", status)
		}
		started := h.starts()
		time.Sleep(20 * time.Second)
		if n := h.starts() - started; n > 10 {
			t.Errorf("%d cores were started in 20 s", n)
		}
		for id, o := range h.outcomes {
			if o.Failures > 0 {
				t.Errorf("config %d is blamed: %+v", id, o)
			}
		}
		for _, host := range []string{"a", "b", "c"} {
			h.set(host, alive)
		}
		back := time.Now()
		for h.state().State != ipc.StateConnected {
			if time.Sleep(100 * time.Millisecond); time.Since(back) > 5*time.Second {
				t.Fatalf("5 s after the network's return: %+v", h.s.status())
			}
		}
		if got := h.s.status(); got.Session.ID != first.SessionID || got.Condition != "" || got.Message != "" {
			t.Errorf("%+v", got)
		}
	})
}

// The network is back, and the active server is not: the standby's answer ends the
// wait for the next attempt.
func TestStandbyAnswersAfterAnOutage(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		host := h.standbyHost()
		for _, host := range []string{"a", "b", "c"} {
			h.set(host, dead)
		}
		time.Sleep(10 * time.Minute)
		h.want(ipc.StateDegraded, "a")
		h.set(host, alive)
		if took := h.waitRotation(time.Minute); took > 8*time.Second {
			t.Errorf("it took %v", took)
		}
		h.want(ipc.StateConnected, host)
	})
}

func alive(s *server) { s.dead = false }

// Without a route nobody is asked and nobody is blamed, and the return is noticed.
func TestOffline(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		first := h.connect(1)
		time.Sleep(20 * time.Second)
		h.world.mu.Lock()
		h.offline = true
		h.world.mu.Unlock()
		for _, host := range []string{"a", "b", "c"} {
			h.set(host, dead)
		}
		for h.state().Condition != ipc.ConditionOffline {
			time.Sleep(100 * time.Millisecond)
		}
		synctest.Wait()
		h.world.mu.Lock()
		probes, started := h.probes, h.started
		h.world.mu.Unlock()
		time.Sleep(time.Hour)
		synctest.Wait()
		h.world.mu.Lock()
		if h.probes != probes || h.started != started {
			t.Errorf("%d probes and %d starts while offline", h.probes-probes, h.started-started)
		}
		h.offline = false
		h.world.mu.Unlock()
		if s := h.s.status(); s.State != ipc.StateDegraded || !strings.Contains(s.Message, "offline") || s.Session.ID != first.SessionID {
			t.Errorf("%+v", s)
		}
		for _, host := range []string{"a", "b", "c"} {
			h.set(host, alive)
		}
		back := time.Now()
		for h.state().State != ipc.StateConnected {
			if time.Sleep(100 * time.Millisecond); time.Since(back) > 4*time.Second {
				t.Fatalf("4 s after the return: %+v", h.s.status())
			}
		}
		if s := h.s.status(); s.LastRotation != nil || s.Session.ID != first.SessionID {
			t.Errorf("%+v", s)
		}
	})
}

// Ten hours in which one probe of twenty is lost bring no rotation.
func TestProbeLossRotatesNothing(t *testing.T) {
	for name, fast := range map[string]bool{"failing": true, "silent": false} {
		t.Run(name, func(t *testing.T) {
			bubble(t, "a b c", withStandby, func(h *harness) {
				first := h.connect(1)
				h.world.mu.Lock()
				h.loss, h.lossFast = 0.05, fast
				h.world.mu.Unlock()
				time.Sleep(10 * time.Hour)
				if s := h.state(); s.LastRotation != nil || s.Session.ID != first.SessionID {
					t.Errorf("%+v", s.LastRotation)
				}
				if h.probes < 2000 {
					t.Errorf("only %d probes in 10 hours", h.probes)
				}
			})
		})
	}
}

// A server that comes and goes, and takes the others along, does not have the
// daemon run in circles.
func TestFlapping(t *testing.T) {
	bubble(t, "a b c d", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		hosts := []string{"a", "b", "c"}
		rotations, worst := []time.Time(nil), 0
		last := h.s.status().LastRotation
		for i := range 360 { // half an hour
			for _, host := range hosts {
				h.set(host, []func(*server){dead, alive}[i%2])
			}
			h.rescued()
			for range 50 {
				time.Sleep(100 * time.Millisecond)
				if r := h.state().LastRotation; r != nil && (last == nil || !r.At.Equal(last.At)) {
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
		if h.targetHost() != "d" {
			t.Errorf("in the end it is on %q, after %d rotations", h.targetHost(), len(rotations))
		}
	})
}

// A standby that dies is replaced, and its process is gone.
func TestStandbyIsLookedAfter(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		host := h.standbyHost()
		h.set(host, dead)
		time.Sleep(2*standbyCheck + 30*time.Second)
		synctest.Wait()
		if got := h.standbyHost(); got == host || got == "" || got == "a" {
			t.Errorf("the standby is %q, was %q", got, host)
		}
		if n := len(h.running()); n != 2 {
			t.Errorf("%d cores run", n)
		}
		h.want(ipc.StateConnected, "a")

		// Its core is killed.
		killed := h.standbyHost()
		for _, c := range h.running() {
			if c.host == killed {
				c.exit("signal: killed")
			}
		}
		if synctest.Wait(); h.standbyHost() == "(gone)" {
			t.Error("the front still has it")
		}
		time.Sleep(30 * time.Second)
		if synctest.Wait(); h.standbyHost() == "" || len(h.running()) != 2 {
			t.Errorf("the standby is %q, %d cores run", h.standbyHost(), len(h.running()))
		}
	})
}

// Who stays where they are wants no other server's address for some connections.
func TestNoStandbyWhileRotationIsOff(t *testing.T) {
	bubble(t, "a b", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		if synctest.Wait(); h.standbyHost() != "b" {
			t.Fatalf("standby %q", h.standbyHost())
		}
		h.do(ipc.Request{Type: ipc.KindProxyStop})
		if synctest.Wait(); h.standbyHost() != "" || len(h.running()) != 1 || h.s.status().Standby != nil {
			t.Errorf("with rotation off: standby %q, %d cores", h.standbyHost(), len(h.running()))
		}
		h.do(ipc.Request{Type: ipc.KindProxyStart})
		time.Sleep(time.Second)
		if synctest.Wait(); h.standbyHost() != "b" {
			t.Errorf("with rotation on again: standby %q", h.standbyHost())
		}
	})
}

// A connect or a rotation to the standby's config takes its core.
func TestStandbyIsTakenByHand(t *testing.T) {
	bubble(t, "a b", withStandby, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		pid := h.s.status().Standby.PID
		p, err := h.rotate(nil)
		if err != nil || p.NewPID != pid || h.targetHost() != "b" {
			t.Errorf("%+v, %v; want process %d", p, err, pid)
		}
		// A standby that is dead by then is no reason to fail.
		time.Sleep(time.Second)
		synctest.Wait()
		h.set("a", dead)
		if _, err := h.rotate(id(1)); err == nil {
			t.Error("rotated to a dead one")
		}
		h.want(ipc.StateConnected, "b")
	})
}

// Whatever is going on with the standby, a disconnect leaves no process behind.
func TestDisconnectEndsTheStandby(t *testing.T) {
	for _, after := range []time.Duration{0, 20 * time.Millisecond, 60 * time.Millisecond, 100 * time.Millisecond, 10 * time.Second, standbyCheck + 30*time.Millisecond} {
		bubble(t, "a b c", withStandby, func(h *harness) {
			h.connect(1)
			time.Sleep(after)
			if _, err := h.do(ipc.Request{Type: ipc.KindRuntimeDisconnect}); err != nil {
				t.Fatal(err)
			}
			if synctest.Wait(); len(h.running()) != 0 || h.standbyHost() != "" {
				t.Errorf("after %v: %d cores run, standby %q", after, len(h.running()), h.standbyHost())
			}
			for _, s := range h.all() {
				if s.Status == store.StatusStandby || s.ReasonCode == reasonStandby {
					t.Errorf("after %v: a standby's record is left: %+v", after, s)
				}
			}
		})
	}
}

// A daemon that starts anew ends the standby of the one before, and takes over
// the session that served.
func TestLeftoverStandby(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{t: t, world: newWorld("a", "b"), memory: newMemory("a", "b")}
		h.boot(withStandby)
		first := h.connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		standby := h.s.status().Standby
		// The daemon is killed: its cores and records stay as they are.
		sessions, desired, cores := h.all(), h.desired, h.running()
		h.stop()
		h.memory.sessions, h.memory.desired = map[int64]store.Session{}, desired
		for _, s := range sessions {
			h.memory.sessions[s.ID] = s
		}
		for _, c := range cores {
			c.done = make(chan struct{})
			h.world.cores[c.id.PID] = c
		}
		h.boot(withStandby)
		defer h.stop()
		if synctest.Wait(); h.s.status().Session.PID != first.PID {
			t.Errorf("serving: %+v", h.s.status().Session)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		h.world.mu.Lock()
		_, left := h.cores[standby.PID]
		h.world.mu.Unlock()
		if left {
			t.Error("the old standby still runs")
		}
		for _, s := range h.all() {
			if s.PID == standby.PID {
				t.Errorf("its record is left: %+v", s)
			}
		}
	})
}

// When the active server is dead, several candidates are tried at a time, and of
// the others nothing is left.
func TestRace(t *testing.T) {
	bubble(t, "a b c d", nil, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		h.set("b", dead)
		h.set("c", dead)
		h.set("a", dead)
		h.rescued()
		// Three rounds of 3 s that overlap; then d answers while b and c are silent.
		if took := h.waitRotation(time.Minute); took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
		h.want(ipc.StateConnected, "d")
		if h.maxCores > 4 {
			t.Errorf("%d cores at a time", h.maxCores)
		}
		time.Sleep(10 * time.Second)
		if synctest.Wait(); len(h.running()) != 1 {
			t.Errorf("%d cores are left", len(h.running()))
		}
		for id, o := range h.outcomes {
			if (id == 2 || id == 3) && o.Failures > 0 {
				t.Errorf("config %d was called off, and is blamed: %+v", id, o)
			}
		}
	})
}

// The wall clock jumps by eight hours: the machine slept.
func TestSleepRotatesNothing(t *testing.T) {
	bubble(t, "a b c", withStandby, func(h *harness) {
		first := h.connect(1)
		time.Sleep(20 * time.Second)
		synctest.Wait()
		// When it wakes, nothing works for a moment.
		jump := make(chan struct{})
		h.s.tell(func() {
			h.s.st.checkedAt = h.s.st.checkedAt.Round(0).Add(-8 * time.Hour)
			h.s.st.health = health{dead: true, failures: 3}
			h.s.startCheck(time.Now())
			close(jump)
		})
		<-jump
		time.Sleep(time.Minute)
		h.want(ipc.StateConnected, "a")
		if s := h.s.status(); s.LastRotation != nil || s.Session.ID != first.SessionID {
			t.Errorf("%+v", s)
		}
	})
}

// An examination, in numbers.
func TestExamination(t *testing.T) {
	type script struct {
		active, control []time.Duration // of each measurement in turn; negative: fails after that; 0: silent; the last repeats
	}
	const ms = time.Millisecond
	for name, test := range map[string]struct {
		script
		urgent      bool
		usual       time.Duration
		alive       bool
		least, most time.Duration
		rounds      int
	}{
		"well":                            {script{[]time.Duration{50 * ms}, nil}, false, 50 * ms, true, 50 * ms, 50 * ms, 0},
		"slow, and well":                  {script{[]time.Duration{2 * time.Second}, []time.Duration{50 * ms}}, false, 500 * ms, true, 2 * time.Second, 2 * time.Second, 0},
		"one failure":                     {script{[]time.Duration{-1 * ms, 50 * ms}, nil}, false, 50 * ms, true, 51 * ms, 60 * ms, 1},
		"one of a pair":                   {script{[]time.Duration{-1 * ms, -1 * ms, 50 * ms}, nil}, false, 50 * ms, true, 51 * ms, 60 * ms, 1},
		"silent, nothing to compare":      {script{[]time.Duration{0}, nil}, false, 50 * ms, false, 3 * time.Second, 3500 * ms, 3},
		"silent, the control works":       {script{[]time.Duration{0}, []time.Duration{60 * ms}}, false, 50 * ms, false, 1400 * ms, 1500 * ms, 3},
		"silent, urgent":                  {script{[]time.Duration{0}, []time.Duration{60 * ms}}, true, 50 * ms, false, 1300 * ms, 1450 * ms, 3},
		"silent, the control is slow too": {script{[]time.Duration{0}, []time.Duration{500 * ms}}, true, 50 * ms, false, 2800 * ms, 3 * time.Second, 3},
		"silent, the control is silent":   {script{[]time.Duration{0}, []time.Duration{0}}, true, 50 * ms, false, 3 * time.Second, 3500 * ms, 3},
		"refusing":                        {script{[]time.Duration{-1 * ms}, []time.Duration{50 * ms}}, false, 50 * ms, false, 200 * ms, 450 * ms, 3},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				player := func(times []time.Duration) func(context.Context, int) probeResult {
					var n atomic.Int64
					return func(ctx context.Context, _ int) probeResult {
						d := times[min(int(n.Add(1))-1, len(times)-1)]
						wait := d.Abs()
						if d == 0 {
							wait = time.Hour
						}
						select {
						case <-time.After(wait):
						case <-ctx.Done():
							return probeResult{Class: "canceled"}
						}
						if d < 0 {
							return probeResult{Class: "refused", Err: errors.New("refused")}
						}
						return probeResult{OK: true, Class: "ok", Latency: d}
					}
				}
				doubts := 0
				e := examination{
					threshold: 2, timeout: 3 * time.Second, usual: test.usual, urgent: test.urgent,
					measure: player(test.active), doubtful: func() { doubts++ },
				}
				if test.control != nil {
					e.control = player(test.control)
				}
				begin := time.Now()
				f := e.run(t.Context())
				took := time.Since(begin)
				if f.alive != test.alive || took < test.least || took > test.most || f.rounds != test.rounds {
					t.Errorf("alive %v after %v, %d rounds failed; want %v after %v to %v, %d rounds", f.alive, took, f.rounds, test.alive, test.least, test.most, test.rounds)
				}
				if want := !f.alive || f.rounds > 0 || test.urgent; doubts > 1 || want && doubts != 1 {
					t.Errorf("doubt began %d times", doubts)
				}
			})
		})
	}
}

type probeResult = probe.Result
