package front

import (
	"context"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Counters are the traffic of one session, or of al. Bytes are payload: no SOCKS headers, and for
// HTTP what passes between the front and the origin. An association of UDP counts as one connection
// on each core that serves it.
type Counters struct {
	UpBytes, DownBytes uint64
	Connections        uint64 // taken on since the start
	Open               uint64 // being served now

	Replayed uint64 // taken on because another core had not answered; what had been sent was sent a second time
	Rescued  uint64 // of these, answered here first
	Waited   uint64 // had to wait for a usable core
}

// A user occupies a session: a connection, or the path of a UDP association.
type user interface {
	// abort ends the user at once, with a reset. It must not block.
	abort()
	// cut is abort, except that a connection that may go on through another core does so.
	cut()
	// hangs reports whether that is so, in the sense of h.
	hangs(h Hanging, now int64) bool
	// door is where t is dialled on behalf of the user.
	door(t *target) string
}

// ledger is what is counted for one target id, and who uses its core now.
type ledger struct {
	up, down    atomic.Uint64
	connections atomic.Uint64

	replayed, rescued, waited atomic.Uint64

	rtt      rtt
	answers  atomic.Uint64 // first ones, of connections and requests
	evidence evidence

	mu    sync.Mutex
	users map[user]struct{}
	empty chan struct{} // closed and set to nil when the last user leaves; made by Drain
}

func newLedger() *ledger { return &ledger{users: make(map[user]struct{})} }

func (l *ledger) countUp(n int) { l.up.Add(uint64(n)) }

func (l *ledger) countDown(n int) { l.down.Add(uint64(n)) }

func (l *ledger) enter(u user) {
	l.mu.Lock()
	l.users[u] = struct{}{}
	l.mu.Unlock()
}

// leave is safe to call twice.
func (l *ledger) leave(u user) {
	l.mu.Lock()
	delete(l.users, u)
	if len(l.users) == 0 && l.empty != nil {
		close(l.empty)
		l.empty = nil
	}
	l.mu.Unlock()
}

// whenEmpty returns a channel that is closed when the session has no user, at once if it has none.
func (l *ledger) whenEmpty() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.users) == 0 {
		c := make(chan struct{})
		close(c)
		return c
	}
	if l.empty == nil {
		l.empty = make(chan struct{})
	}
	return l.empty
}

// abort aborts every user and returns how many there were.
func (l *ledger) abort() int {
	users := l.all()
	for _, u := range users {
		u.abort()
	}
	return len(users)
}

// cut cuts the users that hang, and returns how many there were.
func (l *ledger) cut(h Hanging, now int64) (n int) {
	for _, u := range l.all() {
		if u.hangs(h, now) {
			u.cut()
			n++
		}
	}
	return n
}

func (l *ledger) all() []user {
	l.mu.Lock()
	defer l.mu.Unlock()
	users := make([]user, 0, len(l.users))
	for u := range l.users {
		users = append(users, u)
	}
	return users
}

func (l *ledger) counters() Counters {
	l.mu.Lock()
	open := len(l.users)
	l.mu.Unlock()
	return Counters{
		UpBytes: l.up.Load(), DownBytes: l.down.Load(), Connections: l.connections.Load(), Open: uint64(open),
		Replayed: l.replayed.Load(), Rescued: l.rescued.Load(), Waited: l.waited.Load(),
	}
}

// ledger returns that of id, opening it if it is new.
func (f *Front) ledger(id int64) *ledger {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.ledgers[id]
	if l == nil {
		l = newLedger()
		f.ledgers[id] = l
	}
	return l
}

// known returns that of id, nil if there is none.
func (f *Front) known(id int64) *ledger {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ledgers[id]
}

func (f *Front) allLedgers() []*ledger {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Values(f.ledgers))
}

// Recent is Counters: here they cost nothing.
func (f *Front) Recent(id int64) Counters { return f.Counters(id) }

// Counters returns the traffic of the session id; zero if it is unknown or forgotten. Counts are
// live.
func (f *Front) Counters(id int64) Counters {
	l := f.known(id)
	if l == nil {
		return Counters{}
	}
	return l.counters()
}

// Clients returns how many connections of applications there are, whatever their state.
func (f *Front) Clients() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.clients)
}

// Sessions returns the ids of the sessions that are counted for.
func (f *Front) Sessions() []int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.ledgers))
}

// Total returns the traffic of all sessions since New, forgotten ones included.
func (f *Front) Total() Counters {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.past
	t.Waited += f.waitedInVain.Load()
	for _, l := range f.ledgers {
		t.Add(l.counters())
	}
	return t
}

// Waiting returns how many connections wait for a usable core at this moment.
func (f *Front) Waiting() int { return int(f.waiting.Load()) }

// Add adds the counts of d.
func (c *Counters) Add(d Counters) {
	c.UpBytes += d.UpBytes
	c.DownBytes += d.DownBytes
	c.Connections += d.Connections
	c.Open += d.Open
	c.Replayed += d.Replayed
	c.Rescued += d.Rescued
	c.Waited += d.Waited
}

// Forget drops the counters of an ended session; Total keeps them. Call it after Drain and the last
// look at Counters.
func (f *Front) Forget(id int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := f.ledgers[id]
	if l == nil {
		return
	}
	for _, st := range []*state{f.state.Load(), f.standby.Load()} {
		if st.target != nil && st.target.ledger == l {
			return
		}
	}
	c := l.counters()
	c.Open = 0
	f.past.Add(c)
	delete(f.ledgers, id)
}

// Drain waits until nothing uses the session id any more and returns 0, or until ctx ends, and then
// resets what is left and returns how many that were. Call it after SetTarget has named another
// target: a session that still takes new connections is drained only by chance.
func (f *Front) Drain(ctx context.Context, id int64) int {
	if f.AwaitIdle(ctx, id) {
		return 0
	}
	return f.Abort(id)
}

// AwaitIdle waits until nothing uses the session id, or until ctx ends, and reports whether nothing
// does. Any goroutine may call it.
func (f *Front) AwaitIdle(ctx context.Context, id int64) bool {
	l := f.known(id)
	if l == nil {
		return true
	}
	select {
	case <-l.whenEmpty():
		return true
	default:
	}
	select {
	case <-l.whenEmpty():
		return true
	case <-ctx.Done():
		return false
	}
}

// Abort resets what uses the session id and returns how many that were. Any goroutine may call it.
func (f *Front) Abort(id int64) int {
	l := f.known(id)
	if l == nil {
		return 0
	}
	return l.abort()
}

// Hanging says which connections hang: those of which any of this is true. Zero is never true.
type Hanging struct {
	Silent  time.Duration // nothing has come for that long
	Waiting time.Duration // nor for that long, although something was asked or the rest of an answer is due
	// Strangled: the rest of an answer has not come for long, or comes at a pace of some kB/s.
	Strangled bool
}

// Cut resets the connections of the session id that hang, and the paths of its UDP associations,
// and returns how many they were. One without an answer that may be sent again goes on through
// another core instead. Call it after SetTarget has named another target. Any goroutine may call
// it; it does not block.
func (f *Front) Cut(id int64, h Hanging) int {
	l := f.known(id)
	if l == nil {
		return 0
	}
	return l.cut(h, f.now())
}
