package front

import (
	"sync"
	"sync/atomic"
	"time"
)

// Rescue says how connections without an answer are sent again through another core. The zero value is the default.
type Rescue struct {
	Off bool // the standby is not used at all

	// Floor and Ceiling bound the silence that is allowed to a core, which follows what it takes otherwise. Zero is 60 ms
	// and 3 s.
	Floor, Ceiling time.Duration
}

const (
	maxRescues = 2 // for one connection

	// The guard: a rescue costs a token, and one that wins gives it back.
	guardBurst   = 10
	guardRate    = 1    // tokens a second
	guardTraffic = 0.05 // tokens for each connection that was answered
	guardPause   = 50 * time.Millisecond

	slowTime  = 5 * time.Minute // how long a destination is left alone that has lost a rescue
	slowPlace = 1024            // how many are remembered

	suspectAfter = 3               // rescues from silence won in a row
	trialPause   = 1 * time.Second // between two new connections that try a suspected target first

	standbyPause = 250 * time.Millisecond // between two looks for a standby, for those that need one
)

// rescuer decides which connections are rescued. It is asked only about those that are in trouble; what happens to every
// connection is in atomics.
type rescuer struct {
	off            bool
	floor, ceiling time.Duration

	answers atomic.Uint64 // connections that were answered
	suspect atomic.Pointer[suspicion]

	mu      sync.Mutex
	tokens  float64
	filled  int64             // when tokens was right
	counted uint64            // the answers that are in tokens
	slow    map[string]memory // destinations
	pending map[string]attempts
	streak  int   // rescues from silence of streakOf won in a row
	since   int64 // when the streak began
	of      *session
	trial   int64 // when the next trial is due
}

// memory is what a lost rescue has taught about a destination.
type memory struct {
	until    int64
	patience time.Duration // the silence that it is allowed; beyond the ceiling it is not rescued from silence
	empty    bool          // it hangs up without an answer
}

// attempts are the rescues of one destination that nobody has answered yet.
type attempts struct {
	n     int
	since int64 // when the oldest that may be running began
}

// suspicion is the time in which new connections go to the standby first.
type suspicion struct {
	target *target
	since  int64
}

func newRescuer(o Rescue) *rescuer {
	r := &rescuer{off: o.Off, floor: o.Floor, ceiling: o.Ceiling, tokens: guardBurst, slow: make(map[string]memory), pending: make(map[string]attempts)}
	if r.floor <= 0 {
		r.floor = 60 * time.Millisecond
	}
	if r.ceiling <= 0 {
		r.ceiling = 3 * time.Second
	}
	r.ceiling = max(r.ceiling, r.floor)
	return r
}

func (r *rescuer) limit(s *session) time.Duration { return s.pace.limit(r.floor, r.ceiling) }

// answered notes that a core has answered to what was sent at sent.
func (r *rescuer) answered(s *session, sent, now int64) {
	s.pace.note(sent, now, r.floor, r.ceiling)
	r.answers.Add(1)
	if sus := r.suspect.Load(); sus != nil && sus.target.session == s && sent > sus.since {
		r.suspect.CompareAndSwap(sus, nil)
	}
}

// take takes a token from the guard.
func (r *rescuer) take(now int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	answers := r.answers.Load()
	r.tokens += float64(now-r.filled)/float64(time.Second)*guardRate + float64(answers-r.counted)*guardTraffic
	r.tokens = min(r.tokens, guardBurst)
	r.filled, r.counted = now, answers
	if r.tokens < 1 {
		return false
	}
	r.tokens--
	return true
}

// begin notes a rescue on behalf of dest, which ends with over. It is refused while another one has been waiting for longer
// than limit: if nobody answers that one, nobody is going to answer the next, and the destination is probably slow.
func (r *rescuer) begin(dest string, limit time.Duration, now int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.pending[dest]
	if a.n > 0 && time.Duration(now-a.since) > limit {
		return false
	}
	if a.n == 0 {
		a.since = now
	}
	a.n++
	r.pending[dest] = a
	return true
}

func (r *rescuer) over(dest string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a := r.pending[dest]
	if a.n--; a.n <= 0 {
		delete(r.pending, dest)
		return
	}
	r.pending[dest] = a
}

func (r *rescuer) giveBack() {
	r.mu.Lock()
	r.tokens = min(r.tokens+1, guardBurst)
	r.mu.Unlock()
}

