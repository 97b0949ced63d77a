package supervisor_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
)

// A disconnect is answered when a standby that was dropped before is gone, too.
func TestDisconnectWaitsForADroppedStandby(t *testing.T) {
	daemontest.Bubble(t, "a b", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
		h.Locked(func() { h.StopTime = 2 * time.Second })
		h.Do(ipc.Request{Type: ipc.KindProxyStop})
		time.Sleep(10 * time.Millisecond)
		h.Locked(func() { h.StopTime = 0 })
		h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		if n := len(h.Running()); n > 0 {
			t.Errorf("%d cores run after the disconnect was answered", n)
		}
		time.Sleep(10 * time.Second)
	})
}

// A disconnect is answered when those that lost a race are gone, too.
func TestDisconnectWaitsForLosers(t *testing.T) {
	daemontest.Bubble(t, "a b c d", nil, func(h *daemontest.Harness) {
		h.Settle()
		h.Set("b", daemontest.Dead)
		h.Set("c", daemontest.Dead)
		h.Set("a", daemontest.Dead)
		h.Locked(func() { h.StopTime = time.Second })
		h.Rescued()
		h.WaitRotation(time.Minute)
		h.Locked(func() { h.StopTime = 0 })
		h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect})
		if n := len(h.Running()); n > 0 {
			t.Errorf("%d cores run after the disconnect was answered", n)
		}
		time.Sleep(10 * time.Second)
	})
}

// A disk that does not answer holds a shutdown back for a bounded time, and no core is left.
func TestShutdownIsBoundedWithADeadDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := daemontest.NewHarness(t, "a")
		hang := make(chan struct{})
		h.Before(func(_ context.Context, method string) error {
			if method != "SetDesired" {
				return nil
			}
			<-hang
			return errors.New("too late")
		})
		h.Boot(daemontest.WithStandby)
		go h.Do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: new(int64(1))})
		time.Sleep(time.Second)
		began := time.Now()
		h.Stop()
		if took := time.Since(began); took > 25*time.Second {
			t.Errorf("it took %v", took)
		}
		if len(h.Running()) > 0 || h.World.FrontOpen {
			t.Errorf("%d cores run, front open %v", len(h.Running()), h.World.FrontOpen)
		}
		close(hang)
	})
}

// A disconnect that a shutdown overtakes is answered, and counts.
func TestDisconnectOvertakenByAShutdownIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := daemontest.NewHarness(t, "a")
		h.Boot(nil)
		h.Connect(1)
		var disconnected, shut error
		var wg sync.WaitGroup
		h.World.StopTime = time.Second
		wg.Go(func() { _, disconnected = h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect}) })
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() { _, shut = h.Do(ipc.Request{Type: ipc.KindDaemonShutdown}) })
		wg.Wait()
		if disconnected != nil || shut != nil {
			t.Errorf("disconnect: %v; shutdown: %v", disconnected, shut)
		}
		if h.Look().Desired.Connected {
			t.Error("still wants to be connected")
		}
		h.Stop()
	})
}

// A shutdown by request ends the session and keeps the desire to be connected; what comes after it
// is refused.
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
