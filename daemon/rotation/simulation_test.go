package rotation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// A world is a number of servers, whose fate is drawn in advance, and a user of them whose policy
// is judged. Time is virtual; everything follows from the seed.
type world struct {
	random  *rand.Rand
	servers []server
	history []History
	now     time.Time

	active    int
	since     time.Time // the active one serves
	pace      Pace
	turn      int // attempts in a row at which nothing worked
	choose    policy
	upgrades  bool // to a standby that is clearly better
	upgraded  int
	upgradeAt time.Time
	lastCheck time.Time
	nextLook  time.Time

	up, down  time.Duration
	latency   time.Duration // of what was served, summed over seconds
	rotations []time.Time
	longest   time.Duration // outage
	outage    time.Duration
	cooling   int // the most servers in a cooldown at any time
}

// policy returns which servers to try, in order.
type policy func(*world) []int64

// server alternates between up and down.
type server struct {
	meanUp, meanDown time.Duration
	latency          time.Duration
	loss             float64 // of checks while up
	working          bool
	until            time.Time
	fixed            bool // meanUp and meanDown are exact
}

func (s *server) advance(now time.Time, random *rand.Rand) {
	for !now.Before(s.until) {
		s.working = !s.working
		mean := s.meanDown
		if s.working {
			mean = s.meanUp
		}
		d := mean
		if !s.fixed {
			d = time.Duration(random.ExpFloat64() * float64(mean))
		}
		s.until = s.until.Add(max(d, time.Second))
	}
}

func newWorld(seed uint64, servers []server) *world {
	w := &world{random: rand.New(rand.NewPCG(seed, 1)), servers: servers, now: now, active: -1}
	w.history = make([]History, len(servers))
	for i := range servers {
		s := &w.servers[i]
		// Begin somewhere in the life of the server.
		mean := s.meanDown
		if s.working = w.random.Float64() < float64(s.meanUp)/float64(s.meanUp+s.meanDown); s.working {
			mean = s.meanUp
		}
		s.until = now.Add(time.Duration(w.random.Float64() * float64(mean)))
	}
	return w
}

// probe checks a server; everything about it is known at the end.
func (w *world) probe(i int) (time.Duration, bool) {
	s := &w.servers[i]
	s.advance(w.now, w.random)
	if !s.working || w.random.Float64() < s.loss {
		return 0, false
	}
	return time.Duration((0.8 + 0.4*w.random.Float64()) * float64(s.latency)), true
}

func (w *world) candidates() []Candidate {
	candidates := make([]Candidate, len(w.servers))
	for i := range candidates {
		candidates[i] = Candidate{ConfigID: int64(i), History: w.history[i]}
	}
	return candidates
}

// rotate tries to find another server, as the daemon does: at most 8 attempts, and those that
// failed are blamed only if another one worked.
func (w *world) rotate() {
	if _, ok := w.pace.Allow(w.now); !ok {
		return
	}
	var failed []int
	ids := w.choose(w)
	if start := w.turn * 8 % len(ids); start > 0 {
		ids = append(ids[start:], ids[:start]...)
	}
	for _, id := range ids {
		i := int(id)
		if i == w.active {
			continue
		}
		latency, ok := w.probe(i)
		if !ok {
			w.down += time.Second // three are raced, and each is given three seconds
			if failed = append(failed, i); len(failed) == 8 {
				w.turn++
				return
			}
			continue
		}
		w.turn = 0
		for _, f := range failed {
			w.history[f] = w.history[f].Failed(w.now, cooldownBase)
		}
		if old := w.active; old >= 0 {
			w.history[old] = w.history[old].RotatedAway(w.now, w.now.Sub(w.since), cooldownBase)
			w.pace = w.pace.Rotated(w.now)
			w.rotations = append(w.rotations, w.now)
		}
		w.history[i] = w.history[i].Succeeded(w.now, latency).Used(w.now)
		w.active, w.since = i, w.now
		return
	}
}

// run lets time pass in steps of a second.
func (w *world) run(d time.Duration) {
	failures := 0
	for end := w.now.Add(d); w.now.Before(end); w.now = w.now.Add(time.Second) {
		if w.active < 0 {
			w.rotate()
			failures = 0
		}
		working := false
		if w.active >= 0 {
			s := &w.servers[w.active]
			s.advance(w.now, w.random)
			if working = s.working; working {
				w.latency += s.latency
			}
		}
		if working {
			w.up += time.Second
			w.outage = 0
		} else {
			w.down += time.Second
			w.outage += time.Second
			w.longest = max(w.longest, w.outage)
		}
		// The checks: every 15 s, and every second after a failed one.
		if w.active >= 0 && (failures > 0 || w.now.Sub(w.lastCheck) >= 15*time.Second) {
			w.lastCheck = w.now
			if latency, ok := w.probe(w.active); ok {
				failures = 0
				if h := &w.history[w.active]; w.now.Sub(h.LastSuccess) >= 10*time.Minute {
					*h = h.Succeeded(w.now, latency)
				}
			} else if failures++; failures > 2 {
				before := w.active
				if w.rotate(); w.active != before {
					failures = 0
				}
			}
		}
		if failures == 0 && !w.now.Before(w.nextLook) {
			w.look()
		}
	}
}

