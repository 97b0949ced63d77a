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
// end to end; here time and faults are ours. While the supervisor runs, fields are read and changed
// under Mu; Locked takes it.
type World struct {
	Mu sync.Mutex

	// The network. A test changes it.

	Servers  map[string]*Server // by host
	Offline  bool               // the machine has no route to anywhere
	Place    string             // the network that the machine is in
	Skew     time.Duration      // by how much the machine's clock is ahead
	Loss     float64            // the share of probes that are lost, independent of each other
	LossFast bool               // these fail at once instead of staying silent
	Random   *rand.Rand         // decides about Loss, the same in every run
	Provider Provider           // of subscriptions
	slept    bool               // the machine, since it was last asked

	// Cores, and what is counted of them.

	Cores     map[int]*Core  // that run, by pid
	Started   int            // cores ever
	MaxCores  int            // that ran at the same time
	Probes    int            // ever, through any of them
	Works     int            // the same of work
	LocateErr error          // why the executable is not found; nil: it is
	StopTime  time.Duration  // that a core takes to stop
	probed    map[string]int // probes by host
	lastPID   int            // of the core that was started last

	// The front, as a test wants it.

	OpenErr   error                    // why it does not open; nil: it does
	Hints     chan front.Signal        // what it notices: the supervisor receives it
	DrainTill map[int64]chan struct{}  // the sessions with connections: each drains until this is closed
	Uncut     bool                     // Cut leaves these connections alone
	Rescues   map[int64]uint64         // connections that a session took over
	Waited    map[int64]uint64         // connections that waited for a session
	Seen      map[int64]front.Evidence // what the traffic of sessions shows

	// The front, as the supervisor has it.

	FrontOpen     bool           // it listens
	Outlives      bool           // it goes on without the daemon
	left          chan struct{}  // closed by Leave
	Gaps          int            // how often the target went away while it was open
	Drained       []int64        // the sessions that Drain was called for
	target        *front.Target  // nil: there is none
	standbyTarget *front.Target  // nil: there is none
	served        map[int64]bool // the sessions that have been the target
	forgotten     []int64        // the sessions that Forget was called for
	Trusted       []int64        // the sessions that Trust was called for
}

// Server is how one fake server behaves.
type Server struct {
	Dead      bool          // no answer through it
	Latency   time.Duration // of a probe
	NoStart   bool          // its core ends at once
	Refuse    bool          // probes through it are refused at once
	Hung      bool          // the inbound of its core is silent
	Limit     string        // how it strangles work; "": it does not
	NoPages   bool          // no page for work can be reached through it
	StartTime time.Duration // that its core takes until it is ready
}

// NewWorld returns a world with a server at each of the hosts.
func NewWorld(hosts ...string) *World {
	w := &World{
		Servers: map[string]*Server{}, probed: map[string]int{}, Cores: map[int]*Core{}, lastPID: 1000,
		Random: rand.New(rand.NewPCG(1, 2)),
		Hints:  make(chan front.Signal), DrainTill: map[int64]chan struct{}{}, served: map[int64]bool{},
		Rescues: map[int64]uint64{}, Waited: map[int64]uint64{}, Seen: map[int64]front.Evidence{},
	}
	for _, h := range hosts {
		w.Servers[h] = newServer()
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
	if w.Servers[host] == nil {
		w.Servers[host] = newServer()
	}
	change(w.Servers[host])
}

func newServer() *Server {
	return &Server{Latency: 50 * time.Millisecond, StartTime: 15 * time.Millisecond}
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
	skew := w.Skew
	lost := w.Loss > 0 && w.Random.Float64() < w.Loss
	c := w.CoreAt(p.Address)
	var s Server
	if c != nil {
		s = *w.Servers[c.Host]
		s.Dead = s.Dead || c.frozen
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
	if skew.Abs() > time.Hour {
		return probe.Result{Class: probe.ClassClock, Err: errors.New("this computer's clock is wrong: " + probe.SkewText(skew)), Skew: skew}
	}
	return probe.Result{OK: true, Class: "ok", Latency: s.Latency, Skew: skew}
}

// Work has a core do work.
func (w *World) Work(ctx context.Context, p probe.Proxy, _ int) probe.Work {
	w.Mu.Lock()
	w.Works++
	c := w.CoreAt(p.Address)
	var s Server
	if c != nil {
		s = *w.Servers[c.Host]
	}
	w.Mu.Unlock()
	if c == nil || s.Dead || s.Limit != "" || s.NoPages {
		<-ctx.Done()
		if c == nil || s.Dead || s.NoPages {
			return probe.Work{Class: probe.ClassTimeout, Err: errors.New("no answer in time")}
		}
		return probe.Work{Class: s.Limit, Err: errors.New("16384 bytes, and nothing more")}
	}
	took := 3 * s.Latency
	select {
	case <-time.After(took):
		return probe.Work{OK: true, Class: probe.ClassOK, Bytes: probe.WorkBytes, Took: took}
	case <-ctx.Done():
		return probe.Work{Class: probe.ClassTimeout, Err: context.Cause(ctx)}
	}
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

// Network names the network that the machine is in.
func (w *World) Network() string {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return w.Place
}

// Online reports whether the machine has a route, as the test says.
func (w *World) Online(string) bool {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return !w.Offline
}
