package daemon

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

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// harness is a supervisor among fakes, inside a bubble of fake time.
type harness struct {
	t *testing.T
	*world
	*memory
	s    *Supervisor
	stop func() // ends Run and waits for it
}

func (h *harness) deps(config settings.Settings) Deps {
	return Deps{
		Settings: config, Store: h.memory, Front: h.world, Cores: h.world,
		Probe: h.world.probe, Measuring: h.measuring(), Handshake: h.world.handshake, HTTPInbound: h.world.handshake, Online: h.world.online,
		Fetch:     h.world.fetch,
		Locate:    h.world.locate,
		CheckFree: func(string) error { return nil },
		CapLog:    func() {}, Version: "test", Log: zerolog.Nop(),
	}
}

// bubble runs f with a supervisor whose configs are the hosts, with ids from 1.
func bubble(t *testing.T, hosts string, adjust func(*settings.Settings), f func(h *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		names := strings.Fields(hosts)
		h := &harness{t: t, world: newWorld(names...), memory: newMemory(names...)}
		h.boot(adjust)
		f(h)
		h.stop()
		if cores := h.running(); len(cores) > 0 {
			t.Errorf("%d cores are left at the end", len(cores))
		}
		for _, s := range h.all() {
			if s.Status.Live() {
				t.Errorf("session %d is still %s at the end", s.ID, s.Status)
			}
		}
		for id := range h.targets {
			if n := len(slices.DeleteFunc(slices.Clone(h.forgotten), func(f int64) bool { return f != id })); n != 1 {
				t.Errorf("the front was told %d times to forget session %d", n, id)
			}
		}
	})
}

// boot starts a supervisor over the world and the store as they are.
func (h *harness) boot(adjust func(*settings.Settings)) {
	h.t.Helper()
	config := settings.Default()
	config.Rotation.Standby = false // it has tests of its own
	if adjust != nil {
		adjust(&config)
	}
	h.s = New(h.deps(config))
	ctx, cancel := context.WithCancel(context.Background())
	if err := h.s.Restore(ctx); err != nil {
		h.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.s.Run(ctx)
	}()
	h.stop = func() {
		cancel()
		<-done
	}
}

func (h *harness) do(r ipc.Request) (any, error) {
	payload, _, err := h.s.Handle(context.Background(), r)
	return payload, err
}

func id(n int64) *int64 { return &n }

func (h *harness) connect(n int64) ipc.ConnectPayload {
	h.t.Helper()
	payload, err := h.do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: id(n)})
	if err != nil {
		h.t.Fatalf("connect %d: %v", n, err)
	}
	return payload.(ipc.ConnectPayload)
}

func (h *harness) rotate(candidate *int64) (ipc.ReplacePayload, error) {
	payload, err := h.do(ipc.Request{Type: ipc.KindRuntimeReplace, Trigger: ipc.TriggerManual, CandidateID: candidate})
	p, _ := payload.(ipc.ReplacePayload)
	return p, err
}

// state waits until nothing moves and returns the state.
func (h *harness) state() ipc.StatusPayload {
	synctest.Wait()
	return h.s.status()
}

func (h *harness) want(state ipc.State, host string) {
	h.t.Helper()
	if got := h.state(); got.State != state || h.targetHost() != host {
		h.t.Errorf("state %s (%s), target %q; want %s, %q", got.State, got.Message, h.targetHost(), state, host)
	}
}

func (h *harness) session(id int64) store.Session {
	h.memory.mu.Lock()
	defer h.memory.mu.Unlock()
	return h.sessions[id]
}

