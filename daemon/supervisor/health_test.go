package supervisor_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/runtime/front"
)

// While all is well the store is left alone but for a note now and then.
func TestIdleSessionHardlyWrites(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(time.Minute)
		synctest.Wait()
		before := h.Written()
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := h.Written() - before; n > 20 {
			t.Errorf("%d outcomes were written in an idle hour", n)
		}
	})
}

// A server that answers again after an outage is noticed within seconds.
func TestReturnOfTheNetworkIsNoticedSoon(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
		h.Locked(func() { h.Offline = true })
		for _, x := range []string{"a", "b", "c"} {
			h.Set(x, daemontest.Dead)
		}
		time.Sleep(time.Minute)
		h.Locked(func() { h.Offline = false }) // a route, and nothing more yet
		time.Sleep(4500 * time.Millisecond)
		synctest.Wait()
		for _, x := range []string{"a", "b", "c"} {
			h.Set(x, daemontest.Alive)
		}
		back := time.Now()
		for h.State().State != ipc.StateConnected {
			if time.Sleep(50 * time.Millisecond); time.Since(back) > 20*time.Second {
				t.Fatal("never")
			}
		}
	})
}

// A check of the session before does not keep the new one waiting.
func TestNewSessionIsCheckedAlthoughTheOldCheckRuns(t *testing.T) {
	daemontest.Bubble(t, "a b c", func(c *settings.Settings) { c.Rotation.Standby = true; c.Health.Threshold = 100 }, func(h *daemontest.Harness) {
		h.Settle()
		h.Set("a", daemontest.Dead)
		time.Sleep(16 * time.Second)
		h.Rotate(new(int64(2)))
		time.Sleep(20 * time.Millisecond)
		h.Set("b", daemontest.Dead)
		at := time.Now()
		for h.Status().State == ipc.StateConnected {
			time.Sleep(100 * time.Millisecond)
			if time.Since(at) > time.Hour {
				break
			}
			synctest.Wait()
		}
		if time.Since(at) > 20*time.Second {
			t.Error("too long")
		}
	})
}

// A strong hint that comes while a check runs brings about another one.
func TestStrongHintDuringACheckCounts(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Set("a", func(s *daemontest.Server) { s.Latency = time.Second })
		h.Settle()
		for n := h.Probed("a"); h.Probed("a") == n; {
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(10 * time.Millisecond)
		h.Set("a", daemontest.Dead) // the probe under way still gets its answer
		h.Rescued()
		h.Rescued()
		if took := h.WaitRotation(time.Minute); took > 6*time.Second {
			t.Errorf("%v after a strong hint", took)
		}
	})
}

// Strong hints that turn out wrong bring about ever fewer checks.
func TestStrongHintsCheckEverMoreRarely(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		probes := h.Asked()
		for range 600 { // ten minutes: one site that the active server's address is refused by
			time.Sleep(time.Second)
			h.Rescued()
		}
		synctest.Wait()
		if n := h.Asked() - probes; n > 600 {
			t.Errorf("%d probes in ten minutes of strong hints", n)
		}
		probes = h.Asked()
		for range 600 {
			time.Sleep(300 * time.Millisecond)
			h.Hints <- front.Signal{TargetID: h.Status().Session.ID, Kind: front.Silent}
		}
		synctest.Wait()
		if n := h.Asked() - probes; n > 180 {
			t.Errorf("%d probes in three minutes of weak hints", n)
		}
	})
}

// One handshake that fails while the way out works is no reason to rotate.
func TestOneLostHandshakeRotatesNothing(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
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

// A frozen core is replaced by another with the same config, with and without a standby, whose
// answer makes the verdict quick; again and again, and no server is blamed.
func TestFrozenCoreIsReplaced(t *testing.T) {
	for name, adjust := range map[string]func(*settings.Settings){"standby": daemontest.WithStandby, "no standby": nil} {
		t.Run(name, func(t *testing.T) {
			daemontest.Bubble(t, "a b", adjust, func(h *daemontest.Harness) {
				h.Settle()
				for i := range 5 {
					before := h.Status().Session.ID
					h.Freeze("a")
					h.Rescued()
					for began := time.Now(); h.Status().Session.ID == before; time.Sleep(10 * time.Millisecond) {
						if time.Since(began) > 4*time.Second {
							t.Fatalf("not replaced within %v, round %d: %s", time.Since(began), i, h.Status().Message)
						}
					}
					time.Sleep(10 * time.Second)
					h.Want(ipc.StateConnected, "a")
				}
				if p := h.Status(); p.LastRotation != nil || p.Session.ReasonCode != "inbound_unreachable" {
					t.Errorf("%+v, session %+v", p.LastRotation, p.Session)
				}
				if o := h.Look().Outcomes[1]; o.Failures > 0 {
					t.Errorf("blamed: %+v", o)
				}
			})
		})
	}
}

// The reason for leaving a dead server does not speak of the core, which answers.
func TestDeadServerIsNotTheCore(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
		h.Set("a", daemontest.Dead)
		h.WaitRotation(time.Minute)
		if l := h.Status().LastRotation; l.ReasonCode != "probe_timeout" || strings.Contains(l.Reason, "core") {
			t.Errorf("%s: %s", l.ReasonCode, l.Reason)
		}
	})
}

// A check's result that arrives when another session serves is not held against that one.
func TestLateResultOfACheckIsNotHeldAgainstAnother(t *testing.T) {
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

// A check that begins badly and then gets an answer brings no rotation, and nothing of it stays in
// the status.
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

// With health or rotation switched off a dead server is shown as such and kept, and it is noticed
// when it is well again.
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

// A hint brings the next check forward, but hints alone never rotate, and however many there are,
// they bring about a check a second at most.
func TestHintBringsTheCheckForward(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		h.Settle()
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

// Without a route nobody is asked and nobody is blamed, and the return is noticed.
func TestOfflineMachineAsksAndBlamesNobody(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		first := h.Settle()
		h.Locked(func() { h.Offline = true })
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
				h.Locked(func() { h.Loss, h.LossFast = 0.05, fast })
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

// The wall clock jumps by eight hours: the machine slept.
func TestSleepRotatesNothing(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		first := h.Settle()
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
