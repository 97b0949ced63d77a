//go:build linux

package e2e

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
)

// farAway is a network as users have it.
var farAway = lab.Network{RTT: 80 * time.Millisecond, Jitter: 40 * time.Millisecond}

// download is one of many.
type download struct {
	began time.Time
	took  time.Duration
	err   error
}

// downloads are downloads that go on until they are stopped.
type downloads struct {
	stop func()

	mu  sync.Mutex
	all []download
}

// startDownloads begins downloads of a size at a rate, each over a connection of its own.
func (b *box) startDownloads(perSecond, size int) *downloads {
	ctx, cancel := context.WithCancel(context.Background())
	f := new(downloads)
	var workers sync.WaitGroup
	workers.Go(func() {
		ticker := time.NewTicker(time.Second / time.Duration(perSecond))
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				workers.Go(func() { f.do(b, size) })
			}
		}
	})
	f.stop = func() {
		cancel()
		workers.Wait()
	}
	return f
}

func (f *downloads) do(b *box, size int) {
	one := download{began: time.Now()}
	body, err := b.get(fmt.Sprint("/bytes?n=", size))
	if err == nil && len(body) != size {
		err = fmt.Errorf("%d bytes", len(body))
	}
	one.took, one.err = time.Since(one.began), err
	f.mu.Lock()
	f.all = append(f.all, one)
	f.mu.Unlock()
}

// after returns how many began after a moment, how many of them failed, how long the longest took,
// and how one failed.
func (f *downloads) after(moment time.Time) (n, failed int, longest time.Duration, one error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.all {
		if d.began.Before(moment) {
			continue
		}
		n++
		longest = max(longest, d.took)
		if d.err != nil {
			failed++
			one = d.err
		}
	}
	return n, failed, longest, one
}

// strangled are the ways in which a network lets a server answer checks and nothing else.
var strangled = map[string]struct {
	spoil func(*lab.Server) error
	code  string
}{
	"curtain": {func(s *lab.Server) error {
		n := farAway
		n.Curtain = 16 << 10
		return s.Network(n)
	}, "stalls"},
	"throttled": {func(s *lab.Server) error {
		n := farAway
		n.Rate = 3000
		return s.Network(n)
	}, "throttled"},
	"reset": {func(s *lab.Server) error {
		n := farAway
		n.ResetAfter = 8 << 10
		return s.Network(n)
	}, "cuts_short"},
	"only health": {(*lab.Server).HealthOnly, "stalls"},
}

// A server that answers checks and strangles the work is left, for a reason with a name, and it is
// remembered what it does.
func TestServersThatStrangleAreLeft(t *testing.T) {
	for name, test := range strangled {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, "")
			b.serve(lab.VLESS, lab.VLESS, lab.VLESS)
			for _, s := range b.servers {
				must(t, s.Network(farAway))
			}
			b.ok("connect", "s1")
			b.await("a standby", 30*time.Second, func(p ipc.StatusPayload) bool { return p.Standby != nil && p.State == ipc.StateConnected })
			traffic := b.startDownloads(20, 60_000)
			time.Sleep(3 * time.Second) // what is usual is known
			spoiled := time.Now()
			must(t, test.spoil(b.servers[0]))
			left := b.await("another session", 30*time.Second, func(p ipc.StatusPayload) bool { return p.Session != nil && p.Session.ConfigName != "s1" })
			took := time.Since(spoiled)
			time.Sleep(4 * time.Second)
			traffic.stop()
			n, failed, longest, one := traffic.after(spoiled.Add(3 * time.Second))
			all, allFailed, _, _ := traffic.after(spoiled)
			before, beforeFailed, usual, _ := traffic.after(time.Time{})
			t.Logf("left after %v: %v; of %d downloads begun later than 3 s %d failed (%v), longest %v; of %d since the fault %d; in all %d, %d, %v",
				took, left.LastRotation.Reason, n, failed, one, longest, all, allFailed, before, beforeFailed, usual)
			if failed > 0 || n < 20 {
				t.Errorf("%d of %d downloads failed: %v", failed, n, one)
			}
			if left.LastRotation.ReasonCode != test.code {
				t.Errorf("left for %q: %s", left.LastRotation.ReasonCode, left.LastRotation.Reason)
			}
			if why := b.ok("why"); !strings.Contains(why, "answers checks and") {
				t.Errorf("why says %q", why)
			}
		})
	}
}