// look checks the standby, which is the best server but the active one, and another.
func (w *world) look() {
	w.nextLook = w.now.Add(time.Minute)
	candidates := w.candidates()
	cooling := 0
	for _, c := range candidates {
		if c.History.cooling(w.now) {
			cooling++
		}
	}
	w.cooling = max(w.cooling, cooling)
	ids := make([]int64, 0, 2)
	for _, c := range Rank(w.now, PreferBest, 1, candidates, int64(w.active))[:1] {
		ids = append(ids, c.ConfigID)
	}
	if id, ok := Explore(w.now, w.random.Uint64(), candidates, append(ids, int64(w.active))...); ok {
		ids = append(ids, id)
	}
	for _, id := range ids {
		if latency, ok := w.probe(int(id)); ok {
			w.history[id] = w.history[id].Succeeded(w.now, latency)
		} else {
			w.history[id] = w.history[id].Failed(w.now, cooldownBase)
		}
	}
	if !w.upgrades || w.active < 0 || w.now.Before(w.upgradeAt) {
		return
	}
	standby := ids[0]
	if Better(w.now, Candidate{ConfigID: standby, History: w.history[standby]}, Candidate{History: w.history[w.active]}) {
		if latency, ok := w.probe(int(standby)); ok {
			w.history[w.active] = w.history[w.active].Used(w.now)
			w.history[standby] = w.history[standby].Succeeded(w.now, latency).Used(w.now)
			w.active, w.since = int(standby), w.now
			w.upgraded++
			w.upgradeAt = w.now.Add(30 * time.Minute)
		}
	}
}

func (w *world) uptime() float64 { return float64(w.up) / float64(w.up+w.down) }

// meanLatency of what was served.
func (w *world) meanLatency() time.Duration { return w.latency / max(1, w.up/time.Second) }

