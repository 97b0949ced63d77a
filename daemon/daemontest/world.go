package daemontest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/daemon/bulktest"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/subscription"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// Dead lets a server answer nothing; see World.Set.
func Dead(s *Server) { s.Dead = true }

// Offer changes what the provider serves.
func (w *World) Offer(change func(*Provider)) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	change(&w.Provider)
}

// Requests returns what the provider was asked, and forgets it.
func (w *World) Requests() []subscription.Request {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	asked := w.Provider.Asked
	w.Provider.Asked = nil
	return asked
}

// Fetch is what the provider answers.
func (w *World) Fetch(ctx context.Context, r subscription.Request) (subscription.Response, error) {
	w.Mu.Lock()
	w.Provider.Asked = append(w.Provider.Asked, r)
	p := w.Provider
	w.Mu.Unlock()
	if p.Hold != nil {
		select {
		case <-p.Hold:
		case <-ctx.Done():
			return subscription.Response{}, &subscription.Error{Code: subscription.CodeCanceled, Message: "stopped"}
		}
	}
	switch {
	case r.Proxy != nil && p.ProxyErr != nil:
		return subscription.Response{}, p.ProxyErr
	case p.Err != nil:
		return subscription.Response{}, p.Err
	case r.ETag != "" && r.ETag == p.Response.ETag:
		return subscription.Response{NotModified: true, ETag: r.ETag}, nil
	}
	p.Response.Body = []byte(p.Body)
	return p.Response, nil
}

// Measuring fakes what tests work with; batches count among the world's cores.
func (w *World) Measuring() bulktest.Tools {
	var mu sync.Mutex
	batches := map[string]*Batch{}
	wait := func(ctx context.Context, d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	way := func(p probe.Proxy) (*Batch, string) {
		mu.Lock()
		defer mu.Unlock()
		i, _ := strconv.Atoi(p.User)
		return batches[p.Address], batches[p.Address].Hosts[i]
	}
	return bulktest.Tools{
		StartBatch: func(ctx context.Context, spec xray.BatchSpec) (bulktest.Batch, error) {
			w.Mu.Lock()
			w.LastPID++
			w.Started++
			b := &Batch{Core: &Core{
				world: w, Host: "batch", done: make(chan struct{}),
				ID: xray.Identity{PID: w.LastPID}, In: xray.Inbound{Address: fmt.Sprintf("core-%d", w.LastPID)},
			}}
			for _, l := range spec.Links {
				b.Hosts = append(b.Hosts, l.Host)
			}
			w.Cores[b.ID.PID] = b.Core
			w.MaxCores = max(w.MaxCores, len(w.Cores))
			w.Mu.Unlock()
			mu.Lock()
			batches[b.In.Address] = b
			mu.Unlock()
			if len(spec.Links) > 200 {
				return nil, errors.New("too many")
			}
			if err := wait(ctx, 100*time.Millisecond); err != nil {
				b.Exit("canceled")
				return nil, err
			}
			return b, nil
		},
		FindNonces: func(func(string) bool) ([]xray.Identity, error) { return nil, nil },
		Connect: func(ctx context.Context, address string) error {
			switch {
			case strings.HasPrefix(address, "refusing"):
				return errors.New("connection refused")
			case strings.HasPrefix(address, "unreachable"):
				<-ctx.Done()
				return ctx.Err()
			}
			return wait(ctx, 20*time.Millisecond)
		},
		Get: func(ctx context.Context, p probe.Proxy, _ []string, timeout time.Duration) probe.Result {
			b, host := way(p)
			took := 50 * time.Millisecond
			switch {
			case strings.HasPrefix(host, "dead"):
				took = timeout
			case strings.HasPrefix(host, "fatal"):
				took = 10 * time.Millisecond
			}
			if err := wait(ctx, took); err != nil {
				return probe.Result{Class: probe.ClassCanceled, Err: err}
			}
			switch {
			case strings.HasPrefix(host, "dead"):
				return probe.Result{Class: probe.ClassTimeout, Err: errors.New("no answer in time")}
			case strings.HasPrefix(host, "fatal"):
				b.Exit("exit status 2: panic")
				return probe.Result{Class: probe.ClassClosed, Err: errors.New("closed")}
			}
			return probe.Result{OK: true, Class: probe.ClassOK, Latency: took}
		},
		Fetch: func(ctx context.Context, p probe.Proxy, _ string, most int64, _, limit time.Duration) probe.Download {
			_, host := way(p)
			if err := wait(ctx, time.Second); err != nil {
				return probe.Download{Class: probe.ClassCanceled, Err: err}
			}
			if strings.HasPrefix(host, "slow") {
				return probe.Download{Class: probe.ClassTimeout, Err: errors.New("sent nothing in time")}
			}
			return probe.Download{OK: true, Bytes: most / 2, Took: limit}
		},
	}
}

// Alive lets a server answer again.
func Alive(s *Server) { s.Dead = false }

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

// Set changes how a server behaves.
func (w *World) Set(host string, change func(*Server)) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	change(w.Servers[host])
}

// Locate finds the executable, unless LoseCore took it away.
func (w *World) Locate() (string, error) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return "/bin/xray", w.LocateErr
}

// LoseCore makes the executable go missing; nil brings it back.
func (w *World) LoseCore(err error) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.LocateErr = err
}

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

