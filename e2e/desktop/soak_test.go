//go:build linux

package desktop

import (
	"context"
	"encoding/json"
	"math"
	"testing"
	"time"
)

// footprint is what a tray holds at rest.
type footprint struct{ Files, Threads, ResidentKB int }

func (d *desk) footprint(p *process) footprint {
	d.t.Helper()
	time.Sleep(2 * time.Second) // what was under way ends
	return footprint{descriptors(d.t, p.pid()), procStatus(d.t, p.pid(), "Threads"), procStatus(d.t, p.pid(), "VmRSS")}
}

// endure attaches a tray and lets the daemon rotate and restart.
func endure(t *testing.T, rotations, restarts int) {
	d := newDesk(t, true)
	d.serve("tokyo-1", "paris-2")
	p := d.tray()
	d.awaitHeader("Disconnected")
	d.runInput(d.links(), programs.xrat, "import")
	d.ok(programs.xrat, "connect")
	d.awaitHeader("Connected")
	work := func(rotations, restarts int) {
		for i := range rotations {
			if reply, _, err := d.client().Rotate(context.Background(), 0); err != nil || !reply.Replaced {
				t.Fatalf("rotation %d: %+v, %v", i, reply, err)
			}
		}
		for range restarts {
			d.ok(programs.xrat, "daemon", "restart")
			d.awaitHeader("Connected")
		}
	}
	work(5, 2) // what is made once is there
	before := d.footprint(p)
	work(rotations, restarts)
	d.awaitHeader("Connected")
	after := d.footprint(p)
	text, _ := json.Marshal([]footprint{before, after})
	t.Logf("%d rotations and %d restarts of the daemon: %s", rotations, restarts, text)
	// Threads are the runtime's: it keeps those that it once needed. The tests of package tray
	// count goroutines. Memory has a megabyte for what the collector has not yet given back.
	if after.Files > before.Files+before.Files/10 || after.Threads > before.Threads+4 ||
		math.Abs(float64(after.ResidentKB-before.ResidentKB)) > max(float64(before.ResidentKB)/10, 1<<10) {
		t.Errorf("before %+v, after %+v", before, after)
	}
	d.openMenu()
	d.closeMenu()
}

func TestEndures(t *testing.T) { endure(t, 20, 3) }
