package supervisor_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/store/storetest"
	"github.com/xrat-tray/xrat/runtime/front"
)

// working has a standby, and looks at the work that servers do.
func working(config *settings.Settings) {
	config.Rotation.Standby = true
	config.Health.WorkURLs = []string{"https://page.test/"}
}

// limit lets a server strangle work.
func limit(how string) func(*daemontest.Server) {
	return func(s *daemontest.Server) { s.Limit = how }
}

// trouble has the traffic of a session meet with a kind of it.
func trouble(h *daemontest.Harness, id int64, kind front.SignalKind) {
	h.Locked(func() { h.Seen[id] = front.Evidence{Stalled: 5, Destinations: 1} })
	h.Hints <- front.Signal{TargetID: id, Kind: kind}
}

// What strangles is left soon after applications have met with it, and ranks as limited.
func TestLimitedIsLeft(t *testing.T) {
	for _, how := range []string{"stalls", "throttled", "cuts_short"} {
		daemontest.Bubble(t, "a b c", working, func(h *daemontest.Harness) {
			connected := h.Settle()
			h.Set("a", limit(how))
			trouble(h, connected.SessionID, front.Stalled)
			time.Sleep(3 * time.Second)
			if h.TargetHost() == "a" {
				t.Fatalf("%s: it is still used", how)
			}
			p := h.State()
			if p.LastRotation == nil || p.LastRotation.ReasonCode != how || p.State != ipc.StateConnected {
				t.Errorf("%s: %s, %+v", how, p.State, p.LastRotation)
			}
			time.Sleep(time.Minute)
			if o := h.Look().Outcomes[1]; o.Limit != how || o.Failures != 0 {
				t.Errorf("%s: learned %+v", how, o)
			}
		})
	}
}

// Whatever else speaks against it: what does work is not left, and is believed in.
func TestEvidenceAloneRotatesNothing(t *testing.T) {
	daemontest.Bubble(t, "a b c", working, func(h *daemontest.Harness) {
		connected := h.Settle()
		works := 0
		for i := range 1200 { // twenty minutes
			if i == 60 {
				h.Locked(func() { works = h.Works })
			}
			trouble(h, connected.SessionID, []front.SignalKind{front.Stalled, front.CutShort, front.Starved, front.Lossy}[i%4])
			time.Sleep(time.Second)
		}
		h.Want(ipc.StateConnected, "a")
		h.Locked(func() {
			if !slices.Contains(h.Trusted, connected.SessionID) {
				t.Error("the front was not told to trust it")
			}
			// Evidence that is always wrong costs ever less.
			if n := h.Works - works; n > 100 {
				t.Errorf("it has done work %d times in 19 minutes", n)
			}
		})
	})
}

// One that strangles is found out soon after it began to serve, without any traffic.
func TestLimitedFromTheBeginning(t *testing.T) {
	daemontest.Bubble(t, "a b c", working, func(h *daemontest.Harness) {
		h.Set("a", limit("stalls"))
		h.Connect(1)
		time.Sleep(30 * time.Second)
		if h.TargetHost() == "a" {
			t.Error("it is still used")
		}
	})
}

// Whoever has switched rotation off keeps the server, and is told.
func TestLimitedStaysWithoutRotation(t *testing.T) {
	daemontest.Bubble(t, "a b c", working, func(h *daemontest.Harness) {
		connected := h.Settle()
		h.Do(ipc.Request{Type: ipc.KindProxyStop})
		h.Set("a", limit("stalls"))
		trouble(h, connected.SessionID, front.Stalled)
		time.Sleep(time.Minute)
		h.Want(ipc.StateDegraded, "a")
		if p := h.State(); !strings.Contains(p.Message, "not to leave it") {
			t.Errorf("it says %q", p.Message)
		}
	})
}

// Where everything is strangled the session stays and says so; what does better is taken when there
// is one, and nobody is blamed.
func TestEverythingIsLimited(t *testing.T) {
	daemontest.Bubble(t, "a b c", working, func(h *daemontest.Harness) {
		connected := h.Settle()
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, limit("stalls"))
		}
		trouble(h, connected.SessionID, front.Stalled)
		time.Sleep(3 * time.Minute)
		h.Want(ipc.StateDegraded, "a")
		if p := h.State(); !strings.Contains(p.Message, "answers checks and stalls on data; no other config does better") {
			t.Errorf("it says %q", p.Message)
		}
		for id := range int64(3) {
			if o := h.Look().Outcomes[id+1]; o.Limit != "" || o.Failures != 0 {
				t.Errorf("blamed: %+v", o)
			}
		}
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, limit(""))
		}
		time.Sleep(10 * time.Second)
		h.Want(ipc.StateConnected, "a")
		if p := h.State(); p.Message != "" {
			t.Errorf("it still says %q", p.Message)
		}
	})
}

// The standby strangles as well, and a third one does not.
func TestAnotherThanTheStandby(t *testing.T) {
	daemontest.Bubble(t, "a b c", working, func(h *daemontest.Harness) {
		connected := h.Settle()
		standby := h.StandbyHost()
		h.Set("a", limit("stalls"))
		h.Set(standby, limit("stalls"))
		trouble(h, connected.SessionID, front.Stalled)
		time.Sleep(20 * time.Second)
		if host := h.TargetHost(); host == "a" || host == standby {
			t.Errorf("%s is used, and the standby was %s: %s", host, standby, h.State().Message)
		}
	})
}

