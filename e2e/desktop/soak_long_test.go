//go:build linux && soak

package desktop

import (
	"testing"
	"time"
)

func TestEnduresLong(t *testing.T) { endure(t, 1000, 100) }

// With the menu closed and nothing to tell, the tray sleeps.
func TestSleeps(t *testing.T) {
	d := newDesk(t, true)
	d.serve("tokyo-1")
	p := d.tray()
	d.awaitHeader("Disconnected")
	time.Sleep(5 * time.Second)
	before := wakeups(t, p.pid())
	const idle = time.Minute
	time.Sleep(idle)
	woken := wakeups(t, p.pid()) - before
	t.Logf("%d times woken in %v", woken, idle)
	if woken > 20 {
		t.Errorf("%d times woken in %v", woken, idle)
	}
}
