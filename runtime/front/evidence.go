package front

import (
	"slices"
	"sync"
	"time"
)

// The other kinds of signals are of a connection's beginning; these are of what comes after it.
const (
	Stalled  SignalKind = "stalled"   // the rest of an answer did not come for a time that is unusual
	CutShort SignalKind = "cut_short" // the core ended a connection in the midst of an answer
	Starved  SignalKind = "starved"   // the rest of an answer comes, but at a pace of some kB/s
	Lossy    SignalKind = "lossy"     // only another server has answered
	Worked   SignalKind = "worked"    // as much has come as what strangles does not let pass; the daemon is not told
)

const (
	// evidenceTime is how long evidence counts, and maxEvidence how much of it is kept.
	evidenceTime = 10 * time.Second
	maxEvidence  = 256
	// enoughEvidence is how much of it, with no work done since the first, makes a target suspect.
	enoughEvidence = 3
	// A server is lossy if at least so many connections, and that share of those that were
	// answered at all, were answered by another one.
	lossyLeast = 6
	lossyShare = 0.08
	// workSuspicion is how long new connections are kept away from a target of which nobody has
	// found out more.
	workSuspicion = 30 * time.Second
	// ownTrouble is for how long, once a target was found to do the work in spite of trouble, that
	// of a single destination raises no suspicion.
	ownTrouble = 10 * time.Minute
)

// Evidence is what the traffic through one session has shown within the last ten seconds.
type Evidence struct {
	Stalled, CutShort, Starved, Lossy, Worked int
	// Destinations is how many different ones had trouble.
	Destinations int
}

// Trouble is how much there is that speaks against the server.
func (e Evidence) Trouble() int { return e.Stalled + e.CutShort + e.Starved + e.Lossy }

// Add adds what another data plane has seen.
func (e *Evidence) Add(d Evidence) {
	e.Stalled += d.Stalled
	e.CutShort += d.CutShort
	e.Starved += d.Starved
	e.Lossy += d.Lossy
	e.Worked += d.Worked
	e.Destinations = max(e.Destinations, d.Destinations)
}

// evidence is what is kept of it for one target.
type evidence struct {
	mu      sync.Mutex
	events  []event // of the last evidenceTime, the oldest first
	trusted int64   // until when one destination's trouble is believed to be its own, on the front's clock
}

type event struct {
	at      int64
	kind    SignalKind
	dest    string
	answers uint64 // that the target had given by then
}

// opinion is what to think of a target.
type opinion struct{ suspect, lossy bool }

// add notes an event, and returns what to think of the target now.
func (v *evidence) add(e event) (o opinion) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget(e.at)
	if len(v.events) == maxEvidence {
		v.events = slices.Delete(v.events, 0, maxEvidence/4)
	}
	v.events = append(v.events, e)
	n, several := 0, false // since work was last done
	for i := len(v.events) - 1; i >= 0 && v.events[i].kind != Worked; i-- {
		if v.events[i].kind != Lossy {
			n++
			several = several || v.events[i].dest != e.dest
		}
	}
	o.suspect = n >= enoughEvidence && (several || e.at > v.trusted)
	o.lossy = e.kind == Lossy && lossy(v.events, e.answers)
	return o
}

// forget needs mu. It drops what is too old.
func (v *evidence) forget(now int64) {
	old := 0
	for old < len(v.events) && now-v.events[old].at > int64(evidenceTime) {
		old++
	}
	v.events = slices.Delete(v.events, 0, old)
}

// trust drops what there is, which has turned out not to be the server's fault.
func (v *evidence) trust(now int64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget(now)
	if slices.ContainsFunc(v.events, func(e event) bool { return e.kind != Worked }) {
		v.trusted = now + int64(ownTrouble)
	}
	v.events = nil
}

// sum counts what there is.
func (v *evidence) sum(now int64) (e Evidence) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forget(now)
	trouble := make(map[string]bool)
	for _, ev := range v.events {
		if ev.kind == Worked {
			e.Worked++
			continue
		}
		trouble[ev.dest] = true
		switch ev.kind {
		case Stalled:
			e.Stalled++
		case CutShort:
			e.CutShort++
		case Starved:
			e.Starved++
		case Lossy:
			e.Lossy++
		}
	}
	e.Destinations = len(trouble)
	return e
}

// lossy reports whether so many connections were answered by another server alone that this one
// loses them.
func lossy(events []event, answers uint64) bool {
	lost, first := 0, uint64(0)
	for _, e := range events {
		if e.kind != Lossy {
			continue
		}
		if lost++; lost == 1 {
			first = e.answers
		}
	}
	return lost >= lossyLeast && float64(lost) >= lossyShare*float64(uint64(lost)+answers-first)
}

// witness notes what traffic through t has shown, and tells the daemon if it speaks against the
// server. When there is enough of it, new connections are kept away from t until the daemon has
// found out more.
func (f *Front) witness(t *target, kind SignalKind, dest string) {
	now := f.now()
	o := t.ledger.evidence.add(event{now, kind, dest, t.ledger.answers.Load()})
	if kind != Worked && (kind != Lossy || o.lossy) {
		f.signal(t.id, kind)
	}
	if o.suspect {
		f.suspectWork(t, now)
	}
}

// suspectWork keeps new connections away from t, if it is the target and there is a standby that
// does better.
func (f *Front) suspectWork(t *target, now int64) {
	standby := f.standby.Load().target
	if f.guard.off() || f.state.Load().target != t || standby == nil || standby.limited.Load() {
		return
	}
	f.guard.suspect.Store(&suspicion{target: t, since: now, until: now + int64(workSuspicion)})
}

// Trust ends a suspicion of the session id: a check has shown that its server does the work. Any
// goroutine may call it.
func (f *Front) Trust(id int64) {
	if l := f.known(id); l != nil {
		l.evidence.trust(f.now())
	}
	if sus := f.guard.suspect.Load(); sus != nil && sus.target.id == id {
		f.guard.acquit()
	}
}

// Answers tells that a check has just been answered through the session id, so that whoever has no
// answer there has the destination to blame. Any goroutine may call it.
func (f *Front) Answers(id int64) {
	if l := f.known(id); l != nil {
		l.rtt.prove(f.now())
	}
}

// Evidence returns what the traffic through the session id has shown of late; zero if nothing, or
// if the session is unknown.
func (f *Front) Evidence(id int64) Evidence {
	l := f.known(id)
	if l == nil {
		return Evidence{}
	}
	return l.evidence.sum(f.now())
}