// Start implements Cores.
func (w *World) Start(ctx context.Context, spec xray.Spec, started func(xray.Identity, xray.Inbound) error) (session.Core, error) {
	w.Mu.Lock()
	s := *w.Servers[spec.Link.Host]
	w.Started++
	w.LastPID++
	c := &Core{
		world: w, Host: spec.Link.Host, done: make(chan struct{}),
		ID: xray.Identity{PID: w.LastPID, StartTime: uint64(w.LastPID), BootID: "boot"},
		In: xray.Inbound{Address: fmt.Sprintf("core-%d", w.LastPID), User: "u", Password: "p"},
	}
	w.Cores[c.ID.PID] = c
	w.MaxCores = max(w.MaxCores, len(w.Cores))
	w.Mu.Unlock()
	if err := started(c.ID, c.In); err != nil {
		c.Exit("not wanted")
		return nil, err
	}
	select {
	case <-time.After(s.StartTime):
	case <-ctx.Done():
		c.Exit("canceled")
		return nil, context.Cause(ctx)
	}
	if s.NoStart {
		c.Exit("exit status 23")
		return nil, errors.New("the core ended at once: exit status 23")
	}
	return c, nil
}

// Adopt implements Cores.
func (w *World) Adopt(_ context.Context, id xray.Identity, in xray.Inbound) (session.Core, error) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	c, running := w.Cores[id.PID]
	switch {
	case !running:
		return nil, xray.ErrPIDMissing
	case c.ID != id:
		return nil, xray.ErrIdentityMismatch
	case c.In != in:
		return nil, xray.ErrUnhealthy
	}
	return c, nil
}

// End implements Cores.
func (w *World) End(_ context.Context, id xray.Identity, _ time.Duration) error {
	w.Mu.Lock()
	c, running := w.Cores[id.PID]
	w.Mu.Unlock()
	if !running {
		return nil
	}
	if c.ID != id {
		return xray.ErrIdentityMismatch
	}
	c.Exit("ended")
	return nil
}

// FindByNonce implements Cores.
func (w *World) FindByNonce(string) (xray.Identity, error) {
	return xray.Identity{}, xray.ErrPIDMissing
}

// CoreAt finds the core that has an inbound address.
func (w *World) CoreAt(address string) *Core {
	for _, c := range w.Cores {
		if c.In.Address == address {
			return c
		}
	}
	return nil
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

// Open implements session.Front.
func (w *World) Open(context.Context) error {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if w.OpenErr != nil {
		return w.OpenErr
	}
	w.FrontOpen = true
	return nil
}

// Close implements session.Front.
func (w *World) Close() error {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.FrontOpen = false
	return nil
}

// SetTarget implements supervisor.Front.
func (w *World) SetTarget(t *front.Target) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if t == nil && w.Target != nil && w.FrontOpen {
		w.Gaps++
	}
	w.Target = t
	if t != nil && w.StandbyTarget != nil && w.StandbyTarget.ID == t.ID {
		w.StandbyTarget = nil
	}
	if t != nil {
		w.Targets[t.ID] = true
	}
}

// SetStandby implements supervisor.Front.
func (w *World) SetStandby(t *front.Target) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.StandbyTarget = t
	if t != nil && w.Target != nil && w.Target.ID == t.ID {
		w.StandbyTarget = nil
	}
}

// Cut implements session.Front.
func (w *World) Cut(id int64, since time.Time) int {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.Cuts = append(w.Cuts, since)
	if till := w.DrainTill[id]; till != nil && !w.Uncut {
		close(till)
		delete(w.DrainTill, id)
		return 1
	}
	return 0
}

// Online reports whether the machine has a route, as the test says.
func (w *World) Online(string) bool {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return !w.Offline
}

// StandbyHost returns the server of the standby that the front knows.
func (w *World) StandbyHost() string {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if w.StandbyTarget == nil {
		return ""
	}
	if c := w.CoreAt(w.StandbyTarget.Address); c != nil {
		return c.Host
	}
	return "(gone)"
}

// Drain implements session.Front.
func (w *World) Drain(ctx context.Context, id int64) int {
	w.Mu.Lock()
	till := w.DrainTill[id]
	w.Drained = append(w.Drained, id)
	w.Mu.Unlock()
	if till == nil {
		return 0
	}
	select {
	case <-till:
		return 0
	case <-ctx.Done():
		return 1
	}
}

// Counters implements session.Front.
func (w *World) Counters(id int64) front.Counters {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return front.Counters{
		UpBytes: uint64(id) * 10, DownBytes: uint64(id) * 100, Connections: uint64(id),
		Waited: w.Waited[id], Replayed: w.Rescues[id], Rescued: w.Rescues[id],
	}
}

// Forget implements session.Front.
func (w *World) Forget(id int64) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.Forgotten = append(w.Forgotten, id)
}

// Signals implements supervisor.Front.
func (w *World) Signals() <-chan front.Signal { return w.Hints }

// Addresses implements supervisor.Front.
func (w *World) Addresses() (socks, http string) { return "front-socks", "front-http" }

// Running returns the cores that run.
func (w *World) Running() []*Core {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return slices.Collect(maps.Values(w.Cores))
}

// Starts counts the cores that were ever started.
func (w *World) Starts() int {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return w.Started
}

// TargetHost returns the server that new connections go to.
func (w *World) TargetHost() string {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if w.Target == nil {
		return ""
	}
	if c := w.CoreAt(w.Target.Address); c != nil {
		return c.Host
	}
	return "(gone)"
}
