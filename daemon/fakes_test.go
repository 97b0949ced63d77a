package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// world stands for everything outside the supervisor: servers that can be told
// how to behave, the cores that run, the front and what it was told. The real
// ones are tested in their packages and end to end; here time and faults are ours.
type world struct {
	mu       sync.Mutex
	servers  map[string]*server // by host
	cores    map[int]*fakeCore  // that run, by pid
	started  int                // cores ever
	lastPID  int
	probes   int
	maxCores int

	open      bool
	target    *front.Target
	gaps      int // how often the target went away while the front was open
	signals   chan front.Signal
	drainTill map[int64]chan struct{} // a session with connections: until closed
	openErr   error
	forgotten []int64
	drained   []int64
	uncut     bool
	locateErr error
	stopTime  time.Duration  // that a core takes to stop
	targets   map[int64]bool // the sessions that have served
	standby   *front.Target
	cuts      []time.Time // what Cut was called with
	offline   bool
	rescues   map[int64]uint64 // connections that a session took over
	waited    map[int64]uint64
	provider  provider
	loss      float64 // of probes, independent of each other
	lossFast  bool    // they fail at once instead of staying silent
	random    *rand.Rand
}

// server is how one fake server behaves.
type server struct {
	dead      bool          // no answer through it
	latency   time.Duration // of a probe
	noStart   bool          // its core ends at once
	refuse    bool
	hung      bool // its inbound is silent
	startTime time.Duration
}

func newWorld(hosts ...string) *world {
	w := &world{
		servers: map[string]*server{}, cores: map[int]*fakeCore{}, lastPID: 1000,
		random:  rand.New(rand.NewPCG(1, 2)),
		signals: make(chan front.Signal), drainTill: map[int64]chan struct{}{}, targets: map[int64]bool{},
		rescues: map[int64]uint64{}, waited: map[int64]uint64{},
	}
	for _, h := range hosts {
		w.servers[h] = &server{latency: 50 * time.Millisecond, startTime: 15 * time.Millisecond}
	}
	return w
}

// set changes how a server behaves.
func (w *world) set(host string, change func(*server)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w.servers[host])
}

type fakeCore struct {
	w      *world
	id     xray.Identity
	in     xray.Inbound
	host   string
	done   chan struct{}
	reason string
}

func (c *fakeCore) Identity() xray.Identity { return c.id }
func (c *fakeCore) Inbound() xray.Inbound   { return c.in }
func (c *fakeCore) Done() <-chan struct{}   { return c.done }
func (c *fakeCore) ExitReason() string      { return c.reason }
func (c *fakeCore) Killed() bool            { return strings.HasPrefix(c.reason, "signal: ") }

func (c *fakeCore) Health(ctx context.Context) error {
	c.w.mu.Lock()
	hung := c.w.servers[c.host].hung
	c.w.mu.Unlock()
	if hung {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return c.w.handshake(ctx, probe.Proxy{Address: c.in.Address})
}

func (c *fakeCore) Stop(context.Context, time.Duration) error {
	c.w.mu.Lock()
	wait := c.w.stopTime
	c.w.mu.Unlock()
	time.Sleep(wait)
	c.exit("stopped")
	return nil
}

// exit ends the process, for whatever reason.
func (c *fakeCore) exit(reason string) {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	if _, running := c.w.cores[c.id.PID]; running {
		delete(c.w.cores, c.id.PID)
		c.reason = reason
		close(c.done)
	}
}

func (w *world) locate() (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return "/bin/xray", w.locateErr
}

// loseCore makes the executable go missing; nil brings it back.
func (w *world) loseCore(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.locateErr = err
}

// written counts the outcomes that were written.
func (m *memory) written() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.puts
}

// asked counts the probes.
func (w *world) asked() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.probes
}