func TestConnectAndDisconnect(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		h.want(ipc.StateDisconnected, "")
		if h.world.open {
			t.Error("the front is open while disconnected")
		}
		p := h.connect(2)
		h.want(ipc.StateConnected, "b")
		status := h.s.status()
		if s := status.Session; s == nil || s.ConfigID != 2 || s.PID != p.PID || s.Trigger != ipc.TriggerManual || s.LatencyMillis != 50 {
			t.Errorf("session %+v", s)
		}
		if got := h.session(p.SessionID); got.Status != store.StatusRunning || got.PID != p.PID || got.Nonce == "" || len(got.Inbounds) != 1 {
			t.Errorf("record %v", got)
		}
		if h.desired != (store.Desired{Connected: true, ConfigID: 2}) {
			t.Errorf("desired %+v", h.desired)
		}
		again := h.connect(2)
		if again.SessionID != p.SessionID {
			t.Error("connecting to the active config made a new session")
		}
		payload, err := h.do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		if err != nil || !payload.(ipc.DisconnectPayload).StoppedSession {
			t.Errorf("disconnect: %+v, %v", payload, err)
		}
		h.want(ipc.StateDisconnected, "")
		if h.world.open || len(h.running()) > 0 || h.desired.Connected {
			t.Errorf("after a disconnect: front open %v, %d cores, desired %+v", h.world.open, len(h.running()), h.desired)
		}
		got := h.session(p.SessionID)
		if got.Status != store.StatusStopped || got.EndCode != reasonUser || got.EndedAt.IsZero() || got.DownBytes != uint64(p.SessionID)*100 {
			t.Errorf("record %+v", got)
		}
		payload, err = h.do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		if err != nil || payload.(ipc.DisconnectPayload).StoppedSession {
			t.Errorf("second disconnect: %+v, %v", payload, err)
		}
	})
}

func TestConnectFails(t *testing.T) {
	for name, test := range map[string]struct {
		prepare func(*harness)
		config  *int64
		code    ipc.Code
		want    string
	}{
		"dead server": {func(h *harness) { h.set("a", func(s *server) { s.dead = true }) }, id(1), ipc.CodeInternalError, "no answer through it"},
		"all dead": {func(h *harness) {
			h.set("a", func(s *server) { s.dead = true })
			h.set("b", func(s *server) { s.dead = true })
		}, nil, ipc.CodeInternalError, "none of 2 configs"},
		"core ends":     {func(h *harness) { h.set("a", func(s *server) { s.noStart = true }) }, id(1), ipc.CodeInternalError, "exit status 23"},
		"no such":       {func(*harness) {}, id(99), ipc.CodeNotFound, "99"},
		"no core":       {func(h *harness) { h.locateErr = errors.New("no Xray core found") }, nil, ipc.CodeInternalError, "no Xray core found"},
		"port taken":    {func(h *harness) { h.openErr = errors.New("address already in use") }, id(1), ipc.CodeInternalError, "opening the front"},
		"nothing there": {func(h *harness) { h.configs = map[int64]store.Config{} }, nil, ipc.CodeInvalidState, "xrat import"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, "a b", nil, func(h *harness) {
				test.prepare(h)
				_, err := h.do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: test.config})
				if ipc.CodeOf(err) != test.code || !strings.Contains(fmt.Sprint(err), test.want) {
					t.Errorf("got %v (%s); want %s with %q", err, ipc.CodeOf(err), test.code, test.want)
				}
				h.want(ipc.StateDisconnected, "")
				if h.world.open || len(h.running()) > 0 || h.desired.Connected {
					t.Errorf("front open %v, %d cores, desired %+v", h.world.open, len(h.running()), h.desired)
				}
				if len(h.outcomes) > 0 {
					t.Errorf("blamed without proof: %+v", h.outcomes)
				}
			})
		})
	}
}

func TestConnectUncheckedTakesADeadServer(t *testing.T) {
	bubble(t, "a", func(c *settings.Settings) { c.Rotation.Enabled = false }, func(h *harness) {
		h.set("a", func(s *server) { s.dead = true })
		if _, err := h.do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: id(1), Unchecked: true}); err != nil {
			t.Fatal(err)
		}
		h.want(ipc.StateConnecting, "a")
		time.Sleep(time.Minute)
		h.want(ipc.StateDegraded, "a")
	})
}

