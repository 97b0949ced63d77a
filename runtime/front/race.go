package front

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"
)

// first waits for the first answer bytes and returns them in a buffer that the caller releases. Meanwhile it moves the
// connection if its core ends it, and brings in a second core if the first is silent. At an end without an answer the error
// is io.EOF, and otherwise what broke.
func (u *upstream) first() (*buffer, []byte, error) {
	l := &u.one
	for {
		b, answer, err := l.await()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			to := u.watchOver(l)
			if to == nil {
				continue
			}
			l, b, answer, err = u.race(l, to)
		}
		if err == nil {
			u.settle(l)
			u.noteAnswer(l)
			return b, answer, nil
		}
		next, err := u.replace(l, err)
		if next == nil {
			u.settle(l) // what the client still sends goes where the rest went
			return nil, nil, err
		}
		l = next
	}
}

// watchOver decides what the silence of l means. It returns the core to bring in, or nil when it is to be waited for.
func (u *upstream) watchOver(l *leg) *state {
	s := u.silence(l)
	to, wait := u.f.judge(s)
	if to == nil && wait == 0 {
		if u.mu.TryLock() {
			u.armed = false // the next write asks again
			if u.lastSent.Load() > s.sent {
				u.watch(l)
			}
			u.mu.Unlock()
			return nil
		}
		wait = guardPause // a writer is at work
	}
	if to == nil {
		l.tcp.Load().SetReadDeadline(time.Now().Add(wait))
	}
	return to
}

func (u *upstream) silence(l *leg) silence {
	return silence{
		target: l.target, tried: u.hasTried, dest: string(u.dest), sent: max(u.lastSent.Load(), l.sentAt),
		safe: u.safe, rescues: u.rescues, warned: &u.warned,
	}
}

// result is how the wait for a leg's answer ended.
type result struct {
	leg    *leg
	b      *buffer
	answer []byte
	err    error
}

// race brings in a core beside that of silent, and further ones, and waits for the first answer of any. Without one it returns
// the leg that ended last.
func (u *upstream) race(silent *leg, to *state) (*leg, *buffer, []byte, error) {
	defer u.f.guard.over(string(u.dest))
	ctx, cancel := context.WithCancel(u.ctx)
	defer cancel()
	u.lm.Lock()
	u.cancel = cancel
	u.lm.Unlock()
	defer func() {
		u.lm.Lock()
		u.cancel = nil
		u.lm.Unlock()
	}()
	if u.aborted.Load() {
		cancel()
	}
	results := make(chan result, 1+maxRescues)
	await := func(l *leg) {
		b, answer, err := l.await()
		results <- result{l, b, answer, err}
	}
	running := 1
	bring := func(st *state) {
		u.rescues++
		u.tried = append(u.tried, st.target)
		running++
		l := &leg{u: u, from: silent.target, paid: true}
		go func() {
			if err := l.open(ctx, st); err != nil {
				results <- result{leg: l, err: err}
				return
			}
			if !u.join(l) {
				results <- result{leg: l, err: net.ErrClosed}
				return
			}
			await(l)
		}()
	}
	go await(silent)
	bring(to)
	watch := time.NewTimer(u.f.guard.limit(to.target.ledger))
	defer watch.Stop()
	for {
		select {
		case r := <-results:
			running--
			if r.err == nil {
				u.settle(r.leg)
				cancel()
				for ; running > 0; running-- {
					if late := <-results; late.b != nil {
						late.b.release()
					}
				}
				u.score(silent, r.leg)
				return r.leg, r.b, r.answer, nil
			}
			if r.leg.target == nil { // it never got as far as a connection
				u.f.guard.giveBack()
			}
			if running == 0 {
				if u.aborted.Load() && u.atFault() { // the client has given up
					u.f.guard.lost(string(u.dest), u.age(), u.f.now())
				}
				if r.leg.target == nil {
					r.leg = silent
				}
				return r.leg, nil, nil, r.err
			}
			if r.leg.target != nil {
				u.noteEnd(r.leg, r.err)
				u.mu.Lock()
				u.remove(r.leg)
				u.mu.Unlock()
			}
		case <-watch.C:
			newest := u.newest()
			if newest == nil || newest == silent && running > 1 {
				watch.Reset(standbyPause) // another one is on its way
				continue
			}
			st, wait := u.f.judge(u.silence(newest))
			switch {
			case st != nil:
				bring(st)
				watch.Reset(u.f.guard.limit(st.target.ledger))
			case wait > 0:
				watch.Reset(wait)
			}
		}
	}
}

