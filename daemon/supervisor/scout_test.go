package supervisor_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/store"
)

// Sessions that only served a look at a config are not in the history.
func TestLookingAtOthersLeavesNoRecords(t *testing.T) {
	daemontest.Bubble(t, daemontest.Hosts(20), daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Connect(1)
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		left := 0
		for _, s := range h.Records() {
			if s.ReasonCode == "standby" && s.Status != store.StatusStandby {
				left++
			}
		}
		if left > 0 {
			t.Errorf("%d records of %d after a day without any event", left, len(h.Records()))
		}
	})
}