// No page for work can be reached: that says nothing about anybody, but ample evidence does.
func TestNoPageForWork(t *testing.T) {
	daemontest.Bubble(t, "a b c", working, func(h *daemontest.Harness) {
		connected := h.Settle()
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, func(s *daemontest.Server) { s.NoPages = true })
		}
		trouble(h, connected.SessionID, front.Stalled)
		time.Sleep(time.Minute)
		h.Want(ipc.StateConnected, "a")
		// What cannot be found out does not hold the user up either.
		began := time.Now()
		if _, err := h.Rotate(nil); err != nil || time.Since(began) > 500*time.Millisecond {
			t.Errorf("a rotation by hand took %v: %v", time.Since(began), err)
		}
		h.Rotate(new(int64(1)))
		time.Sleep(time.Minute)
		connected.SessionID = h.Status().Session.ID

		var standby int64
		for id, s := range h.Look().Sessions {
			if s.Status == "standby" {
				standby = id
			}
		}
		h.Locked(func() {
			h.Seen[connected.SessionID] = front.Evidence{Stalled: 4, Destinations: 2}
			h.Seen[standby] = front.Evidence{Worked: 2}
		})
		h.Hints <- front.Signal{TargetID: connected.SessionID, Kind: front.Stalled}
		time.Sleep(2*time.Minute + 15*time.Second)
		if h.TargetHost() == "a" {
			t.Error("ample evidence is not enough")
		}
	})
}

// A server that has become far slower than the standby is left, after some checks and not more
// often than the pace allows; one that everything has become slow with is not.
func TestSlowIsLeft(t *testing.T) {
	slow := func(s *daemontest.Server) { s.Latency = 1200 * time.Millisecond }
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
		h.Set("a", slow)
		for range 12 {
			h.Rescued()
			time.Sleep(time.Second)
		}
		if p := h.State(); h.TargetHost() == "a" || p.LastRotation == nil || p.LastRotation.ReasonCode != "slow" {
			t.Errorf("on %q, %+v", h.TargetHost(), p.LastRotation)
		}
		time.Sleep(2 * time.Minute)
		if o := h.Look().Outcomes[1]; o.Limit != "slow" || o.Failures > 0 {
			t.Errorf("learned %+v", o)
		}
	})
	// The standby is faster, and its core ends before it can step in.
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
		h.Set("a", slow)
		for range 60 {
			h.Rescued()
			h.Set("b", func(s *daemontest.Server) { s.NoStart = true })
			time.Sleep(time.Second)
			if h.TargetHost() != "a" {
				break
			}
			h.Kill("b", "signal: killed")
		}
		time.Sleep(time.Minute)
		if p := h.State(); p.State != ipc.StateConnected || p.Session.Limit == "slow" {
			t.Errorf("%s: %s, limit %q", p.State, p.Message, p.Session.Limit)
		}
	})
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
		for _, host := range []string{"a", "b", "c"} {
			h.Set(host, slow)
		}
		for range 300 {
			h.Rescued()
			time.Sleep(time.Second)
		}
		h.Want(ipc.StateConnected, "a")
	})
}

// A config that was found limited is looked at again, with work, and cleared when it does that;
// checks that it answers clear nothing.
func TestLimitedIsLookedAtAgain(t *testing.T) {
	for _, how := range []string{"", "stalls"} {
		daemontest.Bubble(t, "a b c", working, func(h *daemontest.Harness) {
			h.Edit(func(r *storetest.Records) {
				now := time.Now()
				r.Outcomes[3] = store.Outcome{ConfigID: 3, Successes: 5, LastSuccess: now, Good: 5, LatencyMS: 50, Limit: "stalls", LimitedAt: now}
			})
			h.Set("c", limit(how))
			h.Settle()
			time.Sleep(12 * time.Hour)
			if o := h.Look().Outcomes[3]; o.Limit != how || o.Successes <= 5 {
				t.Errorf("%q: after hours %+v", how, o)
			}
		})
	}
}

// When everything was strangled for a while, whatever does work first afterwards is no better than
// the server in use, which has one more chance.
func TestStrangledForAWhileMovesNothing(t *testing.T) {
	for while := 2 * time.Second; while < 25*time.Second; while += 900 * time.Millisecond {
		daemontest.Bubble(t, "a b c d e f", working, func(h *daemontest.Harness) {
			connected := h.Settle()
			all := func(how string) {
				for _, host := range strings.Fields("a b c d e f") {
					h.Set(host, limit(how))
				}
			}
			all("stalls")
			trouble(h, connected.SessionID, front.Stalled)
			time.Sleep(while)
			all("")
			time.Sleep(time.Minute)
			h.Want(ipc.StateConnected, "a")
			for id, o := range h.Look().Outcomes {
				if o.Limit != "" || o.Failures > 0 {
					t.Errorf("%v: %d is blamed: %+v", while, id, o)
				}
			}
		})
	}
}