// Start implements Cores.
func (w *world) Start(ctx context.Context, spec xray.Spec, started func(xray.Identity, xray.Inbound) error) (Core, error) {
	w.mu.Lock()
	s := *w.servers[spec.Link.Host]
	w.started++
	w.lastPID++
	c := &fakeCore{
		w: w, host: spec.Link.Host, done: make(chan struct{}),
		id: xray.Identity{PID: w.lastPID, StartTime: uint64(w.lastPID), BootID: "boot"},
		in: xray.Inbound{Address: fmt.Sprintf("core-%d", w.lastPID), User: "u", Password: "p"},
	}
	w.cores[c.id.PID] = c
	w.maxCores = max(w.maxCores, len(w.cores))
	w.mu.Unlock()
	if err := started(c.id, c.in); err != nil {
		c.exit("not wanted")
		return nil, err
	}
	select {
	case <-time.After(s.startTime):
	case <-ctx.Done():
		c.exit("canceled")
		return nil, context.Cause(ctx)
	}
	if s.noStart {
		c.exit("exit status 23")
		return nil, errors.New("the core ended at once: exit status 23")
	}
	return c, nil
}

// Adopt implements Cores.
func (w *world) Adopt(_ context.Context, id xray.Identity, in xray.Inbound) (Core, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c, running := w.cores[id.PID]
	switch {
	case !running:
		return nil, xray.ErrPIDMissing
	case c.id != id:
		return nil, xray.ErrIdentityMismatch
	case c.in != in:
		return nil, xray.ErrUnhealthy
	}
	return c, nil
}

// End implements Cores.
func (w *world) End(_ context.Context, id xray.Identity, _ time.Duration) error {
	w.mu.Lock()
	c, running := w.cores[id.PID]
	w.mu.Unlock()
	if !running {
		return nil
	}
	if c.id != id {
		return xray.ErrIdentityMismatch
	}
	c.exit("ended")
	return nil
}

// FindByNonce implements Cores.
func (w *world) FindByNonce(string) (xray.Identity, error) {
	return xray.Identity{}, xray.ErrPIDMissing
}

// coreAt finds the core that has an inbound address.
func (w *world) coreAt(address string) *fakeCore {
	for _, c := range w.cores {
		if c.in.Address == address {
			return c
		}
	}
	return nil
}

func (w *world) probe(ctx context.Context, p probe.Proxy, _ int) probe.Result {
	w.mu.Lock()
	w.probes++
	lost := w.loss > 0 && w.random.Float64() < w.loss
	c := w.coreAt(p.Address)
	var s server
	if c != nil {
		s = *w.servers[c.host]
	}
	w.mu.Unlock()
	wait := s.latency
	if lost && !w.lossFast {
		s.dead = true
	}
	if s.refuse {
		wait = time.Millisecond
	}
	if s.dead {
		wait = 3 * time.Second
	}
	select {
	case <-time.After(wait):
	case <-ctx.Done():
		return probe.Result{Class: "canceled", Err: context.Cause(ctx)}
	}
	if s.refuse {
		return probe.Result{Class: "refused", Err: errors.New("refused")}
	}
	if c == nil || s.dead || lost {
		return probe.Result{Class: "timeout", Err: errors.New("no answer within 3s")}
	}
	return probe.Result{OK: true, Class: "ok", Latency: s.latency}
}

func (w *world) handshake(_ context.Context, p probe.Proxy) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.Address == "front-socks" || p.Address == "front-http" {
		if !w.open {
			return errors.New("connection refused")
		}
		return nil
	}
	if w.coreAt(p.Address) == nil {
		return errors.New("connection refused")
	}
	return nil
}

// --- Front

func (w *world) Open(context.Context) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.openErr != nil {
		return w.openErr
	}
	w.open = true
	return nil
}

func (w *world) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = false
	return nil
}

func (w *world) SetTarget(t *front.Target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t == nil && w.target != nil && w.open {
		w.gaps++
	}
	w.target = t
	if t != nil && w.standby != nil && w.standby.ID == t.ID {
		w.standby = nil
	}
	if t != nil {
		w.targets[t.ID] = true
	}
}

func (w *world) SetStandby(t *front.Target) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.standby = t
	if t != nil && w.target != nil && w.target.ID == t.ID {
		w.standby = nil
	}
}

func (w *world) Cut(id int64, since time.Time) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cuts = append(w.cuts, since)
	if till := w.drainTill[id]; till != nil && !w.uncut {
		close(till)
		delete(w.drainTill, id)
		return 1
	}
	return 0
}

func (w *world) online(string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.offline
}

// standbyHost returns the server of the standby that the front knows.
func (w *world) standbyHost() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.standby == nil {
		return ""
	}
	if c := w.coreAt(w.standby.Address); c != nil {
		return c.host
	}
	return "(gone)"
}