func TestRotateByHand(t *testing.T) {
	bubble(t, "a b c", nil, func(h *harness) {
		first := h.connect(1)
		stream := make(chan struct{})
		h.world.mu.Lock()
		h.drainTill[first.SessionID] = stream
		h.world.mu.Unlock()
		p, err := h.rotate(nil)
		if err != nil || !p.Replaced || *p.OldSessionID != first.SessionID || p.NewConfigID != 2 {
			t.Fatalf("%+v, %v", p, err)
		}
		h.want(ipc.StateConnected, "b")
		if got := h.session(first.SessionID).Status; got != store.StatusDraining {
			t.Errorf("the old session is %s", got)
		}
		if got := h.session(p.NewSessionID).PreviousID; got != first.SessionID {
			t.Errorf("previous session %d", got)
		}
		close(stream)
		synctest.Wait()
		if got := h.session(first.SessionID); got.Status != store.StatusStopped || len(h.running()) != 1 {
			t.Errorf("after the drain the old session is %s, %d cores run", got.Status, len(h.running()))
		}
		if p, err := h.rotate(nil); err != nil || p.NewConfigID != 3 {
			t.Errorf("the second rotation went to %d: %v", p.NewConfigID, err)
		}
		if p, err := h.rotate(id(1)); err != nil || p.NewConfigID != 1 {
			t.Errorf("rotate 1: %+v, %v", p, err)
		}
		status := h.s.status()
		r := status.Rotation
		if *r.LastTrigger != ipc.TriggerManual || r.LastResult != "replaced" || *r.LastCandidateConfigID != 1 ||
			r.LastCandidateResult != "healthy" || !r.CooldownActive || *r.ActiveConfigID != 1 {
			t.Errorf("rotation %+v", r)
		}
		if l := status.LastRotation; l == nil || l.FromConfigName != "c" || l.ToConfigName != "a" {
			t.Errorf("last rotation %+v", l)
		}
		if h.gaps > 0 {
			t.Errorf("the front had no target %d times", h.gaps)
		}
	})
}

func TestDrainIsBounded(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		first := h.connect(1)
		h.world.mu.Lock()
		h.drainTill[first.SessionID] = make(chan struct{}) // never ends
		h.world.mu.Unlock()
		h.rotate(nil)
		time.Sleep(29 * time.Second)
		if len(h.running()) != 2 {
			t.Error("the old core did not get its 30 s")
		}
		time.Sleep(2 * time.Second)
		if len(h.running()) != 1 {
			t.Error("the old core outlives the drain")
		}
	})
}

func TestRotateToADeadOneKeepsTheOld(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		first := h.connect(1)
		h.set("b", func(s *server) { s.dead = true })
		_, err := h.rotate(id(2))
		if err == nil || !strings.Contains(err.Error(), "b is not usable") {
			t.Errorf("got %v", err)
		}
		h.want(ipc.StateConnected, "a")
		if s := h.s.status(); s.Session.ID != first.SessionID || s.Rotation.LastResult != "all_failed" || s.Rotation.LastCandidateResult != "probe_timeout" {
			t.Errorf("%+v", s)
		}
		if _, err := h.rotate(id(1)); ipc.CodeOf(err) != ipc.CodeInvalidState {
			t.Errorf("rotating to the active one: %v", err)
		}
		if _, err := h.rotate(id(9)); ipc.CodeOf(err) != ipc.CodeNotFound {
			t.Errorf("rotating to nowhere: %v", err)
		}
		if h.gaps > 0 {
			t.Errorf("the front had no target %d times", h.gaps)
		}
	})
}

func TestRotateWithoutAnything(t *testing.T) {
	bubble(t, "a", nil, func(h *harness) {
		if _, err := h.rotate(nil); ipc.CodeOf(err) != ipc.CodeInvalidState {
			t.Errorf("while disconnected: %v", err)
		}
		h.connect(1)
		if _, err := h.rotate(nil); ipc.CodeOf(err) != ipc.CodeInvalidState || !strings.Contains(err.Error(), "no other config") {
			t.Errorf("with one config: %v", err)
		}
		h.want(ipc.StateConnected, "a")
	})
}