// won notes that a connection to the silent target was answered by the standby.
func (r *rescuer) won(silent *target, now int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.streak == 0 || r.of != silent.session || silent.session.pace.answered.Load() > r.since {
		r.streak, r.of, r.since = 0, silent.session, now
	}
	if r.streak++; r.streak >= suspectAfter && !r.suspects(silent) {
		r.suspect.Store(&suspicion{silent, now})
		r.trial = now + int64(trialPause)
	}
}

func (r *rescuer) suspects(t *target) bool {
	sus := r.suspect.Load()
	return sus != nil && sus.target == t
}

// acquit ends the suspicion.
func (r *rescuer) acquit() {
	r.mu.Lock()
	r.suspect.Store(nil)
	r.streak = 0
	r.mu.Unlock()
}

// tryTarget tells whether a new connection should try the suspected target, and counts it as the one that does.
func (r *rescuer) tryTarget(now int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now < r.trial {
		return false
	}
	r.trial = now + int64(trialPause)
	return true
}

// trialDue is tryTarget without counting.
func (r *rescuer) trialDue(now int64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return now >= r.trial
}

// lost notes that a rescue on behalf of dest was in vain although a core was alive: it is the destination that takes so
// long. Twice as long is allowed from now on, so that a hiccup does not count for much.
func (r *rescuer) lost(dest string, took time.Duration, now int64) {
	r.remember(dest, now, func(m *memory) { m.patience = max(m.patience, 2*took) })
}

// lostEmpty notes that dest hangs up on more than one core.
func (r *rescuer) lostEmpty(dest string, now int64) {
	r.remember(dest, now, func(m *memory) { m.empty = true })
}

func (r *rescuer) remember(dest string, now int64, what func(*memory)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.slow) >= slowPlace {
		for d, m := range r.slow {
			if m.until < now {
				delete(r.slow, d)
			}
		}
	}
	for d := range r.slow { // any
		if len(r.slow) < slowPlace {
			break
		}
		delete(r.slow, d)
	}
	m := r.slow[dest]
	if m.until <= now {
		m = memory{}
	}
	m.until = now + int64(slowTime)
	what(&m)
	r.slow[dest] = m
}

func (r *rescuer) recall(dest string, now int64) memory {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.slow[dest]; now < m.until {
		return m
	}
	return memory{}
}

// detour returns the standby while the target is under suspicion, and otherwise nil.
func (f *Front) detour() *state {
	sus := f.rescue.suspect.Load()
	if sus == nil {
		return nil
	}
	standby := f.standby.Load()
	if f.state.Load().target != sus.target || standby.target == nil {
		f.rescue.acquit()
		return nil
	}
	return standby
}

// other returns a core that is not among those tried, the target before the standby; nil if there is none.
func (f *Front) other(tried func(*target) bool) *state {
	if f.rescue.off {
		return nil
	}
	for _, st := range []*state{f.state.Load(), f.standby.Load()} {
		if st.target != nil && !tried(st.target) {
			return st
		}
	}
	return nil
}

// A silence is what has to be known of a connection in order to judge whether it should be rescued.
type silence struct {
	target  *target
	tried   func(*target) bool
	dest    string
	sent    int64       // when the last bytes went out
	safe    func() bool // whether they may be sent again
	rescues int         // that the connection has had
	warned  *bool       // whether the front has signalled it
}

// judge returns the core through which s is to be rescued now, for which a token has been taken; or else how long to wait
// until it is judged again, 0 for never. Whoever gets a core for the first rescue of a connection says when that is over.
func (f *Front) judge(s silence) (to *state, wait time.Duration) {
	r, now := f.rescue, f.now()
	age, limit := time.Duration(now-s.sent), f.rescue.limit(s.target.session)
	if age < limit {
		return nil, limit - age
	}
	// Somebody who came later has been answered: the core is alive, and it is the destination that takes its time.
	alive := s.target.session.pace.proof.Load() > s.sent
	if !alive && !*s.warned {
		*s.warned = true
		f.signal(s.target.id, Silent)
	}
	patience := r.recall(s.dest, now).patience
	if r.off || s.rescues >= maxRescues || patience > r.ceiling || alive && s.rescues > 0 {
		return nil, 0
	}
	if alive {
		patience = r.ceiling
	}
	if age < patience {
		return nil, patience - age
	}
	if !s.safe() {
		return nil, 0
	}
	if to = f.other(s.tried); to == nil {
		if age > max(f.o.Wait, r.ceiling) {
			return nil, 0
		}
		return nil, standbyPause
	}
	first := s.rescues == 0
	if first && !r.begin(s.dest, r.limit(to.target.session), now) {
		return nil, guardPause
	}
	if !r.take(now) {
		if first {
			r.over(s.dest)
		}
		return nil, guardPause
	}
	return to, 0
}
