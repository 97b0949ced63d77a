//go:build linux

package e2e

import (
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
)

// quickly is how soon the daemon has to have found out and acted, with the margin that a busy
// machine needs. What it takes otherwise is in the log.
const quickly = 20 * time.Second

// server is the lab's server with that name.
func (b *box) server(name string) *lab.Server {
	b.t.Helper()
	i := slices.IndexFunc(b.servers, func(s *lab.Server) bool { return s.Name() == name })
	if i < 0 {
		b.t.Fatalf("no server %q", name)
	}
	return b.servers[i]
}

// A core that freezes is replaced by another with the same config, however often; no request fails,
// and no server is blamed.
func TestFrozenCoresAreReplaced(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.serve(lab.VLESS, lab.VLESS)
	b.ok("connect", "s1")
	load := b.startLoad(20, 0)
	for i := range frozenCores {
		before := b.await("a standby", quickly, func(p ipc.StatusPayload) bool { return connected(p) && p.Standby != nil })
		began := time.Now()
		must(t, syscall.Kill(before.Session.PID, syscall.SIGSTOP))
		after := b.await("another core", quickly, func(p ipc.StatusPayload) bool { return p.Session != nil && p.Session.PID != before.Session.PID })
		t.Logf("round %d: replaced after %v", i, time.Since(began))
		if after.Session.ConfigName != "s1" || after.Session.ReasonCode != "inbound_unreachable" {
			t.Errorf("after a frozen core: %+v", after.Session)
		}
		time.Sleep(6 * time.Second) // a core that froze sooner than that is no accident
	}
	load.stop()
	load.check(t)
	var configs []ipc.ConfigPayload
	b.into(&configs, "list")
	for _, c := range configs {
		if c.Failures > 0 {
			t.Errorf("%s is blamed", c.Name)
		}
	}
}

// The server in use and the standby freeze at once, again and again, while others work: that is
// left each time, however often it was a moment ago.
func TestFrozenAgainAndAgain(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.serve(lab.VLESS, lab.VLESS, lab.VLESS, lab.VLESS, lab.VLESS)
	b.ok("connect", "s1")
	load := b.startLoad(20, 0)
	for i := range 4 {
		before := b.await("a standby", quickly, func(p ipc.StatusPayload) bool { return connected(p) && p.Standby != nil })
		began := time.Now()
		pair := []*lab.Server{b.server(before.Session.ConfigName), b.server(before.Standby.ConfigName)}
		for _, s := range pair {
			must(t, s.Freeze())
		}
		b.await("another server", quickly, func(p ipc.StatusPayload) bool {
			return p.Session != nil && p.Session.ConfigID != before.Session.ConfigID && p.Session.ConfigID != before.Standby.ConfigID
		})
		t.Logf("round %d: away after %v", i, time.Since(began))
		for _, s := range pair {
			must(t, s.Thaw())
		}
	}
	load.stop()
	load.check(t)
}

// chaos breaks and mends servers at random, up to most of them at a time, and kills the core now
// and then.
func (b *box) chaos(duration time.Duration, most int) {
	faults := []func(*lab.Server) error{(*lab.Server).Freeze, (*lab.Server).Refuse, (*lab.Server).Blackhole, (*lab.Server).Kill}
	var down []*lab.Server
	for end := time.Now().Add(duration); time.Now().Before(end); time.Sleep(time.Second + rand.N(2*time.Second)) {
		switch n := rand.IntN(10); {
		case n == 0:
			if p := b.status(); p.Session != nil {
				_ = syscall.Kill(p.Session.PID, syscall.SIGKILL) // a child of the daemon's, which may have just ended
			}
		case n < 5 && len(down) < most || len(down) == 0:
			s := b.servers[rand.IntN(len(b.servers))]
			if !slices.Contains(down, s) {
				must(b.t, faults[rand.IntN(len(faults))](s))
				down = append(down, s)
			}
		default:
			must(b.t, down[0].Heal())
			down = down[1:]
		}
	}
	for _, s := range down {
		must(b.t, s.Heal())
	}
}

// With one server that works at least, none of many requests fails.
func TestChaos(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.serve(lab.VLESS, lab.VLESS, lab.VLESS, lab.VLESS, lab.VLESS)
	b.ok("connect", "s1")
	b.await("a standby", quickly, func(p ipc.StatusPayload) bool { return p.Standby != nil })
	load := b.startLoad(chaosRate, 0)
	b.chaos(chaosTime, 3)
	load.stop()
	load.check(t)
}
