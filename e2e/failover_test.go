//go:build linux

package e2e

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/lab"
)

const (
	// steady is how long the traffic flows before something happens.
	steady = 4 * time.Second
	// settled is how long the traffic flows after all is well again.
	settled = 2 * time.Second
	// quiet streams are those without data for longer: on a busy machine it may take a while to be
	// read.
	quiet = time.Second
	// slowInterval lies between two visits to the slow site.
	slowInterval = 250 * time.Millisecond
	// patience is how long a strategy has to deal with a fault.
	patience = 75 * time.Second
)

// scenario is one fault, or none, and what it calls for.
type scenario struct {
	name string
	// title is how the table calls it.
	title string
	// needed rotations; those beyond are wrong.
	needed int
	idle   bool // without traffic
	happen func(*trial)
}

var scenarios = []scenario{
	{"planned", "100 rotations by hand", 100, false, func(t *trial) {
		for range 100 {
			began := time.Now()
			must(t.t, t.strategy.rotate())
			t.swaps = append(t.swaps, span{began, time.Now().Add(swapEcho)})
			time.Sleep(400 * time.Millisecond)
		}
	}},
	{"killed", "core killed", 0, false, func(t *trial) {
		t.strike(t.strategy.killCore)
		t.settle(func(before, now serving) bool { return now.pid != before.pid })
	}},
	{"refused", "server refuses", 1, false, failing((*lab.Server).Refuse)},
	{"frozen", "server frozen", 1, false, failing((*lab.Server).Freeze)},
	{"blackhole", "SYNs dropped", 1, false, failing((*lab.Server).Blackhole)},
	{"deadexit", "server's way out dead", 1, false, failing((*lab.Server).DeadExit)},
	{"idle", "server frozen, no traffic", 1, true, failing((*lab.Server).Freeze)},
	{"outage", "everything dead for 20 s", 0, false, func(t *trial) {
		t.strike(t.all((*lab.Server).Blackhole))
		time.Sleep(20 * time.Second)
		t.mended = time.Now()
		must(t.t, t.all((*lab.Server).Heal)())
		time.Sleep(15 * time.Second)
	}},
	{"flapping", "server down 5 s, up 5 s, for 60 s", 1, false, func(t *trial) {
		server := t.box.servers[0]
		t.strike(server.Refuse)
		for i := range 12 {
			if i > 0 && i%2 == 0 {
				must(t.t, server.Refuse())
			} else if i%2 == 1 {
				must(t.t, server.Heal())
			}
			time.Sleep(5 * time.Second)
		}
	}},
	{"lossy", "30 % of probes lost, for 60 s", 0, false, func(t *trial) {
		t.strike(func() error { t.box.lab.Origin().Lose("/generate_204", 0.3); return nil })
		time.Sleep(60 * time.Second)
	}},
	{"slow", "a site takes 5 s to answer", 0, false, func(t *trial) {
		t.strike(func() error { return nil })
		var visits sync.WaitGroup
		for range 20 {
			visits.Go(func() {
				if _, err := t.traffic.exchange(waySOCKS, "GET /slow?wait=5s HTTP/1.1\r\nHost: origin\r\nConnection: close\r\n\r\n", nil); err != nil {
					t.fail(err)
				}
			})
			t.slow++
			time.Sleep(slowInterval)
		}
		visits.Wait()
	}},
}

// swapEcho is how long after a rotation a request still counts as one during it.
const swapEcho = 50 * time.Millisecond

// failing is a fault of the server in use.
func failing(fault func(*lab.Server) error) func(*trial) {
	return func(t *trial) {
		t.strike(func() error { return fault(t.box.servers[0]) })
		t.settle(func(before, now serving) bool { return now.server != before.server })
	}
}

// trial is one run of a scenario.
type trial struct {
	t        testing.TB
	box      *box
	strategy strategy
	traffic  *traffic

	began   time.Time // of what is measured: the fault
	ended   time.Time
	mended  time.Time // of an outage
	waited  bool      // for another core or server
	noticed time.Time // it serves; zero: not seen
	silence time.Time // streams are silent that have had no data since
	swaps   []span
	slow    int // requests to a slow site

	mu     sync.Mutex
	failed []error // of requests besides the traffic
}

type span struct{ from, to time.Time }

func (s span) has(t time.Time) bool { return !t.Before(s.from) && t.Before(s.to) }

// try runs a scenario under that traffic.
func try(t testing.TB, s scenario, newStrategy func(*box) strategy, d demand) (*trial, figures) {
	t.Helper()
	b := newBox(t, "")
	trial := &trial{t: t, box: b, strategy: newStrategy(b)}
	trial.strategy.connect()
	if s.idle {
		d = demand{}
	}
	socks, http := trial.strategy.addresses()
	trial.traffic = startTraffic(b.lab.Origin(), socks, http, d)
	t.Cleanup(func() { trial.traffic.halt() }) // if something fails before
	time.Sleep(steady)
	trial.began = time.Now()
	s.happen(trial)
	if !s.idle {
		time.Sleep(settled)
	}
	trial.ended = trial.traffic.halt()
	return trial, trial.figures(s)
}

// trialScope is a test whose cleanups come at the end of a trial: a box goes with its trial, and a
// benchmark makes several.
type trialScope struct {
	testing.TB
	mu       sync.Mutex
	cleanups []func()
}

func (s *trialScope) Cleanup(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cleanups = append(s.cleanups, f)
}

func (s *trialScope) end() {
	for _, f := range slices.Backward(s.cleanups) {
		f()
	}
}

// strike lets the fault happen.
func (t *trial) strike(fault func() error) {
	t.t.Helper()
	t.began = time.Now()
	must(t.t, fault())
	// What was under way arrives a little later.
	t.silence = time.Now().Add(100 * time.Millisecond)
}

// all does something to every server at once.
func (t *trial) all(do func(*lab.Server) error) func() error {
	return func() error {
		errs := make([]error, len(t.box.servers))
		var group sync.WaitGroup
		for i, s := range t.box.servers {
			group.Go(func() { errs[i] = do(s) })
		}
		group.Wait()
		return errors.Join(errs...)
	}
}

// settle waits until the strategy has dealt with the fault and no application waits for a stream
// that has gone silent, then or since.
func (t *trial) settle(changed func(before, now serving) bool) {
	t.waited = true
	for deadline := t.began.Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		history := t.strategy.history()
		for i, now := range history {
			if i > 0 && now.since.After(t.began) && changed(history[0], now) {
				t.noticed = now.since
				break
			}
		}
		since := time.Now().Add(-quiet)
		if since.Before(t.silence) {
			since = t.silence
		}
		if !t.noticed.IsZero() && !t.traffic.anySilent(since) {
			return
		}
	}
}

func (t *trial) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failed = append(t.failed, err)
}
