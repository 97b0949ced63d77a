//go:build linux && soak

package e2e

import (
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/lab"
)

// The daemon is killed, restarted, upgraded and downgraded again and again under traffic, of which
// none fails; the next daemon has the session soon.
func TestSoakDaemons(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS, lab.VLESS)
	b.ok("connect")
	b.exit()
	datagrams := b.associate()
	exit := datagrams.exit()
	load := b.startLoad(100, 10)
	killed := func() {
		before := b.await("the session", 20*time.Second, connected)
		b.kill9(before.Daemon.PID)
		b.ok("daemon", "start") // the data plane lets the third in a row wait
		b.follows(before)
	}
	upgraded := func() {
		b.program = map[string]string{programs.xrat: programs.failing, programs.failing: programs.xrat}[b.program]
		b.restarts()
	}
	for _, test := range []struct {
		name    string
		times   int
		happens func()
	}{
		{"killed", 200, killed}, {"restarted", 100, b.restarts}, {"upgraded or downgraded", 10, upgraded},
	} {
		var took []time.Duration
		for range test.times {
			began := time.Now()
			test.happens()
			took = append(took, time.Since(began))
			if got := datagrams.exit(); got != exit {
				t.Fatalf("%s: datagrams left through %q, and now through %q", test.name, exit, got)
			}
		}
		slices.Sort(took)
		t.Logf("%s %d times: the next daemon has the session after %v (median), %v at most; %d requests", test.name, test.times,
			took[len(took)/2], took[len(took)-1], load.sent.Load())
	}
	before := b.await("the session", 20*time.Second, connected)
	must(t, syscall.Kill(before.Daemon.PID, syscall.SIGSTOP))
	time.Sleep(time.Minute)
	must(t, syscall.Kill(before.Daemon.PID, syscall.SIGCONT))
	if after := b.await("the session", 20*time.Second, connected); after.Daemon.PID != before.Daemon.PID || after.Session.ID != before.Session.ID {
		t.Errorf("stopped for a minute: before %+v, after %+v", before.Session, after.Session)
	}
	load.stop()
	load.check(t)
	if cores := b.cores(); len(cores) > 2 { // the one in use, and a standby
		t.Errorf("cores %v run", cores)
	}
}

// The data plane is killed again and again: nobody is refused, and it is back soon.
func TestSoakDataPlanes(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	b.exit()
	before := b.status()
	var took []time.Duration
	for range 50 {
		old := b.planes()
		if len(old) != 1 {
			t.Fatalf("data planes %v", old)
		}
		b.kill9(old[0])
		began := time.Now()
		b.exit() // a new connection, at once: it waits
		took = append(took, time.Since(began))
		time.Sleep(5 * time.Second) // those that end soon after their start have to wait in the end
	}
	slices.Sort(took)
	t.Logf("50 data planes: the first good request after %v (median), %v at most", took[25], took[49])
	if now := b.status(); now.Session.ID != before.Session.ID || now.Session.PID != before.Session.PID {
		t.Errorf("before %+v, after %+v", before.Session, now.Session)
	}
}

// A config that leads back to the front by way of another proxy is offered again and again under
// load: it is never used, and costs nothing.
func TestSoakLoop(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.detour().leadTo(b.socks)
	b.ok("connect", "s1")
	b.exit()
	pids := append(b.planes(), b.status().Daemon.PID, b.status().Session.PID)
	descriptorsOf := func() (sum int) {
		for _, pid := range pids {
			sum += descriptors(t, pid)
		}
		return sum
	}
	before, most := descriptorsOf(), 0
	load := b.startLoad(100, 2)
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		b.fails(1, "leads back to xrat", "rotate", "detour")
		most = max(most, descriptorsOf())
		time.Sleep(time.Second)
	}
	p := b.status()
	if p.Session == nil || p.Session.ConfigName != "s1" || p.Standby != nil {
		t.Errorf("session %+v, standby %+v", p.Session, p.Standby)
	}
	load.stop()
	load.check(t)
	t.Logf("%d descriptors before, %d at most", before, most)
	if most > before+200 {
		t.Errorf("%d descriptors, %d before", most, before)
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