// While a rotation waits for a dead candidate, everything that only asks is
// answered at once, a second intent is refused, and a disconnect wins.
func TestRotationInFlight(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		h.connect(1)
		h.set("b", func(s *server) { s.dead = true })
		var rotated error
		var wg sync.WaitGroup
		wg.Go(func() { _, rotated = h.rotate(id(2)) })
		synctest.Wait()
		before := time.Now()
		h.want(ipc.StateRotating, "a")
		for _, kind := range []ipc.Kind{ipc.KindDaemonPing, ipc.KindStatus, ipc.KindRuntimeStatus, ipc.KindProxyStatus, ipc.KindConfigList, ipc.KindSessionList} {
			if _, err := h.do(ipc.Request{Type: kind}); err != nil {
				t.Errorf("%s: %v", kind, err)
			}
		}
		if _, err := h.do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: id(2)}); ipc.CodeOf(err) != ipc.CodeBusy {
			t.Errorf("a second intent: %v", err)
		}
		if _, err := h.do(ipc.Request{Type: ipc.KindProxyStop}); err != nil {
			t.Errorf("proxy_stop: %v", err)
		}
		if waited := time.Since(before); waited > 0 {
			t.Errorf("these answers took %v of the rotation's time", waited)
		}
		if _, err := h.do(ipc.Request{Type: ipc.KindRuntimeDisconnect}); err != nil {
			t.Errorf("disconnect: %v", err)
		}
		if waited := time.Since(before); waited > time.Second {
			t.Errorf("the disconnect took %v", waited)
		}
		wg.Wait()
		if ipc.CodeOf(rotated) != ipc.CodeInvalidState {
			t.Errorf("the rotation that lost: %v", rotated)
		}
		h.want(ipc.StateDisconnected, "")
		if len(h.running()) > 0 {
			t.Error("a core is left")
		}
	})
}

func TestHealthRotation(t *testing.T) {
	bubble(t, "a b c", nil, func(h *harness) {
		h.connect(1)
		h.set("b", func(s *server) { s.latency = 200 * time.Millisecond })
		time.Sleep(time.Minute)
		h.want(ipc.StateConnected, "a")
		h.set("a", func(s *server) { s.dead = true })
		died := time.Now()
		for h.state().LastRotation == nil {
			if time.Sleep(100 * time.Millisecond); time.Since(died) > time.Minute {
				t.Fatal("no rotation within a minute")
			}
		}
		// One tick until it is noticed, three rounds of 3 s that overlap.
		if took := time.Since(died); took > 15*time.Second+4*time.Second {
			t.Errorf("it took %v", took)
		}
		h.want(ipc.StateConnected, "c") // the fastest of those that raced
		status := h.s.status()
		l := status.LastRotation
		if l.Trigger != ipc.TriggerHealthCheckFailed || l.ReasonCode != "probe_timeout" || !strings.Contains(l.Reason, "3 failed checks") {
			t.Errorf("last rotation %+v", l)
		}
		if status.Session.Trigger != ipc.TriggerHealthCheckFailed {
			t.Errorf("trigger %s", status.Session.Trigger)
		}
		synctest.Wait()
		if o := h.outcomes[1]; o.ConsecutiveFailures != 1 || !o.CooldownUntil.After(time.Now()) {
			t.Errorf("the dead one's outcome: %+v", o)
		}
		if h.gaps > 0 {
			t.Errorf("the front had no target %d times", h.gaps)
		}
	})
}

func TestOneFailedCheckIsNoReason(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		h.connect(1)
		time.Sleep(10 * time.Second)
		h.set("a", func(s *server) { s.dead = true })
		for h.state().State != ipc.StateDegraded {
			time.Sleep(100 * time.Millisecond)
		}
		h.set("a", func(s *server) { s.dead = false })
		time.Sleep(time.Minute)
		h.want(ipc.StateConnected, "a")
		if h.s.status().LastRotation != nil || h.s.status().Message != "" {
			t.Errorf("%+v", h.s.status())
		}
	})
}

func TestHealthDoesNotRotateWhenSwitchedOff(t *testing.T) {
	for name, off := range map[string]func(*harness, *settings.Settings){
		"health.enabled":   func(_ *harness, c *settings.Settings) { c.Health.Enabled = false },
		"rotation.enabled": func(_ *harness, c *settings.Settings) { c.Rotation.Enabled = false },
		"proxy_stop":       nil,
	} {
		t.Run(name, func(t *testing.T) {
			var adjust func(*settings.Settings)
			if off != nil {
				adjust = func(c *settings.Settings) { off(nil, c) }
			}
			bubble(t, "a b", adjust, func(h *harness) {
				h.connect(1)
				if off == nil {
					h.do(ipc.Request{Type: ipc.KindProxyStop})
				}
				h.set("a", func(s *server) { s.dead = true })
				time.Sleep(10 * time.Minute)
				h.want(ipc.StateDegraded, "a")
				h.set("a", func(s *server) { s.dead = false })
				time.Sleep(time.Minute)
				h.want(ipc.StateConnected, "a")
			})
		})
	}
}

