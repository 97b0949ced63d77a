//go:build linux

package e2e

import (
	"context"
	"fmt"
	"slices"
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
	steadily(ctx, &workers, perSecond, func() { f.do(b, size) })
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
var strangled = []struct {
	name  string
	spoil func(s *lab.Server, n lab.Network) error // n is how the network is otherwise
	code  string
}{
	{"curtain", func(s *lab.Server, n lab.Network) error {
		n.Curtain = 16 << 10
		return s.Network(n)
	}, "stalls"},
	{"throttled", func(s *lab.Server, n lab.Network) error {
		n.Rate = 3000
		return s.Network(n)
	}, "throttled"},
	{"reset", func(s *lab.Server, n lab.Network) error {
		n.ResetAfter = 8 << 10
		return s.Network(n)
	}, "cuts_short"},
	{"only health", func(s *lab.Server, _ lab.Network) error { return s.HealthOnly() }, "stalls"},
}

// strangling is what applications met with when the server in use began to strangle.
type strangling struct {
	left                 time.Duration // until another one was in use
	code, reason         string
	late, lateFailed     int // downloads that began later than 3 s after the fault
	all, allFailed       int // since the fault
	lateLongest, longest time.Duration
	one                  error // of those that failed late
	after, afterFailed   int   // half a second after another one was in use
	oneAfter             error
}

// connectThrough connects to the first of three servers behind a network, and waits for a standby.
func (b *box) connectThrough(network lab.Network) {
	b.t.Helper()
	b.serve(lab.VLESS, lab.VLESS, lab.VLESS)
	for _, s := range b.servers {
		must(b.t, s.Network(network))
	}
	b.ok("connect", "s1")
	b.await("a standby", 30*time.Second, func(p ipc.StatusPayload) bool { return p.Standby != nil && p.State == ipc.StateConnected })
}

// strangle has the server in use of three strangle 20 downloads of 60 kB a second.
func (b *box) strangle(network lab.Network, spoil func(*lab.Server, lab.Network) error) (f strangling) {
	b.t.Helper()
	b.connectThrough(network)
	traffic := b.startDownloads(20, 60_000)
	time.Sleep(3 * time.Second) // what is usual is known
	spoiled := time.Now()
	must(b.t, spoil(b.servers[0], network))
	left := b.await("another session", 30*time.Second, func(p ipc.StatusPayload) bool { return p.Session != nil && p.Session.ConfigName != "s1" })
	f.left = time.Since(spoiled)
	f.code, f.reason = left.LastRotation.ReasonCode, left.LastRotation.Reason
	time.Sleep(4 * time.Second)
	traffic.stop()
	f.late, f.lateFailed, f.lateLongest, f.one = traffic.after(spoiled.Add(3 * time.Second))
	f.after, f.afterFailed, _, f.oneAfter = traffic.after(spoiled.Add(f.left + time.Second/2))
	f.all, f.allFailed, f.longest, _ = traffic.after(spoiled)
	return f
}

// A server that answers checks and strangles the work is left, for a reason with a name, and it is
// remembered what it does.
func TestServersThatStrangleAreLeft(t *testing.T) {
	for _, test := range strangled {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, "")
			f := b.strangle(farAway, test.spoil)
			t.Logf("%+v", f)
			// How soon that is depends on how busy this machine is; see BenchmarkStrangled.
			if f.afterFailed > 0 || f.after < 20 {
				t.Errorf("afterwards %d of %d downloads failed: %v", f.afterFailed, f.after, f.oneAfter)
			}
			if f.code != test.code {
				t.Errorf("left for %q: %s", f.code, f.reason)
			}
			if why := b.ok("why"); !strings.Contains(why, "answers checks and") {
				t.Errorf("why says %q", why)
			}
		})
	}
}

// BenchmarkStrangled reports how soon a server that strangles work is left, and what applications
// met with, far away and near. -benchtime 5x gives medians of five.
func BenchmarkStrangled(b *testing.B) {
	for _, network := range []struct {
		name string
		lab.Network
	}{{"far", farAway}, {"near", lab.Network{}}} {
		for _, fault := range strangled {
			b.Run(network.name+"/"+strings.ReplaceAll(fault.name, " ", "_"), func(b *testing.B) {
				var left, all, failed, lateFailed []float64
				for b.Loop() {
					scope := &trialScope{TB: b}
					f := newBox(scope, "").strangle(network.Network, fault.spoil)
					scope.end()
					left, all = append(left, f.left.Seconds()), append(all, float64(f.all))
					failed, lateFailed = append(failed, float64(f.allFailed)), append(lateFailed, float64(f.lateFailed))
				}
				for unit, values := range map[string][]float64{"s-left": left, "downloads": all, "failed": failed, "failed-late": lateFailed} {
					slices.Sort(values)
					b.ReportMetric(values[len(values)/2], unit)
				}
			})
		}
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
	b.connectThrough(farAway)
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

// One user with some connections, over each of which the next download begins when the last one has
// ended or the user has given up, has a server that works again soon.
func TestOneUserIsHelped(t *testing.T) {
	t.Parallel()
	b := connectFarAway(t)
	ctx, cancel := context.WithCancel(t.Context())
	var connections sync.WaitGroup
	traffic := new(downloads)
	for range 6 {
		connections.Go(func() {
			for ctx.Err() == nil {
				traffic.do(b, 100_000)
			}
		})
	}
	time.Sleep(3 * time.Second)
	when, _ := b.spoiled(func(s *lab.Server) error { return strangled[0].spoil(s, farAway) })
	time.Sleep(6 * time.Second)
	cancel()
	connections.Wait()
	if n, failed, longest, one := traffic.after(when.Add(10 * time.Second)); failed > 0 {
		t.Errorf("later than 10 s %d of %d failed, longest %v: %v", failed, n, longest, one)
	}
	_, failed, longest, _ := traffic.after(when)
	t.Logf("%d failed, the longest took %v", failed, longest)
}
