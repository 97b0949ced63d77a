package supervisor_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

// A report counts the connections cut after its own rotation and no other.
func TestCutsCountForTheRotationThatCausedThem(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		p := h.Settle()
		h.Locked(func() { h.DrainTill[p.SessionID], h.Uncut = make(chan struct{}), true })
		h.Set("a", daemontest.Dead)
		h.Rescued()
		h.WaitRotation(10 * time.Second)
		if _, err := h.Rotate(nil); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		h.Locked(func() { h.Uncut = false })
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if l := h.Status().LastRotation; l.Trigger == ipc.TriggerManual && l.Cut > 0 {
			t.Errorf("the manual rotation from %s counts %d cuts of the one before", l.FromConfigName, l.Cut)
		}
	})
}