// join sends what the client has sent over l, too, if that is still right.
func (u *upstream) join(l *leg) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.won.Load() != nil || u.aborted.Load() || u.lost || !mayRepeat(u.sent) {
		l.reset()
		l.target.ledger.leave(l)
		return false
	}
	u.add(l)
	return true
}

// newest returns the leg that was added last, or nil.
func (u *upstream) newest() *leg {
	if !u.mu.TryLock() {
		return nil
	}
	defer u.mu.Unlock()
	if len(u.legs) == 0 {
		return nil
	}
	return u.legs[len(u.legs)-1]
}

// settle ends the time in which u can move: it belongs to l.
func (u *upstream) settle(l *leg) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.won.Store(l)
	if u.armed {
		l.tcp.Load().SetReadDeadline(noDeadline)
	}
	u.armed = true
	u.drop()
	if len(u.legs) == 1 && u.legs[0] == l {
		return
	}
	u.lm.Lock()
	others := u.legs
	u.legs = []*leg{l}
	u.lm.Unlock()
	for _, other := range others {
		if other != l {
			other.abort()
			other.target.ledger.leave(other)
		}
	}
}

// noteAnswer notes the first answer, which came over l.
func (u *upstream) noteAnswer(l *leg) {
	if !u.hedged {
		u.f.guard.answered(l.target.ledger, max(u.lastSent.Load(), l.sentAt), u.f.now())
	}
	if l.from != nil {
		l.target.ledger.rescued.Add(1)
		// Unless others were answered meanwhile: then it is only this destination that the core does not reach.
		if l.from.ledger.rtt.proof.Load() <= max(u.lastSent.Load(), l.sentAt) {
			u.f.signal(l.from.id, Rescued)
		}
	}
	if l.paid {
		u.f.guard.giveBack()
	}
}

// score notes who has won a race.
func (u *upstream) score(silent, winner *leg) {
	f := u.f
	if winner == silent {
		f.guard.lost(string(u.dest), u.age(), f.now())
		return
	}
	f.scoreSilence(silent.target, winner.target)
}

// scoreSilence notes that winner has answered where silent did not.
func (f *Front) scoreSilence(silent, winner *target) {
	if silent == f.state.Load().target && winner == f.standby.Load().target {
		f.guard.won(silent, f.now())
	}
}

func (u *upstream) age() time.Duration { return time.Duration(u.f.now() - u.lastSent.Load()) }

// atFault reports whether it is the destination's fault that nobody has answered: others were answered meanwhile.
func (u *upstream) atFault() bool {
	return slices.ContainsFunc(u.tried, func(t *target) bool { return t.ledger.rtt.proof.Load() > u.lastSent.Load() })
}

// noteEnd reports an end without an answer.
func (u *upstream) noteEnd(l *leg, err error) {
	switch {
	case l.dropped() || errors.Is(err, net.ErrClosed):
	case !l.replied && !isReplyError(err):
		u.f.signal(l.target.id, CoreGone)
	case errors.Is(err, io.EOF) && u.lastSent.Load() > 0:
		u.f.signal(l.target.id, ClosedEmpty)
	case !errors.Is(err, io.EOF):
		u.f.signal(l.target.id, CoreGone)
	}
}