func (w *world) Drain(ctx context.Context, id int64) int {
	w.mu.Lock()
	till := w.drainTill[id]
	w.drained = append(w.drained, id)
	w.mu.Unlock()
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

func (w *world) Counters(id int64) front.Counters {
	w.mu.Lock()
	defer w.mu.Unlock()
	return front.Counters{
		UpBytes: uint64(id) * 10, DownBytes: uint64(id) * 100, Connections: uint64(id),
		Waited: w.waited[id], Replayed: w.rescues[id], Rescued: w.rescues[id],
	}
}

func (w *world) Forget(id int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forgotten = append(w.forgotten, id)
}

func (w *world) Signals() <-chan front.Signal { return w.signals }

func (w *world) Addresses() (socks, http string) { return "front-socks", "front-http" }

// running returns the cores that run.
func (w *world) running() []*fakeCore {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Values(w.cores))
}

// starts counts the cores that were ever started.
func (w *world) starts() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.started
}

// targetHost returns the server that new connections go to.
func (w *world) targetHost() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.target == nil {
		return ""
	}
	if c := w.coreAt(w.target.Address); c != nil {
		return c.host
	}
	return "(gone)"
}

// memory is a Store in memory.
type memory struct {
	puts     int
	mu       sync.Mutex
	configs  map[int64]store.Config
	sessions map[int64]store.Session
	outcomes map[int64]store.Outcome
	desired  store.Desired
	lastID   int64
	fail     error // of every write
	subs     map[int64]store.Subscription
	lastSub  int64
}

func newMemory(hosts ...string) *memory {
	m := &memory{configs: map[int64]store.Config{}, sessions: map[int64]store.Session{}, outcomes: map[int64]store.Outcome{}}
	for i, h := range hosts {
		id := int64(i + 1)
		m.configs[id] = store.Config{ID: id, Name: h, Link: "vless://5783a3e7-e373-51cd-8642-c83782b807c5@" + h + ":443?encryption=none#" + h}
	}
	return m
}

func (m *memory) Configs(context.Context) ([]store.Config, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.configs), func(a, b store.Config) int { return cmp.Compare(a.ID, b.ID) }), nil
}

func (m *memory) Config(_ context.Context, id int64) (store.Config, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, there := m.configs[id]
	if !there {
		return c, store.ErrNotFound
	}
	return c, nil
}

func (m *memory) RemoveConfigs(_ context.Context, ids []int64) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := len(m.configs)
	for _, id := range ids {
		delete(m.configs, id)
	}
	return before - len(m.configs), m.fail
}

func (m *memory) CreateSession(_ context.Context, s store.Session) (store.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return s, m.fail
	}
	m.lastID++
	s.ID = m.lastID
	m.sessions[s.ID] = s
	return s, nil
}

func (m *memory) UpdateSession(_ context.Context, id int64, change func(*store.Session)) (store.Session, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, there := m.sessions[id]
	if !there {
		return s, store.ErrNotFound
	}
	if m.fail != nil {
		return s, m.fail
	}
	change(&s)
	m.sessions[id] = s
	return s, nil
}

func (m *memory) RemoveSession(_ context.Context, id int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	delete(m.sessions, id)
	return nil
}

func (m *memory) all() []store.Session {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.sessions), func(a, b store.Session) int { return cmp.Compare(b.ID, a.ID) })
}

func (m *memory) Sessions(_ context.Context, limit int) ([]store.Session, error) {
	all := m.all()
	return all[:min(limit, len(all))], nil
}

func (m *memory) LiveSessions(context.Context) ([]store.Session, error) {
	return slices.DeleteFunc(m.all(), func(s store.Session) bool { return !s.Status.Live() }), nil
}

func (m *memory) Desired(context.Context) (store.Desired, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.desired, nil
}

func (m *memory) SetDesired(_ context.Context, d store.Desired) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return m.fail
	}
	m.desired = d
	return nil
}

func (m *memory) Outcomes(context.Context) (map[int64]store.Outcome, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.outcomes), nil
}

func (m *memory) PutOutcome(_ context.Context, o store.Outcome) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outcomes[o.ConfigID] = o
	m.puts++
	return m.fail
}