// With everything dead the old session stays, nobody is blamed, attempts become
// rare, and all is well soon after the network is back.
func TestNothingHealthyKeepsTheOldSession(t *testing.T) {
	bubble(t, "a b c", nil, func(h *harness) {
		first := h.connect(1)
		for _, host := range []string{"a", "b", "c"} {
			h.set(host, func(s *server) { s.dead = true })
		}
		time.Sleep(time.Hour)
		for h.state().State == ipc.StateRotating { // an attempt is under way
			time.Sleep(100 * time.Millisecond)
		}
		h.want(ipc.StateDegraded, "a")
		status := h.s.status()
		if status.Session.ID != first.SessionID || !strings.Contains(status.Message, "staying on a") {
			t.Errorf("%+v", status)
		}
		started := h.starts()
		// Two candidates an attempt, an attempt at most every 45 s in the end.
		if started > 1+2*90 || started < 20 {
			t.Errorf("%d cores were started in an hour", started)
		}
		if len(h.outcomes) > 1 || h.outcomes[1].Failures > 0 {
			t.Errorf("blamed without proof: %+v", h.outcomes)
		}
		for _, host := range []string{"a", "b", "c"} {
			h.set(host, func(s *server) { s.dead = false })
		}
		back := time.Now()
		for h.state().State != ipc.StateConnected {
			if time.Sleep(100 * time.Millisecond); time.Since(back) > 20*time.Second {
				t.Fatal("still not connected 20 s after the network's return")
			}
		}
		if h.gaps > 0 {
			t.Errorf("the front had no target %d times", h.gaps)
		}
	})
}

func TestCoreExitRestartsTheSameConfig(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		first := h.connect(1)
		time.Sleep(time.Minute)
		h.running()[0].exit("signal: killed")
		died := time.Now()
		for h.state().Session == nil {
			time.Sleep(time.Millisecond)
		}
		if took := time.Since(died); took > 100*time.Millisecond {
			t.Errorf("it took %v", took)
		}
		time.Sleep(time.Second)
		h.want(ipc.StateConnected, "a")
		status := h.s.status()
		if status.Session.ID == first.SessionID || status.Session.ReasonCode != reasonCoreExited || h.gaps != 1 || !h.world.open {
			t.Errorf("session %+v, gaps %d, front open %v", status.Session, h.gaps, h.world.open)
		}
		if got := h.session(first.SessionID); got.Status != store.StatusFailed || got.EndCode != reasonCoreExited || got.EndReason != "signal: killed" {
			t.Errorf("record %+v", got)
		}
	})
}

func TestCrashLoopMovesOn(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		h.connect(1)
		for range 3 {
			time.Sleep(100 * time.Millisecond)
			for _, c := range h.running() {
				if c.host == "a" {
					c.exit("exit status 2")
				}
			}
			synctest.Wait()
		}
		time.Sleep(2 * time.Second)
		h.want(ipc.StateConnected, "b")
		if got := h.s.status().Session.ReasonCode; got != reasonCrashLoop {
			t.Errorf("reason %s", got)
		}
	})
}

// The only config's core keeps ending: it is started ever more rarely, but not
// given up.
func TestCrashLoopOfTheOnlyConfig(t *testing.T) {
	bubble(t, "a", nil, func(h *harness) {
		h.connect(1)
		crash := func(cause string, during time.Duration) int {
			before := h.starts()
			for end := time.Now().Add(during); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
				for _, c := range h.running() {
					c.exit(cause)
				}
			}
			return h.starts() - before
		}
		if n := crash("exit status 2", 20*time.Second); n > 7 {
			t.Errorf("%d starts in 20 s", n)
		}
		if n := crash("exit status 2", 10*time.Minute); n < 8 || n > 17 {
			t.Errorf("%d starts in 10 min", n)
		}
		if !h.world.open {
			t.Error("the front was closed")
		}
		time.Sleep(2 * time.Minute)
		h.want(ipc.StateConnected, "a")
		// Killed from outside, it is back at once, however often.
		if n := crash("signal: killed", time.Minute); n < 250 {
			t.Errorf("%d starts in a minute of kills", n)
		}
	})
}

