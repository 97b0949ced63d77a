package supervisor_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

// A subscriber gets the newest state, with a gap in the numbers for those that it missed, and none
// without a change.
func TestSubscribersSeeTheNewestState(t *testing.T) {
	daemontest.Bubble(t, "a b", nil, func(h *daemontest.Harness) {
		states, cancel := h.Daemon.Subscribe()
		defer cancel()
		first := <-states
		if first.Status.State != ipc.StateDisconnected {
			t.Errorf("the first state is %s", first.Status.State)
		}
		h.Connect(1)
		h.Rotate(nil)
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
