package supervisor_test

import (
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

// A wrong clock is named; no server is left or blamed for it, and all is well when it is right.
func TestWrongClock(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.Settle()
		h.Locked(func() { h.Skew = -72 * time.Hour })
		time.Sleep(3 * time.Minute)
		h.Want(ipc.StateDegraded, "a")
		p := h.State()
		if p.Condition != ipc.ConditionClock || !strings.Contains(p.Message, "3 days slow") || p.LastRotation != nil {
			t.Errorf("%q: %s, %+v", p.Condition, p.Message, p.LastRotation)
		}
		for id, o := range h.Look().Outcomes {
			if o.Failures > 0 {
				t.Errorf("%d is blamed: %+v", id, o)
			}
		}

		h.Locked(func() { h.Skew = 2 * time.Minute })
		time.Sleep(time.Minute)
		h.Want(ipc.StateConnected, "a")
		if p := h.State(); len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "2m0s fast") {
			t.Errorf("warnings %q", p.Warnings)
		}
		h.Locked(func() { h.Skew = 0 })
		time.Sleep(time.Minute)
		if p := h.State(); len(p.Warnings) != 0 || p.Condition != "" {
			t.Errorf("warnings %q, %q", p.Warnings, p.Condition)
		}
	})
}
