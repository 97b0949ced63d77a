package daemon

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// What happens when one thing comes in the middle of another.

func (h *harness) kill(host, cause string) {
	for _, c := range h.running() {
		if c.host == host {
			c.exit(cause)
		}
	}
}

func dead(s *server) { s.dead = true }

func TestCandidateZeroWithoutASession(t *testing.T) {
	bubble(t, "a", nil, func(h *harness) {
		h.connect(1)
		h.set("a", func(s *server) { s.noStart = true })
		h.kill("a", "exit status 1")
		h.want(ipc.StateConnecting, "")
		time.Sleep(10 * time.Second)
		if _, err := h.rotate(id(0)); ipc.CodeOf(err) != ipc.CodeNotFound {
			t.Errorf("%v", err)
		}
	})
}

// After a crash in the middle of a rotation the session that served goes on; the
// one that had not proven itself is ended.
func TestReattachPrefersTheOneThatServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{t: t, world: newWorld("a", "b"), memory: newMemory("a", "b")}
		for i, host := range []string{"a", "b"} {
			pid := 4000 + i
			h.cores[pid] = &fakeCore{
				w: h.world, host: host, done: make(chan struct{}),
				id: xray.Identity{PID: pid, StartTime: 99, BootID: "boot"},
				in: xray.Inbound{Address: "core-" + host, User: "u", Password: "p"},
			}
			h.sessions[int64(7+i)] = store.Session{
				ID: int64(7 + i), ConfigID: int64(1 + i), Status: []store.Status{store.StatusRunning, store.StatusStarting}[i],
				PID: pid, PIDStart: 99, BootID: "boot",
				Inbounds: []store.Inbound{{Protocol: "socks", Address: "core-" + host, User: "u", Password: "p"}},
			}
		}
		h.lastID = 8
		h.desired = store.Desired{Connected: true, ConfigID: 1}
		h.boot(nil)
		time.Sleep(time.Second)
		h.want(ipc.StateConnected, "a")
		if s := h.s.status().Session; s == nil || s.ID != 7 || len(h.running()) != 1 {
			t.Errorf("session %+v, %d cores", s, len(h.running()))
		}
		if got := h.session(8); got.Status.Live() || got.EndCode != reasonNotNeeded {
			t.Errorf("the unproven one: %+v", got)
		}
		h.stop()
	})
}

// A long wait after failures must not hold back the next recovery.
func TestSuccessEndsTheBackoff(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		h.do(ipc.Request{Type: ipc.KindProxyStop})
		h.connect(1)
		h.set("a", func(s *server) { s.noStart = true })
		h.kill("a", "exit status 1")
		time.Sleep(10 * time.Minute)
		h.connect(2)
		h.kill("b", "signal: killed")
		time.Sleep(time.Second)
		h.want(ipc.StateConnected, "b")
	})
}

// The core in use dies while the timer's rotation tries dead candidates: it is
// back at once all the same.
func TestCoreExitDuringARotation(t *testing.T) {
	bubble(t, "a b c d e f", func(c *settings.Settings) { c.Rotation.Interval = settings.Duration(time.Hour) }, func(h *harness) {
		h.connect(1)
		for _, host := range strings.Fields("b c d e f") {
			h.set(host, dead)
		}
		for h.state().State != ipc.StateRotating {
			time.Sleep(time.Second)
		}
		h.kill("a", "signal: killed")
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if got := h.targetHost(); got != "a" {
			t.Errorf("after 100 ms the target is %q", got)
		}
		time.Sleep(time.Minute)
		h.want(ipc.StateConnected, "a")
		if len(h.running()) != 1 {
			t.Errorf("%d cores run", len(h.running()))
		}
	})
}

func TestConnectToTheActiveOneStopsARotation(t *testing.T) {
	bubble(t, "a b", func(c *settings.Settings) { c.Rotation.Interval = settings.Duration(time.Hour) }, func(h *harness) {
		h.connect(1)
		h.set("b", func(s *server) { s.latency = 2 * time.Second })
		for h.state().State != ipc.StateRotating {
			time.Sleep(time.Second)
		}
		h.connect(1)
		time.Sleep(time.Minute)
		h.want(ipc.StateConnected, "a")
		if len(h.running()) != 1 {
			t.Errorf("%d cores run", len(h.running()))
		}
	})
}

// hanging is a store whose disk has gone away.
type hanging struct {
	*memory
	hang chan struct{}
}

func (h hanging) SetDesired(context.Context, store.Desired) error {
	<-h.hang
	return errors.New("too late")
}

func TestShutdownIsBoundedWithADeadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{t: t, world: newWorld("a"), memory: newMemory("a")}
		deps := h.deps(settings.Default())
		disk := hanging{h.memory, make(chan struct{})}
		deps.Store = disk
		h.s = New(deps)
		ctx, cancel := context.WithCancel(context.Background())
		if err := h.s.Restore(ctx); err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.s.Run(ctx)
		}()
		go h.do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: id(1)})
		time.Sleep(time.Second)
		began := time.Now()
		cancel()
		<-done
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("it took %v", took)
		}
		if len(h.running()) > 0 || h.world.open {
			t.Errorf("%d cores run, front open %v", len(h.running()), h.world.open)
		}
		close(disk.hang)
	})
}

func TestDisconnectOvertakenByAShutdownIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &harness{t: t, world: newWorld("a"), memory: newMemory("a")}
		h.boot(nil)
		h.connect(1)
		var disconnected, shut error
		var wg sync.WaitGroup
		h.world.stopTime = time.Second
		wg.Go(func() { _, disconnected = h.do(ipc.Request{Type: ipc.KindRuntimeDisconnect}) })
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() { _, shut = h.do(ipc.Request{Type: ipc.KindDaemonShutdown}) })
		wg.Wait()
		if disconnected != nil || shut != nil {
			t.Errorf("disconnect: %v; shutdown: %v", disconnected, shut)
		}
		if h.desired.Connected {
			t.Error("still wants to be connected")
		}
		h.stop()
	})
}

// A core that keeps ending is left for a config that has proven itself, and what
// happens to that one's core is not held against it.
func TestCrashLoopGoesToAProvenConfig(t *testing.T) {
	bubble(t, "a b c", nil, func(h *harness) {
		h.connect(1)
		h.set("b", dead)
		for range 3 {
			time.Sleep(100 * time.Millisecond)
			h.kill("a", "exit status 2")
		}
		time.Sleep(10 * time.Second)
		h.want(ipc.StateConnected, "c")
		l := h.s.status().LastRotation
		if l == nil || l.FromConfigName != "a" || l.ToConfigName != "c" || l.ReasonCode != reasonCrashLoop {
			t.Errorf("last rotation %+v", l)
		}
		h.kill("c", "exit status 2") // the first of its own
		time.Sleep(time.Second)
		h.want(ipc.StateConnected, "c")
		var newest store.Session
		for _, s := range h.all() {
			newest = s
			break
		}
		if newest.PreviousID == 0 {
			t.Error("the chain of sessions is broken")
		}
	})
}

func TestFailedRotationByHandChangesNothing(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		h.connect(1)
		time.Sleep(time.Second)
		h.set("b", dead)
		h.rotate(id(2))
		h.rotate(id(99))
		if s := h.state(); s.Message != "" || s.State != ipc.StateConnected || h.s.st.attempts != 0 {
			t.Errorf("%s, message %q, attempts %d", s.State, s.Message, h.s.st.attempts)
		}
		for _, s := range h.all() {
			if s.ConfigID == 2 && (s.Status != store.StatusFailed || s.EndCode != "probe_timeout" || s.ReasonCode != reasonUser || s.EndReason == "") {
				t.Errorf("record of the candidate: %+v", s)
			}
		}
	})
}

func TestNoTimerWhileRotationIsOff(t *testing.T) {
	bubble(t, "a b", func(c *settings.Settings) { c.Rotation.Interval = settings.Duration(time.Hour) }, func(h *harness) {
		h.do(ipc.Request{Type: ipc.KindProxyStop})
		h.connect(1)
		if next := h.state().Rotation.NextTimerEpochSecs; next != nil {
			t.Errorf("next timer %d", *next)
		}
	})
}

// A check's result that arrives when another session serves is not held against
// that one.
func TestLateCheckResult(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		h.connect(1)
		time.Sleep(14 * time.Second)
		h.set("a", dead)
		time.Sleep(2 * time.Second) // the check is in flight, and ends a second from now
		h.rotate(id(2))
		for range 500 {
			time.Sleep(10 * time.Millisecond)
			if s := h.state(); s.State != ipc.StateConnected && s.State != ipc.StateConnecting {
				t.Fatalf("%s: %s", s.State, s.Message)
			}
		}
	})
}

// What hangs on a server that died is cut soon after the rotation; a drain after
// a rotation by hand has its whole time.
func TestHangingConnectionsOfADeadServerAreCut(t *testing.T) {
	bubble(t, "a b", nil, func(h *harness) {
		first := h.connect(1)
		h.world.mu.Lock()
		h.drainTill[first.SessionID] = make(chan struct{}) // never ends by itself
		h.world.mu.Unlock()
		h.set("a", dead)
		for h.state().LastRotation == nil {
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(2 * silence)
		if got := h.session(first.SessionID).Status; got != store.StatusStopped || len(h.running()) != 1 {
			t.Errorf("the dead server's session is %s, %d cores run", got, len(h.running()))
		}
	})
}