// spoiled has three servers far away, traffic of some kind, and the one in use spoiled after a
// while. It returns when that was, and the state in which another one serves.
func (b *box) spoiled(spoil func(*lab.Server) error) (when time.Time, left ipc.StatusPayload) {
	b.t.Helper()
	when = time.Now()
	must(b.t, spoil(b.servers[0]))
	left = b.await("another session", 40*time.Second, func(p ipc.StatusPayload) bool { return p.Session != nil && p.Session.ConfigName != "s1" })
	b.t.Logf("left after %v: %s", time.Since(when), left.LastRotation.Reason)
	return when, left
}

// connectFarAway connects to the first of three servers that are far away, and waits for a standby.
func connectFarAway(t *testing.T) *box {
	b := newBox(t, "")
	b.serve(lab.VLESS, lab.VLESS, lab.VLESS)
	for _, s := range b.servers {
		must(t, s.Network(farAway))
	}
	b.ok("connect", "s1")
	b.await("a standby", 30*time.Second, func(p ipc.StatusPayload) bool { return p.Standby != nil && p.State == ipc.StateConnected })
	return b
}

// A server that loses a share of new connections is left, although each is rescued.
func TestLossyServerIsLeft(t *testing.T) {
	t.Parallel()
	b := connectFarAway(t)
	load := b.startLoad(40, 0)
	time.Sleep(3 * time.Second)
	_, left := b.spoiled(func(s *lab.Server) error {
		n := farAway
		n.Unanswered = 0.3
		return s.Network(n)
	})
	time.Sleep(2 * time.Second)
	load.stop()
	load.check(t)
	if left.LastRotation.ReasonCode != "lossy" {
		t.Errorf("left for %q", left.LastRotation.ReasonCode)
	}
}

// A server that has become far slower is left.
func TestSlowServerIsLeft(t *testing.T) {
	for name, rtt := range map[string]time.Duration{"by half a second": 600 * time.Millisecond, "by three seconds": 3 * time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := connectFarAway(t)
			load := b.startLoad(20, 0)
			time.Sleep(3 * time.Second)
			b.spoiled(func(s *lab.Server) error { return s.Network(lab.Network{RTT: rtt}) })
			time.Sleep(2 * time.Second)
			load.stop()
			load.check(t)
		})
	}
}

// Everything is strangled: the session stays and says so, and all is well soon after the network
// is.
func TestEverythingIsStrangled(t *testing.T) {
	t.Parallel()
	b := connectFarAway(t)
	traffic := b.startDownloads(5, 60_000)
	time.Sleep(3 * time.Second)
	curtain := farAway
	curtain.Curtain = 16 << 10
	for _, s := range b.servers {
		must(t, s.Network(curtain))
	}
	stuck := b.await("it says so", 60*time.Second, func(p ipc.StatusPayload) bool {
		return p.Condition == ipc.ConditionLimited && !strings.Contains(p.Message, "looking")
	})
	if stuck.Session.ConfigName != "s1" || !strings.Contains(stuck.Message, "stalls on data") {
		t.Errorf("on %s: %s", stuck.Session.ConfigName, stuck.Message)
	}
	for _, s := range b.servers {
		must(t, s.Network(farAway))
	}
	mended := time.Now()
	b.await("all is well", 40*time.Second, func(p ipc.StatusPayload) bool { return p.State == ipc.StateConnected && p.Message == "" })
	t.Logf("well %v after the network", time.Since(mended))
	time.Sleep(2 * time.Second)
	traffic.stop()
	if n, failed, _, one := traffic.after(mended.Add(time.Second)); failed > 0 || n == 0 {
		t.Errorf("afterwards %d of %d failed: %v", failed, n, one)
	}
	var configs []ipc.ConfigPayload
	b.into(&configs, "list")
	for _, c := range configs {
		if c.Failures > 0 || c.Limit != "" {
			t.Errorf("%s is blamed: %+v", c.Name, c)
		}
	}
}