// A core that always ends at once must not be started over and over.
func TestCoreThatNeverStartsIsRetriedRarely(t *testing.T) {
	bubble(t, "a", nil, func(h *harness) {
		h.connect(1)
		h.set("a", func(s *server) { s.noStart = true })
		h.running()[0].exit("exit status 1")
		time.Sleep(20 * time.Second)
		if n := h.starts(); n > 1+6 {
			t.Errorf("%d starts in 20 s", n)
		}
		h.want(ipc.StateFailed, "")
		if !h.world.open {
			t.Error("the front was closed")
		}
		before := h.starts()
		time.Sleep(10 * time.Minute)
		if n := h.starts() - before; n > 14 || n < 8 {
			t.Errorf("%d starts in 10 min", n)
		}
		h.set("a", func(s *server) { s.noStart = false })
		time.Sleep(time.Minute + 5*time.Second)
		h.want(ipc.StateConnected, "a")
	})
}

func TestTimerRotation(t *testing.T) {
	bubble(t, "a b c", func(c *settings.Settings) {
		c.Rotation.Interval = settings.Duration(10 * time.Minute)
	}, func(h *harness) {
		h.connect(1)
		next := h.s.status().Rotation.NextTimerEpochSecs
		if next == nil || *next != time.Now().Add(10*time.Minute).Unix() {
			t.Errorf("next timer %v", next)
		}
		time.Sleep(10*time.Minute + time.Second)
		h.want(ipc.StateConnected, "b")
		if l := h.s.status().LastRotation; l.Trigger != ipc.TriggerTimer {
			t.Errorf("%+v", l)
		}
		time.Sleep(10 * time.Minute)
		h.want(ipc.StateConnected, "c")
		h.do(ipc.Request{Type: ipc.KindProxyStop})
		if h.state().Rotation.NextTimerEpochSecs != nil {
			t.Error("a timer runs while rotation is off")
		}
		time.Sleep(time.Hour)
		h.want(ipc.StateConnected, "c")
		h.do(ipc.Request{Type: ipc.KindProxyStart})
		time.Sleep(10*time.Minute + time.Second)
		h.want(ipc.StateConnected, "a")
		// Just after a rotation by hand the timer lets the cooldown pass.
		time.Sleep(9*time.Minute + 50*time.Second)
		h.rotate(nil)
		time.Sleep(time.Minute)
		h.want(ipc.StateConnected, "b")
	})
}

