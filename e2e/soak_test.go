//go:build linux && soak

package e2e

import (
	"slices"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/lab"
)

// The daemon is killed again and again under traffic; the core goes on, and every next daemon takes
// it over.
func TestSoakDaemonKills(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS, lab.VLESS)
	b.ok("connect")
	core := b.status().Session.PID
	var took []time.Duration
	for range 200 {
		b.kill9(b.status().Daemon.PID)
		began := time.Now()
		b.ok("daemon", "start")
		status := b.status()
		took = append(took, time.Since(began))
		if status.Session == nil || status.Session.PID != core {
			t.Fatalf("the core was not taken over: %+v", status)
		}
		b.exit()
	}
	slices.Sort(took)
	t.Logf("200 daemons: back after %v (median), %v at most", took[len(took)/2], took[len(took)-1])
	if cores := b.cores(); len(cores) != 1 {
		t.Errorf("cores %v run", cores)
	}
}

// The core is killed again and again; connections made meanwhile wait.
func TestSoakCoreKills(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	var took []time.Duration
	for range 500 {
		before := b.status().Session
		if before == nil {
			t.Fatal("there is no session")
		}
		b.kill9(before.PID)
		began := time.Now()
		b.exit() // a new connection, at once
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("500 kills: the first good request after %v (median), %v (p95), %v at most", took[250], took[475], took[499])
	if took[475] > 600*time.Millisecond {
		t.Errorf("p95 is %v", took[475])
	}
	b.await("a session that is proven", 10*time.Second, connected)
}

// Rotations for minutes under traffic.
func TestSoakRotations(t *testing.T) {
	b := newBox(t, "[rotation]\ndrain = \"30m\"\n")
	b.serve(lab.VLESS, lab.Trojan, lab.VMess, lab.Shadowsocks)
	b.ok("connect")
	load := b.startLoad(100, 10)
	for range 500 {
		b.ok("rotate")
	}
	load.stop()
	load.check(t)
}
