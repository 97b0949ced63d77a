package front

import (
	"context"
	"net"
	"slices"
	"time"
)

// race is the time in which several legs may answer. The first that does has the connection.
type race struct {
	r       *rescuer
	silent  *leg            // that it began with
	ctx     context.Context // ends what is being opened
	results chan result
	running int // legs that have not given a result
	watch   *time.Timer
	begun   bool // the first rescue of the connection belongs to it: that of its destination is unanswered
}

// race brings in a core beside that of silent, and further ones, and waits for the first answer of
// any. Without one it returns how the leg that ended last did.
func (r *rescuer) race(silent *leg, to *state) result {
	u := r.u
	ctx, cancel := context.WithCancel(u.ctx)
	defer cancel()
	u.legs.setCancel(cancel)
	defer u.legs.setCancel(nil)
	if u.aborted.Load() {
		cancel()
	}
	c := &race{r: r, silent: silent, ctx: ctx, results: make(chan result, 1+maxRescues), watch: time.NewTimer(time.Hour)}
	defer c.watch.Stop()
	defer c.over()
	c.running++
	go func() { c.results <- silent.result() }()
	c.bring(to)
	for {
		select {
		case res := <-c.results:
			c.running--
			if res.err == nil {
				u.settle(res.leg)
				cancel()
				c.drop()
				c.score(res.leg)
				return res
			}
			if last, over := c.ended(res); over {
				return last
			}
		case <-c.watch.C:
			c.lookAgain()
		}
	}
}

func (ls *legs) setCancel(cancel func()) {
	ls.mu.Lock()
	ls.cancel = cancel
	ls.mu.Unlock()
}

// bring opens a leg through the core of st.
func (c *race) bring(st *state) {
	u := c.r.u
	c.begun = c.begun || c.r.rescues == 0
	c.r.rescues++
	c.r.tried = append(c.r.tried, st.target)
	c.running++
	l := &leg{u: u, from: c.silent.target, paid: true}
	go func() {
		if err := l.open(c.ctx, st); err != nil {
			c.results <- result{leg: l, err: err, missed: st.target}
			return
		}
		if !u.join(l) {
			c.results <- result{leg: l, err: net.ErrClosed}
			return
		}
		c.results <- l.result()
	}()
	c.watch.Reset(u.f.guard.limit(st.target.ledger))
}

// join sends what the client has sent over l, too, if that is still right.
func (u *upstream) join(l *leg) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.won.Load() != nil || u.aborted.Load() || !u.kept.mayRepeat() {
		l.reset()
		l.target.ledger.leave(l)
		return false
	}
	u.add(l)
	return true
}

// lookAgain decides what the silence of the newest leg means.
func (c *race) lookAgain() {
	newest := c.newest()
	if newest == nil || newest == c.silent && c.running > 1 {
		c.watch.Reset(standbyPause) // another one is on its way
		return
	}
	st, wait := c.r.u.f.judge(c.r.silence(newest))
	switch {
	case st != nil:
		c.bring(st)
	case wait > 0:
		c.watch.Reset(wait)
	}
}

// newest returns the leg that was added last, or nil.
func (c *race) newest() *leg {
	u := c.r.u
	if !u.mu.TryLock() {
		return nil
	}
	defer u.mu.Unlock()
	if len(u.legs.all) == 0 {
		return nil
	}
	return u.legs.all[len(u.legs.all)-1]
}

// ended takes a leg out of the race that has ended without an answer. When it was the last one, the
// race is over with it.
func (c *race) ended(res result) (last result, over bool) {
	u := c.r.u
	opened := res.leg.target != nil
	if res.missed != nil {
		c.forgive(res.missed)
	}
	switch {
	case c.running == 0:
		if u.aborted.Load() && c.r.atFault() { // the client has given up
			c.r.noteLost()
		}
		if !opened {
			res.leg = c.silent
		}
		return res, true
	case opened:
		c.r.noteEnd(res.leg, res.err)
		u.mu.Lock()
		u.remove(res.leg)
		u.mu.Unlock()
	}
	return result{}, false
}

// forgive has a core tried again that did not take the connection: on a busy machine also one that
// is well can miss the time for a dial.
func (c *race) forgive(missed *target) {
	c.r.u.f.guard.giveBack()
	c.r.tried = slices.DeleteFunc(c.r.tried, func(t *target) bool { return t == missed })
	if c.r.rescues--; c.r.rescues == 0 {
		c.over()
	}
	c.watch.Reset(standbyPause)
}

// over lets other connections to the destination be rescued.
func (c *race) over() {
	if c.begun {
		c.begun = false
		c.r.u.f.guard.over(string(c.r.u.dest))
	}
}

// drop waits for the legs that have lost, and drops what they have.
func (c *race) drop() {
	for ; c.running > 0; c.running-- {
		if late := <-c.results; late.b != nil {
			late.b.release()
		}
	}
}

// score notes who has won.
func (c *race) score(winner *leg) {
	if winner == c.silent {
		c.r.noteLost()
		return
	}
	c.r.u.f.scoreSilence(c.silent.target, winner.target)
}