// mostIn returns the most rotations in any stretch of time.
func (w *world) mostIn(d time.Duration) int {
	most, first := 0, 0
	for i, t := range w.rotations {
		for t.Sub(w.rotations[first]) >= d {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

// live lets a user with a policy live in a world for a time.
func live(seed uint64, servers []server, d time.Duration, choose policy) *world {
	w := newWorld(seed, slices.Clone(servers))
	w.choose = choose
	w.run(d)
	return w
}

func (w *world) String() string {
	return fmt.Sprintf("up %.3f %%, %d ms, %d rotations, at most %d a minute and %d an hour, longest outage %v, at most %d cooling",
		100*w.uptime(), w.meanLatency().Milliseconds(), len(w.rotations), w.mostIn(time.Minute), w.mostIn(time.Hour), w.longest, w.cooling)
}

// seeds returns the seeds of the worlds that a test lives in. Nothing in them is concurrent, so one
// world is enough for the race detector, which makes them ten times slower. It is the second: the
// first is kind to every policy.
func seeds(n uint64) []uint64 {
	if raceDetector {
		return []uint64{1}
	}
	all := make([]uint64, n)
	for i := range all {
		all[i] = uint64(i)
	}
	return all
}

// The policy is compared with what others do, on a list as they are: most servers dead, many that
// come and go (and are fast), few good ones.
func TestBestBeatsOtherPolicies(t *testing.T) {
	t.Parallel()
	down := map[string]time.Duration{}
	policies := map[string]policy{"best": best, "round robin": roundRobin, "fastest": fastest}
	for _, seed := range seeds(4) {
		for name, choose := range policies {
			w := live(seed, scraped(seed), 24*time.Hour, choose)
			t.Logf("seed %d, %-11s: %v", seed, name, w)
			down[name] += w.down
			if name == "best" && w.uptime() < 0.995 {
				t.Errorf("seed %d: up %.3f %% only", seed, 100*w.uptime())
			}
		}
	}
	if down["best"] > down["fastest"]/2 || down["best"] > down["round robin"]/2 {
		t.Errorf("down for %v, in turn %v, always the fastest %v", down["best"], down["round robin"], down["fastest"])
	}
}

// One server in ten works, the others come and go every five seconds, and look better when they are
// there.
func TestFlappingServersCauseFewRotations(t *testing.T) {
	t.Parallel()
	for _, seed := range seeds(10) {
		w := live(seed, flapping(10), 6*time.Hour, best)
		if w.mostIn(time.Minute) > 3 || w.mostIn(time.Hour) > 6 || w.uptime() < 0.99 {
			t.Errorf("seed %d: %v", seed, w)
		}
	}
	// Two hundred take some time to learn.
	w := newWorld(1, flapping(200))
	w.choose = best
	w.run(3 * time.Hour)
	if w.mostIn(time.Minute) > 3 {
		t.Errorf("in the beginning: %v", w)
	}
	w.rotations, w.up, w.down = nil, 0, 0
	w.run(12 * time.Hour)
	if w.mostIn(time.Hour) > 6 || w.uptime() < 0.99 {
		t.Errorf("later: %v", w)
	}
}

// Servers that are blocked after some minutes each must not make the policy wait for long while
// there are others.
func TestBlockedServersAreLeftInTime(t *testing.T) {
	t.Parallel()
	w := live(1, blocked(20), 12*time.Hour, best)
	t.Log(w)
	if w.uptime() < 0.85 || w.mostIn(time.Minute) > 3 {
		t.Error(w)
	}
}

// All servers are good and lose 5 % of the checks, which must not put them out of use one after the
// other.
func TestRandomLossIsForgiven(t *testing.T) {
	t.Parallel()
	rotations := 0
	for _, seed := range seeds(3) {
		w := live(seed, lossy(20), 48*time.Hour, best)
		t.Logf("seed %d: %v", seed, w)
		rotations += len(w.rotations)
		if w.cooling > 6 || w.mostIn(time.Hour) > 2 {
			t.Errorf("seed %d: %v", seed, w)
		}
		for i, h := range w.history {
			if left := h.CooldownUntil.Sub(h.LastFailure); left > 40*time.Minute {
				t.Errorf("seed %d: server %d has a cooldown of %v: %+v", seed, i, left, h)
			}
		}
	}
	// Three checks in a row fail by chance once in 33 hours.
	if rotations > 10 {
		t.Errorf("%d rotations in 6 days", rotations)
	}
}

// Where a clearly better server is known, moving to it pays.
func TestBetterPays(t *testing.T) {
	t.Parallel()
	var staying, moving time.Duration
	for _, seed := range seeds(3) {
		stay := live(seed, scraped(seed), 24*time.Hour, best)
		move := newWorld(seed, scraped(seed))
		move.choose, move.upgrades = best, true
		move.run(24 * time.Hour)
		t.Logf("seed %d: %v; upgraded %d times: %v", seed, stay, move.upgraded, move)
		staying, moving = staying+stay.meanLatency(), moving+move.meanLatency()
		if move.upgraded > 12 || move.uptime() < 0.995 {
			t.Errorf("seed %d: %d changes, %v", seed, move.upgraded, move)
		}
	}
	if moving > staying*3/4 {
		t.Errorf("mean latencies: %v, without changes %v", moving, staying)
	}
}

func best(w *world) []int64 {
	var ids []int64
	for _, c := range Rank(w.now, PreferBest, 1, w.candidates(), int64(w.active)) {
		ids = append(ids, c.ConfigID)
	}
	return ids
}

// roundRobin takes the next one in the list.
func roundRobin(w *world) []int64 {
	var ids []int64
	for i := range w.servers {
		ids = append(ids, int64((w.active+1+i)%len(w.servers)))
	}
	return ids
}

// fastest takes the one with the lowest latency when last seen.
func fastest(w *world) []int64 {
	ids := roundRobin(w)
	slices.SortStableFunc(ids, func(a, b int64) int {
		unknown := func(id int64) time.Duration { return cmp.Or(w.history[id].Latency, time.Hour) }
		return cmp.Compare(unknown(a), unknown(b))
	})
	return ids
}

// scraped is a list as they are found: most dead, some that come and go, few good.
func scraped(seed uint64) []server {
	random := rand.New(rand.NewPCG(seed, 2))
	var servers []server
	for i := range 200 {
		s := server{latency: time.Duration(30+random.IntN(700)) * time.Millisecond, loss: 0.02}
		switch {
		case i%20 == 0: // good: hours
			s.meanUp, s.meanDown = 6*time.Hour, 30*time.Minute
		case i%20 < 5: // some: minutes
			s.meanUp, s.meanDown = 15*time.Minute, 15*time.Minute
			s.latency /= 2
		default: // dead, nearly always
			s.meanUp, s.meanDown = 2*time.Minute, 12*time.Hour
		}
		servers = append(servers, s)
	}
	return servers
}

func flapping(n int) []server {
	servers := make([]server, n)
	for i := range servers {
		servers[i] = server{meanUp: 5 * time.Second, meanDown: 5 * time.Second, fixed: true, latency: 50 * time.Millisecond}
	}
	servers[n/2] = server{meanUp: 1e6 * time.Hour, meanDown: time.Second, fixed: true, latency: 200 * time.Millisecond}
	return servers
}

func lossy(n int) []server {
	servers := make([]server, n)
	for i := range servers {
		servers[i] = server{meanUp: 1e6 * time.Hour, meanDown: time.Second, fixed: true, latency: 100 * time.Millisecond, loss: 0.05}
	}
	return servers
}

// blocked servers work for two minutes and are back after an hour.
func blocked(n int) []server {
	servers := make([]server, n)
	for i := range servers {
		servers[i] = server{meanUp: 3 * time.Minute, meanDown: 10 * time.Minute, latency: 100 * time.Millisecond, loss: 0.02}
	}
	return servers
}
