package front

import (
	"context"
	"sync"
	"sync/atomic"
)

// Counters are the traffic of one session, or of all. Bytes are payload: no SOCKS headers, and for HTTP what passes
// between the front and the origin. An association of UDP counts as one connection on each core that serves it.
type Counters struct {
	UpBytes, DownBytes uint64
	Connections        uint64 // taken on since the start
	Open               uint64 // being served now
}

// A user occupies a session: a connection, or the path of a UDP association.
type user interface {
	// abort ends the user at once, with a reset. It must not block.
	abort()
}

// session keeps the books of one target id.
type session struct {
	up, down    atomic.Uint64
	connections atomic.Uint64

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

// cut aborts every user and returns how many there were.
func (s *session) cut() int {
	s.mu.Lock()
	users := make([]user, 0, len(s.users))
	for u := range s.users {
		users = append(users, u)
	}
	s.mu.Unlock()
	for _, u := range users {
		u.abort()
	}
	return len(users)
}

func (s *session) counters() Counters {
	s.mu.Lock()
	open := len(s.users)
	s.mu.Unlock()
	return Counters{s.up.Load(), s.down.Load(), s.connections.Load(), uint64(open)}
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
}

// Forget drops the counters of an ended session; Total keeps them. Call it after Drain and the last look at Counters.
func (f *Front) Forget(id int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.sessions[id]
	if s == nil {
		return
	}
	if st := f.state.Load(); st.target != nil && st.target.session == s {
		return
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
		return s.cut()
	}
}
