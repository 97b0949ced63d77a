package front

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Rescue says how connections without an answer are sent again through another core. The zero value
// is the default.
type Rescue struct {
	Off bool // the standby is not used at all

	// Floor and Ceiling bound the silence that is allowed to a core, which follows what it takes
	// otherwise. Zero is 60 ms and 3 s.
	Floor, Ceiling time.Duration
}

const (
	maxRescues = 2 // for one connection

	// A rescue costs a token, and one that wins gives it back.
	guardBurst   = 10
	guardRate    = 1    // tokens a second
	guardTraffic = 0.05 // tokens for each connection that was answered
	guardPause   = 50 * time.Millisecond

	standbyPause = 250 * time.Millisecond // between two looks for a standby, for those that need one
)

// guard decides which connections are rescued. It is asked only about those that are in trouble;
// what happens to every connection is in atomics.
type guard struct {
	rules atomic.Pointer[Rescue] // with the defaults filled in

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

// pending are the rescues of one destination that nobody has answered yet.
type pending struct {
	n     int
	since int64 // when the oldest that may be running began
}

func newGuard(o Rescue) *guard {
	g := &guard{tokens: guardBurst, slow: make(map[string]memory), pending: make(map[string]pending)}
	g.follow(o)
	return g
}

// follow makes o the rules.
func (g *guard) follow(o Rescue) {
	if o.Floor <= 0 {
		o.Floor = 60 * time.Millisecond
	}
	if o.Ceiling <= 0 {
		o.Ceiling = 3 * time.Second
	}
	o.Ceiling = max(o.Ceiling, o.Floor)
	g.rules.Store(&o)
}

func (g *guard) off() bool { return g.rules.Load().Off }

func (g *guard) ceiling() time.Duration { return g.rules.Load().Ceiling }

// other returns a core that is not among those tried, the target before the standby; nil if there
// is none.
func (f *Front) other(tried []*target) *state {
	if f.guard.off() {
		return nil
	}
	for _, st := range []*state{f.state.Load(), f.standby.Load()} {
		if st.target != nil && !slices.Contains(tried, st.target) {
			return st
		}
	}
	return nil
}

// A silence is what has to be known of a connection in order to judge whether it should be rescued.
type silence struct {
	target    *target
	tried     []*target
	dest      string
	sent      int64       // when the last bytes went out
	mayRepeat func() bool // whether they may be sent again
	rescues   int         // that the connection has had
	warned    *bool       // whether the front has signalled it
}

// judge returns the core through which s is to be rescued now, for which a token has been taken; or
// else how long to wait until it is judged again, 0 for never. Whoever gets a core for the first
// rescue of a connection says when that is over.
func (f *Front) judge(s silence) (to *state, wait time.Duration) {
	g, now := f.guard, f.now()
	age, limit := time.Duration(now-s.sent), f.guard.limit(s.target.ledger)
	if age < limit {
		return nil, limit - age
	}
	// Somebody who came later has been answered: the core is alive, and it is the destination that
	// takes its time.
	alive := s.target.ledger.rtt.proof.Load() > s.sent
	if !alive && !*s.warned {
		*s.warned = true
		f.signal(s.target.id, Silent)
	}
	patience := g.recall(s.dest, now).patience
	if g.off() || s.rescues >= maxRescues || patience > g.ceiling() || alive && s.rescues > 0 {
		return nil, 0
	}
	if alive {
		patience = g.ceiling()
	}
	if age < patience {
		return nil, patience - age
	}
	if !s.mayRepeat() {
		return nil, 0
	}
	if to = f.other(s.tried); to == nil {
		if age > max(f.wait(), g.ceiling()) {
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

func (g *guard) limit(s *ledger) time.Duration {
	rules := g.rules.Load()
	return s.rtt.limit(rules.Floor, rules.Ceiling)
}

// answered notes that a core has answered to what was sent at sent.
func (g *guard) answered(s *ledger, sent, now int64) {
	rules := g.rules.Load()
	s.rtt.note(sent, now, rules.Floor, rules.Ceiling)
	s.answers.Add(1)
	g.answers.Add(1)
	if sus := g.suspect.Load(); sus != nil && sus.until == 0 && sus.target.ledger == s && sent > sus.since {
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

// begin notes a rescue on behalf of dest, which ends with over. It is refused while another one has
// been waiting for longer than limit: if nobody answers that one, nobody is going to answer the
// next, and the destination is probably slow.
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

// left returns the tokens, without those that time and answers have added since take.
func (g *guard) left() float64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.tokens
}

func (g *guard) giveBack() {
	g.mu.Lock()
	g.tokens = min(g.tokens+1, guardBurst)
	g.mu.Unlock()
}
