package front

import "time"

const (
	suspectAfter = 3               // rescues from silence won in a row
	trialPause   = 1 * time.Second // between two new connections that try a suspected target first
)

// suspicion is the time in which new connections go to the standby first.
type suspicion struct {
	target *target
	since  int64
	// until is set if the target answers, but strangles the work: then no answer ends the
	// suspicion, and nobody tries the target. 0: it is silent.
	until int64
}

// standIn returns the standby while the target is under suspicion, and otherwise nil.
func (f *Front) standIn() *state {
	sus := f.guard.suspect.Load()
	if sus == nil {
		return nil
	}
	standby := f.standby.Load()
	if f.state.Load().target != sus.target || standby.target == nil || sus.until != 0 && f.now() > sus.until {
		f.guard.acquit()
		return nil
	}
	return standby
}

// scoreSilence notes that winner has answered where silent did not.
func (f *Front) scoreSilence(silent, winner *target) {
	if silent == f.state.Load().target && winner == f.standby.Load().target {
		f.guard.won(silent, f.now())
	}
}

// won notes that a connection to the silent target was answered by the standby.
func (g *guard) won(silent *target, now int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.streak == 0 || g.of != silent.ledger || silent.ledger.rtt.answered.Load() > g.since {
		g.streak, g.of, g.since = 0, silent.ledger, now
	}
	if g.streak++; g.streak >= suspectAfter && !g.suspects(silent) {
		g.suspect.Store(&suspicion{target: silent, since: now})
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

// tryTarget reports whether a new connection should try the suspected target, and counts it as the
// one that does.
func (g *guard) tryTarget(now int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	due := g.due(now)
	if due {
		g.trial = now + int64(trialPause)
	}
	return due
}

// trialDue is tryTarget without counting.
func (g *guard) trialDue(now int64) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.due(now)
}

// due needs mu. It reports whether the suspected target may be tried.
func (g *guard) due(now int64) bool {
	sus := g.suspect.Load()
	return now >= g.trial && (sus == nil || sus.until == 0)
}
