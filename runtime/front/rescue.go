package front

import (
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"time"
)

// rescuer gets an upstream its first answer. It belongs to the goroutine that reads; a method that
// needs mu means that of the upstream.
type rescuer struct {
	u       *upstream
	tried   []*target // that have had the connection
	rescues int
	replays int
	warned  bool
}

// result is how the wait for a leg's answer ended.
type result struct {
	leg    *leg
	b      *buffer // to be released
	answer []byte  // in b
	err    error
	missed *target // the core that did not take the connection
}

// first waits for the first answer bytes and returns them in a buffer that the caller releases.
// Meanwhile it moves the connection if its core ends it, and brings in a second core if the first
// is silent. At an end without an answer the error is io.EOF, and otherwise what broke.
func (r *rescuer) first() (*buffer, []byte, error) {
	for l := &r.u.one; ; {
		res := l.result()
		if errors.Is(res.err, os.ErrDeadlineExceeded) {
			to := r.watchOver(l)
			if to == nil {
				continue
			}
			res = r.race(l, to)
		}
		if res.err == nil {
			r.u.settle(res.leg)
			r.noteAnswer(res.leg)
			res.leg.heardOf(res.answer)
			return res.b, res.answer, nil
		}
		next, err := r.replace(res.leg, res.err)
		if next == nil {
			r.u.settle(res.leg) // what the client still sends goes where the rest went
			return nil, nil, err
		}
		l = next
	}
}

// watchOver decides what the silence of l means. It returns the core to bring in, or nil when l is
// to be waited for.
func (r *rescuer) watchOver(l *leg) *state {
	u, s := r.u, r.silence(l)
	to, wait := u.f.judge(s)
	if to != nil {
		return to
	}
	if wait == 0 {
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
	l.tcp.Load().SetReadDeadline(time.Now().Add(wait))
	return nil
}

func (r *rescuer) silence(l *leg) silence {
	return silence{
		target: l.target, tried: r.tried, dest: string(r.u.dest), sent: l.lastAsked(),
		mayRepeat: r.u.mayRepeat, rescues: r.rescues, warned: &r.warned,
	}
}

// noteAnswer notes the first answer, which came over l.
func (r *rescuer) noteAnswer(l *leg) {
	f, sent := r.u.f, l.lastAsked()
	if !r.u.hedged {
		f.guard.answered(l.target.ledger, sent, f.now())
	}
	if l.from != nil {
		l.target.ledger.rescued.Add(1)
		f.witness(l.from, Lossy, string(r.u.dest))
		// Unless others were answered meanwhile: then it is only this destination that the core
		// does not reach.
		if l.from.ledger.rtt.proof.Load() <= sent {
			f.signal(l.from.id, Rescued)
		}
	}
	if l.paid {
		f.guard.giveBack()
	}
}

// noteEnd reports an end without an answer.
func (r *rescuer) noteEnd(l *leg, err error) {
	f := r.u.f
	switch {
	case l.dropped() || errors.Is(err, net.ErrClosed):
	case !l.replied && !isReplyError(err):
		f.signal(l.target.id, CoreGone)
	case errors.Is(err, io.EOF) && r.u.lastSent.Load() > 0:
		f.signal(l.target.id, ClosedEmpty)
	case !errors.Is(err, io.EOF):
		f.signal(l.target.id, CoreGone)
	}
}

// noteLost notes that a race was in vain, or that the silent core has won it after all.
func (r *rescuer) noteLost() {
	f := r.u.f
	f.guard.lost(string(r.u.dest), time.Duration(f.now()-r.u.lastSent.Load()), f.now())
}

// atFault reports whether it is the destination's fault that nobody has answered: others were
// answered meanwhile.
func (r *rescuer) atFault() bool {
	return slices.ContainsFunc(r.tried, func(t *target) bool { return t.ledger.rtt.proof.Load() > r.u.lastSent.Load() })
}
