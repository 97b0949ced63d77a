package front

import (
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"time"

	"github.com/xrat-tray/xrat/runtime/mark"
)

const (
	// maxReplays is how often one connection is sent again because cores ended it before their
	// reply.
	maxReplays = 5
	// replayPause lies between them, times the number of the try; a dying core needs a moment to
	// stop taking connections.
	replayPause = 10 * time.Millisecond
)

// errNoCoreReply is the end of a connection that no core answered with the reply of SOCKS.
var errNoCoreReply = errors.New("the core closed the connection without a reply")

// replace moves the upstream to another core after one has ended the connection with err and
// without an answer. It returns the leg over the new one; or nil, and with what error the upstream
// ends.
func (r *rescuer) replace(l *leg, err error) (*leg, error) {
	u := r.u
	u.mu.Lock()
	defer u.mu.Unlock()
	if l.broken && errors.Is(err, io.EOF) {
		err = syscall.ECONNRESET
	}
	r.noteEnd(l, err)
	if u.aborted.Load() || l.aborted.Load() || isReplyError(err) {
		return nil, err
	}
	var next *leg
	if l.replied || l.moved.Load() {
		next = r.moveAnswerless(l)
	} else if next = r.moveUntouched(); next == nil {
		err = errNoCoreReply
	}
	if next == nil {
		if r.rescues > 0 && r.atFault() {
			u.f.guard.lostEmpty(string(u.dest), u.f.now())
		}
		u.f.log.Debug().Err(err).Int64("session_id", l.target.id).Bool("replied", l.replied).Bool("cut", l.moved.Load()).
			Int("sent", len(u.kept.sent)).Bool("safe", u.kept.mayRepeat()).Int("cores", len(r.tried)).Int("rescues", r.rescues).
			Float64("tokens", u.f.guard.left()).Msg("a connection ends without an answer")
		return nil, err
	}
	if next.target != l.target {
		next.from = l.target
	}
	u.remove(l)
	u.armed = false
	r.tried = append(r.tried, next.target)
	u.add(next)
	return next, nil
}

// moveUntouched needs mu. It reaches another core after one has died before its reply. A core
// replies before it passes anything on, so nothing has reached the destination, and the whole can
// be sent again, whatever it is.
func (r *rescuer) moveUntouched() *leg {
	u := r.u
	if u.kept.lost || r.replays >= maxReplays {
		return nil
	}
	r.replays++
	if u.pause(time.Duration(r.replays)*replayPause) != nil {
		return nil
	}
	if r.replays > 1 {
		if st := u.f.other(r.tried); st != nil {
			if next := r.reach(st); next != nil {
				return next
			}
		}
	}
	return r.reachAny()
}

// moveAnswerless needs mu. It reaches another core after one has ended the connection although it
// had replied. What was sent may have reached the destination.
func (r *rescuer) moveAnswerless(l *leg) *leg {
	u, f, g := r.u, r.u.f, r.u.f.guard
	nothing := len(u.kept.sent) == 0
	if g.off() || !u.kept.mayRepeat() || u.upEnded && nothing {
		return nil
	}
	replaced := func() bool {
		current := f.state.Load().target
		return r.replays < maxReplays && current != l.target && !slices.Contains(r.tried, current)
	}
	follow := func() *leg { // going there is no rescue and costs no token
		r.replays++
		return r.reachAny()
	}
	if replaced() {
		return follow()
	}
	if r.rescues < maxRescues && !f.takes(l.target) {
		r.rescues++
		return r.reachAny()
	}
	// The core is there. Perhaps its server is not, or the destination has nothing to say.
	if g.recall(string(u.dest), f.now()).empty {
		return nil
	}
	for end := time.Now().Add(max(f.wait(), g.ceiling())); ; {
		if replaced() {
			return follow()
		}
		st := f.other(r.tried)
		if st != nil && r.rescues < maxRescues && g.take(f.now()) {
			if next := r.reachPaid(st); next != nil {
				return next
			}
		}
		// Where nobody who came later was answered either, it is the servers: the daemon is about
		// to find another. What goes round in a loop must end at once.
		spent := st == nil || r.rescues >= maxRescues
		if spent && r.atFault() || f.marks.Again(mark.Of(u.kept.sent)) {
			return nil
		}
		if time.Now().After(end) || u.pause(guardPause) != nil {
			return nil
		}
	}
}

// takes reports whether the core still takes connections.
func (f *Front) takes(t *target) bool {
	dialer := f.dialer
	dialer.Timeout = promptDial
	c, err := dialer.Dial("tcp", t.address)
	if err != nil {
		return false
	}
	reset(c.(*net.TCPConn))
	return true
}

// reachPaid reaches the core of st for a token that was taken. If that fails it gives the token
// back, and counts no rescue: on a busy machine also a core that is well can miss the time for a
// dial.
func (r *rescuer) reachPaid(st *state) *leg {
	next := r.reach(st)
	if next == nil {
		r.u.f.guard.giveBack()
		return nil
	}
	r.rescues++
	next.paid = true
	return next
}

// reach dials the core of st, and returns nil if that fails.
func (r *rescuer) reach(st *state) *leg {
	l := &leg{u: r.u}
	if l.open(r.u.ctx, st) != nil {
		return nil
	}
	return l
}

// reachAny waits for a core.
func (r *rescuer) reachAny() *leg {
	l := &leg{u: r.u}
	l.last.Store(r.u.f.now())
	tcp, t, err := r.u.f.dial(r.u.ctx, l, anyCore)
	if err != nil || l.connected(tcp, t) != nil {
		return nil
	}
	return l
}
