package front

import (
	"errors"
	"net"
	"time"
)

const (
	// maxReplays is how often one connection is sent again because cores ended it before their reply.
	maxReplays = 5
	// replayPause lies between them, times the number of the try; a dying core needs a moment to stop taking connections.
	replayPause = 10 * time.Millisecond
)

// errNoCoreReply is the end of a connection that no core answered with the reply of SOCKS.
var errNoCoreReply = errors.New("the core closed the connection without a reply")

// replace moves u to another core after one has ended the connection with err and without an answer. It returns the leg over
// the new one; or nil, and with what error u ends.
func (u *upstream) replace(l *leg, err error) (*leg, error) {
	u.noteEnd(l, err)
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.aborted.Load() || l.aborted.Load() || isReplyError(err) {
		return nil, err
	}
	var next *leg
	if l.replied || l.moved.Load() {
		next = u.moveAnswerless(l)
	} else if next = u.moveUntouched(l); next == nil {
		err = errNoCoreReply
	}
	if next == nil {
		if u.rescues > 0 && u.atFault() {
			u.f.guard.lostEmpty(string(u.dest), u.f.now())
		}
		return nil, err
	}
	if next.target != l.target {
		next.from = l.target
	}
	u.remove(l)
	u.armed = false
	u.tried = append(u.tried, next.target)
	u.add(next)
	return next, nil
}

// moveUntouched needs mu. It reaches another core after one has died before its reply. A core replies before it passes
// anything on, so nothing has reached the destination, and the whole can be sent again, whatever it is.
func (u *upstream) moveUntouched(l *leg) *leg {
	if u.lost || u.replays >= maxReplays {
		return nil
	}
	u.replays++
	if u.pause(time.Duration(u.replays)*replayPause) != nil {
		return nil
	}
	if u.replays > 1 {
		if st := u.f.other(u.hasTried); st != nil {
			if next := u.reach(st); next != nil {
				return next
			}
		}
	}
	return u.reachAny()
}

// moveAnswerless needs mu. It reaches another core after one has ended the connection although it had replied. What was
// sent may have reached the destination.
func (u *upstream) moveAnswerless(l *leg) *leg {
	r, f := u.f.guard, u.f
	if r.off || u.rescues >= maxRescues || u.lost || !mayRepeat(u.sent) || u.upEnded && len(u.sent) == 0 {
		return nil
	}
	if current := f.state.Load().target; current != l.target && !u.hasTried(current) || !f.takes(l.target) {
		u.rescues++
		return u.reachAny()
	}
	// The core is there. Perhaps its server is not, or the destination has nothing to say.
	if len(u.sent) == 0 && !l.moved.Load() || r.recall(string(u.dest), f.now()).empty {
		return nil
	}
	for end := time.Now().Add(r.ceiling); ; {
		st := f.other(u.hasTried)
		if st == nil {
			return nil
		}
		if r.take(f.now()) {
			u.rescues++
			next := u.reach(st)
			if next == nil {
				r.giveBack()
				return nil
			}
			next.paid = true
			return next
		}
		if time.Now().After(end) || u.pause(guardPause) != nil {
			return nil
		}
	}
}

// takes reports whether the core still takes connections.
func (f *Front) takes(t *target) bool {
	c, err := f.promptDialer.Dial("tcp", t.address)
	if err != nil {
		return false
	}
	reset(c.(*net.TCPConn))
	return true
}

func (u *upstream) pause(d time.Duration) error {
	select {
	case <-time.After(d):
	case <-u.ctx.Done():
		return u.ctx.Err()
	}
	if u.aborted.Load() {
		return net.ErrClosed
	}
	return nil
}

// reach dials the core of st, and returns nil if that fails.
func (u *upstream) reach(st *state) *leg {
	l := &leg{u: u}
	if l.open(u.ctx, st) != nil {
		return nil
	}
	return l
}

// reachAny waits for a core.
func (u *upstream) reachAny() *leg {
	l := &leg{u: u}
	l.last.Store(u.f.now())
	tcp, t, err := u.f.dial(u.ctx, l, anyCore)
	if err != nil || l.connected(tcp, t) != nil {
		return nil
	}
	return l
}
