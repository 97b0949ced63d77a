package front

import "time"

const (
	slowTime  = 5 * time.Minute // how long a destination is left alone that has lost a rescue
	slowPlace = 1024            // how many are remembered
)

// memory is what a lost rescue has taught about a destination.
type memory struct {
	until    int64
	patience time.Duration // the silence that it is allowed; beyond the ceiling it is not rescued from silence
	empty    bool          // it hangs up without an answer
}

// lost notes that a rescue on behalf of dest was in vain although a core was alive: it is the
// destination that takes so long. Twice as long is allowed from now on, so that a hiccup does not
// count for much.
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
