package daemontest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// World stands for everything outside the supervisor: servers that can be told how to behave, the
// cores that run, the front and what it was told. The real ones are tested in their packages and
// end to end; here time and faults are ours.
type World struct {
	Mu       sync.Mutex
	Servers  map[string]*Server // by host
	Cores    map[int]*Core      // that run, by pid
	Started  int                // cores ever
	LastPID  int
	Probes   int
	probed   map[string]int // by host
	slept    bool
	MaxCores int

	FrontOpen     bool
	Target        *front.Target
	Gaps          int // how often the target went away while the front was open
	Hints         chan front.Signal
	DrainTill     map[int64]chan struct{} // a session with connections: until closed
	OpenErr       error
	Forgotten     []int64
	Drained       []int64
	Uncut         bool
	LocateErr     error
	StopTime      time.Duration  // that a core takes to stop
	Targets       map[int64]bool // the sessions that have served
	StandbyTarget *front.Target
	Cuts          []time.Time // what Cut was called with
	Offline       bool
	Rescues       map[int64]uint64 // connections that a session took over
	Waited        map[int64]uint64
	Provider      Provider
	Loss          float64 // of probes, independent of each other
	LossFast      bool    // they fail at once instead of staying silent
	Random        *rand.Rand
}

// Server is how one fake server behaves.
type Server struct {
	Dead      bool          // no answer through it
	Latency   time.Duration // of a probe
	NoStart   bool          // its core ends at once
	Refuse    bool
	Hung      bool // its inbound is silent
	StartTime time.Duration
}

// NewWorld returns a world with a server at each of the hosts.
func NewWorld(hosts ...string) *World {
	w := &World{
		Servers: map[string]*Server{}, probed: map[string]int{}, Cores: map[int]*Core{}, LastPID: 1000,
		Random: rand.New(rand.NewPCG(1, 2)),
		Hints:  make(chan front.Signal), DrainTill: map[int64]chan struct{}{}, Targets: map[int64]bool{},
		Rescues: map[int64]uint64{}, Waited: map[int64]uint64{},
	}
	for _, h := range hosts {
		w.Servers[h] = &Server{Latency: 50 * time.Millisecond, StartTime: 15 * time.Millisecond}
	}
	return w
}

// Locked makes a change of the world's fields that nothing may see half done.
func (w *World) Locked(change func()) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	change()
}

// Set changes how a server behaves.
func (w *World) Set(host string, change func(*Server)) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	change(w.Servers[host])
}

// Dead lets a server answer nothing; see World.Set.
func Dead(s *Server) { s.Dead = true }

// Alive lets a server answer again.
func Alive(s *Server) { s.Dead = false }

// Probed counts the probes through a server.
func (w *World) Probed(host string) int {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return w.probed[host]
}

// Sleep is what a machine does between two checks: the next one finds that it has slept.
func (w *World) Sleep() {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.slept = true
}

// Slept reports whether the machine has slept since it was last called.
func (w *World) Slept(time.Time, time.Time, time.Duration) bool {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	slept := w.slept
	w.slept = false
	return slept
}

// Asked counts the probes.
func (w *World) Asked() int {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return w.Probes
}

// Probe makes a measurement through a core.
func (w *World) Probe(ctx context.Context, p probe.Proxy, _ int) probe.Result {
	w.Mu.Lock()
	w.Probes++
	lost := w.Loss > 0 && w.Random.Float64() < w.Loss
	c := w.CoreAt(p.Address)
	var s Server
	if c != nil {
		s = *w.Servers[c.Host]
		w.probed[c.Host]++
	}
	w.Mu.Unlock()
	wait := s.Latency
	if lost && !w.LossFast {
		s.Dead = true
	}
	if s.Refuse {
		wait = time.Millisecond
	}
	if s.Dead {
		wait = 3 * time.Second
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return probe.Result{Class: "canceled", Err: context.Cause(ctx)}
	}
	if s.Refuse {
		return probe.Result{Class: "refused", Err: errors.New("refused")}
	}
	if c == nil || s.Dead || lost {
		return probe.Result{Class: "timeout", Err: errors.New("no answer within 3s")}
	}
	return probe.Result{OK: true, Class: "ok", Latency: s.Latency}
}

// Handshake asks an inbound whether it answers.
func (w *World) Handshake(_ context.Context, p probe.Proxy) error {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if p.Address == "front-socks" || p.Address == "front-http" {
		if !w.FrontOpen {
			return errors.New("connection refused")
		}
		return nil
	}
	if w.CoreAt(p.Address) == nil {
		return errors.New("connection refused")
	}
	return nil
}

// Online reports whether the machine has a route, as the test says.
func (w *World) Online(string) bool {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return !w.Offline
}
