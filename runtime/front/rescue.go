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

// guard decides which connections are rescued. It is asked only about those that are in trouble; what happens to every
// connection is in atomics.
type guard struct {
	off            bool
	floor, ceiling time.Duration

	answers atomic.Uint64 // connections that were answered
	suspect atomic.Pointer[suspicion]

	mu      sync.Mutex
	tokens  float64
	filled  int64             // when tokens was right
	counted uint64            // the answers that are in tokens
	slow    map[string]memory // destinations
	pending map[string]pending
	streak  int   // rescues from silence of streakOf won in a row
	since   int64 // when the streak began
	of      *ledger
	trial   int64 // when the next trial is due
}

// memory is what a lost rescue has taught about a destination.
type memory struct {
	until    int64
	patience time.Duration // the silence that it is allowed; beyond the ceiling it is not rescued from silence
	empty    bool          // it hangs up without an answer
}

// pending are the rescues of one destination that nobody has answered yet.
type pending struct {
	n     int
	since int64 // when the oldest that may be running began
}

// suspicion is the time in which new connections go to the standby first.
type suspicion struct {
	target *target
	since  int64
}

func newGuard(o Rescue) *guard {
	g := &guard{off: o.Off, floor: o.Floor, ceiling: o.Ceiling, tokens: guardBurst, slow: make(map[string]memory), pending: make(map[string]pending)}
	if g.floor <= 0 {
		g.floor = 60 * time.Millisecond
	}
	if g.ceiling <= 0 {
		g.ceiling = 3 * time.Second
	}
	g.ceiling = max(g.ceiling, g.floor)
	return g
}

func (g *guard) limit(s *ledger) time.Duration { return s.rtt.limit(g.floor, g.ceiling) }

// answered notes that a core has answered to what was sent at sent.
func (g *guard) answered(s *ledger, sent, now int64) {
	s.rtt.note(sent, now, g.floor, g.ceiling)
	g.answers.Add(1)
	if sus := g.suspect.Load(); sus != nil && sus.target.ledger == s && sent > sus.since {
		g.suspect.CompareAndSwap(sus, nil)
	}
}

// take takes a token from the guard.
func (g *guard) take(now int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	answers := g.answers.Load()
	g.tokens += float64(now-g.filled)/float64(time.Second)*guardRate + float64(answers-g.counted)*guardTraffic
	g.tokens = min(g.tokens, guardBurst)
	g.filled, g.counted = now, answers
	if g.tokens < 1 {
		return false
	}
	g.tokens--
	return true
}

// begin notes a rescue on behalf of dest, which ends with over. It is refused while another one has been waiting for longer
// than limit: if nobody answers that one, nobody is going to answer the next, and the destination is probably slow.
func (g *guard) begin(dest string, limit time.Duration, now int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.pending[dest]
	if a.n > 0 && time.Duration(now-a.since) > limit {
		return false
	}
	if a.n == 0 {
		a.since = now
	}
	a.n++
	g.pending[dest] = a
	return true
}

func (g *guard) over(dest string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.pending[dest]
	if a.n--; a.n <= 0 {
		delete(g.pending, dest)
		return
	}
	g.pending[dest] = a
}

func (g *guard) giveBack() {
	g.mu.Lock()
	g.tokens = min(g.tokens+1, guardBurst)
	g.mu.Unlock()
}

// won notes that a connection to the silent target was answered by the standby.
func (g *guard) won(silent *target, now int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.streak == 0 || g.of != silent.ledger || silent.ledger.rtt.answered.Load() > g.since {
		g.streak, g.of, g.since = 0, silent.ledger, now
	}
	if g.streak++; g.streak >= suspectAfter && !g.suspects(silent) {
		g.suspect.Store(&suspicion{silent, now})
		g.trial = now + int64(trialPause)
	}
}

func (g *guard) suspects(t *target) bool {
	sus := g.suspect.Load()
	return sus != nil && sus.target == t
}

// acquit ends the suspicion.
func (g *guard) acquit() {
	g.mu.Lock()
	g.suspect.Store(nil)
	g.streak = 0
	g.mu.Unlock()
}

// tryTarget reports whether a new connection should try the suspected target, and counts it as the one that does.
func (g *guard) tryTarget(now int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if now < g.trial {
		return false
	}
	g.trial = now + int64(trialPause)
	return true
}

// trialDue is tryTarget without counting.
func (g *guard) trialDue(now int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return now >= g.trial
}

// lost notes that a rescue on behalf of dest was in vain although a core was alive: it is the destination that takes so
// long. Twice as long is allowed from now on, so that a hiccup does not count for much.
func (g *guard) lost(dest string, took time.Duration, now int64) {
	g.remember(dest, now, func(m *memory) { m.patience = max(m.patience, 2*took) })
}

// lostEmpty notes that dest hangs up on more than one core.
func (g *guard) lostEmpty(dest string, now int64) {
	g.remember(dest, now, func(m *memory) { m.empty = true })
}

func (g *guard) remember(dest string, now int64, what func(*memory)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.slow) >= slowPlace {
		for d, m := range g.slow {
			if m.until < now {
				delete(g.slow, d)
			}
		}
	}
	for d := range g.slow { // any
		if len(g.slow) < slowPlace {
			break
		}
		delete(g.slow, d)
	}
	m := g.slow[dest]
	if m.until <= now {
		m = memory{}
	}
	m.until = now + int64(slowTime)
	what(&m)
	g.slow[dest] = m
}

func (g *guard) recall(dest string, now int64) memory {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m := g.slow[dest]; now < m.until {
		return m
	}
	return memory{}
}

// standIn returns the standby while the target is under suspicion, and otherwise nil.
func (f *Front) standIn() *state {
	sus := f.guard.suspect.Load()
	if sus == nil {
		return nil
	}
	standby := f.standby.Load()
	if f.state.Load().target != sus.target || standby.target == nil {
		f.guard.acquit()
		return nil
	}
	return standby
}

// other returns a core that is not among those tried, the target before the standby; nil if there is none.
func (f *Front) other(tried func(*target) bool) *state {
	if f.guard.off {
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
	g, now := f.guard, f.now()
	age, limit := time.Duration(now-s.sent), f.guard.limit(s.target.ledger)
	if age < limit {
		return nil, limit - age
	}
	// Somebody who came later has been answered: the core is alive, and it is the destination that takes its time.
	alive := s.target.ledger.rtt.proof.Load() > s.sent
	if !alive && !*s.warned {
		*s.warned = true
		f.signal(s.target.id, Silent)
	}
	patience := g.recall(s.dest, now).patience
	if g.off || s.rescues >= maxRescues || patience > g.ceiling || alive && s.rescues > 0 {
		return nil, 0
	}
	if alive {
		patience = g.ceiling
	}
	if age < patience {
		return nil, patience - age
	}
	if !s.safe() {
		return nil, 0
	}
	if to = f.other(s.tried); to == nil {
		if age > max(f.o.Wait, g.ceiling) {
			return nil, 0
		}
		return nil, standbyPause
	}
	first := s.rescues == 0
	if first && !g.begin(s.dest, g.limit(to.target.ledger), now) {
		return nil, guardPause
	}
	if !g.take(now) {
		if first {
			g.over(s.dest)
		}
		return nil, guardPause
	}
	return to, 0
}