func TestRestore(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		first := h.connect(2)
		h.stop()
		if len(h.running()) > 0 || h.world.open {
			t.Fatal("something is left after the shutdown")
		}
		// Stopped while connected: connects again.
		h.boot(nil)
		time.Sleep(time.Second)
		h.want(ipc.StateConnected, "b")
		if s := h.s.status().Session; s.ID == first.SessionID || s.ReasonCode != reasonRestore {
			t.Errorf("%+v", s)
		}
		// Disconnected by the user: stays so.
		h.do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		h.stop()
		h.boot(nil)
		time.Sleep(time.Hour)
		h.want(ipc.StateDisconnected, "")
		if len(h.running()) > 0 {
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
		change  func(h *harness, r *store.Session)
		adopted bool
		code    string
	}{
		"alive":           {true, func(*harness, *store.Session) {}, true, ""},
		"just begun":      {true, func(_ *harness, r *store.Session) { r.Status = store.StatusStarting }, true, ""},
		"not wanted":      {false, func(*harness, *store.Session) {}, false, reasonNotNeeded},
		"was draining":    {true, func(_ *harness, r *store.Session) { r.Status = store.StatusDraining }, false, reasonNotNeeded},
		"config removed":  {true, func(_ *harness, r *store.Session) { r.ConfigID = 5 }, false, reasonNotNeeded},
		"gone":            {true, func(_ *harness, r *store.Session) { r.PID = 5000 }, false, reasonPIDMissing},
		"another process": {true, func(_ *harness, r *store.Session) { r.PIDStart = 98 }, false, reasonMismatch},
		"another boot":    {true, func(_ *harness, r *store.Session) { r.BootID = "earlier" }, false, reasonMismatch},
		"does not answer": {true, func(_ *harness, r *store.Session) { r.Inbounds[0].Address = "core-y" }, false, reasonUnhealthy},
		"not recorded":    {true, func(_ *harness, r *store.Session) { r.PID, r.Inbounds = 0, nil }, false, reasonPIDMissing},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &harness{t: t, world: newWorld("a", "b"), memory: newMemory("a", "b")}
				for _, pid := range []int{mine, foreign} {
					h.cores[pid] = &fakeCore{
						w: h.world, host: "a", done: make(chan struct{}),
						id: xray.Identity{PID: pid, StartTime: 99, BootID: "boot"},
						in: xray.Inbound{Address: "core-x", User: "u", Password: "p"},
					}
				}
				r := record
				r.Inbounds = slices.Clone(record.Inbounds)
				test.change(h, &r)
				h.sessions[7], h.lastID = r, 7
				h.desired = store.Desired{Connected: test.desired, ConfigID: 1}
				h.boot(nil)
				time.Sleep(5 * time.Second)
				synctest.Wait()
				got := h.session(7)
				status := h.s.status()
				if test.adopted {
					if status.Session == nil || status.Session.ID != 7 || status.Session.PID != mine || h.starts() > 0 || !h.world.open || got.Status != store.StatusRunning {
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
				h.world.mu.Lock()
				if _, alive := h.cores[foreign]; !alive {
					t.Error("a stranger was killed")
				}
				_, alive := h.cores[mine]
				named := r.PID == mine && r.PIDStart == 99 && r.BootID == "boot"
				if !test.adopted && alive == named {
					t.Errorf("its own process alive: %v, identified: %v", alive, named)
				}
				h.world.mu.Unlock()
				h.stop()
			})
		})
	}
}

func TestPassiveSignalBringsTheCheckForward(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		h.connect(1)
		time.Sleep(20 * time.Second)
		h.set("a", func(s *server) { s.dead = true })
		seen := time.Now()
		h.signals <- front.Signal{TargetID: h.s.status().Session.ID, Kind: front.ClosedEmpty}
		h.signals <- front.Signal{TargetID: 999, Kind: front.ClosedEmpty}
		for h.state().LastRotation == nil {
			time.Sleep(10 * time.Millisecond)
		}
		if took := time.Since(seen); took > 11*time.Second {
			t.Errorf("it took %v", took)
		}
	})
	bubble(t, "a b", nil, func(h *harness) {
		h.connect(1)
		for range 1000 {
			h.signals <- front.Signal{TargetID: h.s.status().Session.ID, Kind: front.ClosedEmpty}
			time.Sleep(100 * time.Millisecond)
		}
		h.want(ipc.StateConnected, "a") // signals alone never rotate
		if h.world.probes > 130 {
			t.Errorf("%d probes in 100 s", h.world.probes)
		}
	})
}

func TestStoreThatCannotBeWritten(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		h.memory.mu.Lock()
		h.fail = errors.New("no space left")
		h.memory.mu.Unlock()
		_, message, err := h.s.Handle(context.Background(), ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: id(1)})
		if err != nil || !strings.Contains(message, "no space left") {
			t.Errorf("%q, %v", message, err)
		}
		h.want(ipc.StateConnected, "a")
		if p, err := h.rotate(nil); err != nil || p.NewConfigID != 2 {
			t.Errorf("%+v, %v", p, err)
		}
		h.want(ipc.StateConnected, "b")
	})
}

