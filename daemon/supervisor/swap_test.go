package supervisor_test

import (
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/store"
)

// What hangs on a server that died is cut soon after the rotation; a drain after a rotation by hand
// has its whole time.
func TestHangingConnectionsOfADeadServerAreCut(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		first := h.Connect(1)
		h.Locked(func() { h.DrainTill[first.SessionID] = make(chan struct{}) }) // never ends by itself
		h.Set("a", daemontest.Dead)
		for h.State().LastRotation == nil {
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(6 * time.Second)
		if got := h.Session(first.SessionID).Status; got != store.StatusStopped || len(h.Running()) != 1 {
			t.Errorf("the dead server's session is %s, %d cores run", got, len(h.Running()))
		}
	})
}

// A session that is left has 30 s for its connections, and then its core is stopped whatever they
// do.
func TestDrainIsBounded(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		first := h.Connect(1)
		h.Locked(func() { h.DrainTill[first.SessionID] = make(chan struct{}) }) // never ends
		h.Rotate(nil)
		time.Sleep(29 * time.Second)
		if len(h.Running()) != 2 {
			t.Error("the old core did not get its 30 s")
		}
		time.Sleep(2 * time.Second)
		if len(h.Running()) != 1 {
			t.Error("the old core outlives the drain")
		}
	})
}
