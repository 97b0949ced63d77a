package front

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Counters are the traffic of one session, or of all. Bytes are payload: no SOCKS headers, and for HTTP what passes
// between the front and the origin. An association of UDP counts as one connection on each core that serves it.
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
	// heard is when the core last sent something, or else when the user came, on the front's clock.
	heard() int64
}

// session keeps the books of one target id.
type session struct {
	up, down    atomic.Uint64
	connections atomic.Uint64

	replayed, rescued, waited atomic.Uint64

	pace pace

	mu    sync.Mutex
	users map[user]struct{}
	empty chan struct{} // closed and set to nil when the last user leaves; made by Drain
}

func newSession() *session { return &session{users: make(map[user]struct{})} }

func (s *session) countUp(n int) { s.up.Add(uint64(n)) }

func (s *session) countDown(n int) { s.down.Add(uint64(n)) }

func (s *session) enter(u user) {
	s.mu.Lock()
	s.users[u] = struct{}{}
	s.mu.Unlock()
}

// leave is safe to call twice.
func (s *session) leave(u user) {
	s.mu.Lock()
	delete(s.users, u)
	if len(s.users) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
	s.mu.Unlock()
}

// whenEmpty returns a channel that is closed when the session has no user, at once if it has none.
func (s *session) whenEmpty() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.users) == 0 {
		c := make(chan struct{})
		close(c)
		return c
	}
	if s.empty == nil {
		s.empty = make(chan struct{})
	}
	return s.empty
}

// abort aborts every user and returns how many there were.
func (s *session) abort() int {
	users := s.all()
	for _, u := range users {
		u.abort()
	}
	return len(users)
}

// cut cuts the users that have heard nothing since then, and returns how many there were.
func (s *session) cut(since int64) (n int) {
	for _, u := range s.all() {
		if u.heard() < since {
			u.cut()
			n++
		}
	}
	return n
}

func (s *session) all() []user {
	s.mu.Lock()
	defer s.mu.Unlock()
	users := make([]user, 0, len(s.users))
	for u := range s.users {
		users = append(users, u)
	}
	return users
}

func (s *session) counters() Counters {
	s.mu.Lock()
	open := len(s.users)
	s.mu.Unlock()
	return Counters{
		UpBytes: s.up.Load(), DownBytes: s.down.Load(), Connections: s.connections.Load(), Open: uint64(open),
		Replayed: s.replayed.Load(), Rescued: s.rescued.Load(), Waited: s.waited.Load(),
	}
}

// session returns the books of id, opening them if they are new.
func (f *Front) session(id int64) *session {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[id]
	if s == nil {
		s = newSession()
		f.sessions[id] = s
	}
	return s
}

// Counters returns the traffic of the session id; zero if it is unknown or forgotten. Counts are live.
func (f *Front) Counters(id int64) Counters {
	f.mu.Lock()
	s := f.sessions[id]
	f.mu.Unlock()
	if s == nil {
		return Counters{}
	}
	return s.counters()
}

// Total returns the traffic of all sessions since New, forgotten ones included.
func (f *Front) Total() Counters {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.past
	t.Waited += f.waitedInVain.Load()
	for _, s := range f.sessions {
		t.add(s.counters())
	}
	return t
}

// Waiting returns how many connections wait for a usable core at this moment.
func (f *Front) Waiting() int { return int(f.waiting.Load()) }

func (c *Counters) add(d Counters) {
	c.UpBytes += d.UpBytes
	c.DownBytes += d.DownBytes
	c.Connections += d.Connections
	c.Open += d.Open
	c.Replayed += d.Replayed
	c.Rescued += d.Rescued
	c.Waited += d.Waited
}

// Forget drops the counters of an ended session; Total keeps them. Call it after Drain and the last look at Counters.
func (f *Front) Forget(id int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[id]
	if s == nil {
		return
	}
	for _, st := range []*state{f.state.Load(), f.standby.Load()} {
		if st.target != nil && st.target.session == s {
			return
		}
	}
	c := s.counters()
	c.Open = 0
	f.past.add(c)
	delete(f.sessions, id)
}

// Drain waits until nothing uses the session id any more and returns 0, or until ctx ends, and then resets what is left
// and returns how many that were. Call it after SetTarget has named another target: a session that still takes new
// connections is drained only by chance.
func (f *Front) Drain(ctx context.Context, id int64) int {
	f.mu.Lock()
	s := f.sessions[id]
	f.mu.Unlock()
	if s == nil {
		return 0
	}
	select {
	case <-s.whenEmpty():
		return 0
	default:
	}
	select {
	case <-s.whenEmpty():
		return 0
	case <-ctx.Done():
		return s.abort()
	}
}

// Cut resets the connections of the session id, and the paths of its UDP associations, on which nothing has come from the
// core since then, and returns how many they were. One that was opened later is left alone, and one without an answer that may
// be sent again goes on through another core instead. Call it after SetTarget has named another target. Any goroutine may
// call it; it does not block.
func (f *Front) Cut(id int64, since time.Time) int {
	f.mu.Lock()
	s := f.sessions[id]
	f.mu.Unlock()
	if s == nil {
		return 0
	}
	return s.cut(int64(since.Sub(f.epoch)))
}