func TestSubscribersSeeTheNewestState(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		states, cancel := h.s.Subscribe()
		defer cancel()
		first := <-states
		if first.Status.State != ipc.StateDisconnected {
			t.Errorf("the first state is %s", first.Status.State)
		}
		h.connect(1)
		h.rotate(nil)
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
	bubble(t, "a b", nil, func(h *harness) {
		revision := h.state().ConfigsRevision
		payload, err := h.do(ipc.Request{Type: ipc.KindConfigImport, Text: "socks://c:1080#three\nhttp//nonsense\nsocks://d:99999\n"})
		if err != nil {
			t.Fatal(err)
		}
		p := payload.(ipc.ConfigImportPayload)
		if len(p.Added) != 1 || p.Added[0].Name != "three" || len(p.Errors) != 2 || p.Errors[0].Line != 2 || p.Errors[1].Line != 3 {
			t.Errorf("%+v", p)
		}
		if s := h.state(); s.Configs != 3 || s.ConfigsRevision == revision {
			t.Errorf("%d configs, revision %d", s.Configs, s.ConfigsRevision)
		}
		h.connect(1)
		if _, err := h.do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{2, 1}}); ipc.CodeOf(err) != ipc.CodeInvalidState {
			t.Errorf("removing the active one: %v", err)
		}
		if _, err := h.do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{99}}); ipc.CodeOf(err) != ipc.CodeNotFound {
			t.Errorf("removing none: %v", err)
		}
		if _, err := h.do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{2}}); err != nil {
			t.Error(err)
		}
		list, err := h.do(ipc.Request{Type: ipc.KindConfigList})
		configs := list.(ipc.ConfigListPayload).Configs
		if err != nil || len(configs) != 2 || !configs[0].Active || configs[0].Successes == 0 {
			t.Errorf("%+v, %v", configs, err)
		}
	})
}

// Random intents, faults and clients: whatever happens, there is one serving
// core at most, a disconnect leaves none, and every request is answered.
func TestRandomIntents(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			bubble(t, "a b c d", nil, func(h *harness) {
				rng := rand.New(rand.NewPCG(seed, 1))
				var clients sync.WaitGroup
				for range 300 {
					switch n := rng.IntN(12); n {
					case 0, 1, 2:
						clients.Go(func() { h.do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: id(1 + int64(n))}) })
					case 3:
						clients.Go(func() { h.do(ipc.Request{Type: ipc.KindRuntimeConnect}) })
					case 4, 5:
						clients.Go(func() { h.rotate(nil) })
					case 6:
						clients.Go(func() { h.do(ipc.Request{Type: ipc.KindRuntimeDisconnect}) })
					case 7:
						if cores := h.running(); len(cores) > 0 {
							cores[rng.IntN(len(cores))].exit("signal: killed")
						}
					case 8, 9:
						host := string(rune('a' + rng.IntN(4)))
						h.set(host, func(s *server) { s.dead = !s.dead })
					case 10:
						clients.Go(func() {
							h.do(ipc.Request{Type: []ipc.Kind{ipc.KindProxyStart, ipc.KindProxyStop}[seed%2]})
						})
					case 11:
						host := string(rune('a' + rng.IntN(4)))
						h.set(host, func(s *server) { s.noStart = !s.noStart })
					}
					time.Sleep(time.Duration(rng.IntN(3000)) * time.Millisecond)
				}
				clients.Wait() // every one was answered
				h.do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
				h.want(ipc.StateDisconnected, "")
				if len(h.running()) > 0 || h.world.open {
					t.Errorf("after a disconnect %d cores run, front open: %v", len(h.running()), h.world.open)
				}
				for _, host := range strings.Fields("a b c d") {
					h.set(host, func(s *server) { s.dead, s.noStart = false, false })
				}
				h.connect(4)
				time.Sleep(time.Minute)
				h.want(ipc.StateConnected, "d")
				if len(h.running()) != 1 {
					t.Errorf("%d cores run", len(h.running()))
				}
			})
		})
	}
}

func TestShutdownByRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{t: t, world: newWorld("a"), memory: newMemory("a")}
		h.boot(nil)
		h.connect(1)
		payload, err := h.do(ipc.Request{Type: ipc.KindDaemonShutdown})
		if err != nil || !payload.(ipc.ShutdownPayload).RuntimeDisconnected {
			t.Errorf("%+v, %v", payload, err)
		}
		h.stop()
		if !h.desired.Connected || len(h.running()) > 0 || h.world.open {
			t.Errorf("desired %+v, %d cores, front open %v", h.desired, len(h.running()), h.world.open)
		}
		if _, err := h.do(ipc.Request{Type: ipc.KindRuntimeDisconnect}); !errors.Is(err, errShuttingDown) {
			t.Errorf("after the end: %v", err)
		}
	})
}
