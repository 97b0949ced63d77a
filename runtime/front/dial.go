package front

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/xrat-tray/xrat/runtime/descriptors"
)

// errNoCore is the end of the wait for a usable core.
var errNoCore = errors.New("no working server")

// errReplaced says that a state is no longer the current one.
var errReplaced = errors.New("the core was replaced")

// retryDelays are the pauses between dials of a target that refuses. The last one repeats. A core
// that was restarted in place is back after about 15 ms.
var retryDelays = []time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
}

const (
	// restartTime is how long the standby is held back when the target is gone: a core that was
	// restarted in place keeps the user's server.
	restartTime = 60 * time.Millisecond
	// promptDial bounds the dial of a core while there is another one. Loopback takes less than a
	// millisecond.
	promptDial = 250 * time.Millisecond
)

// A route says which cores a dial may use.
type route int

const (
	anyCore     route = iota // the target; the standby while the target is gone or under suspicion
	targetFirst              // the same without the suspicion
	targetOnly
)

// dial connects to a core on behalf of u and enters u in its ledger. It waits for a core up to
// Options.Wait. The error is errNoCore or that of ctx; u is in no ledger then.
func (f *Front) dial(ctx context.Context, u user, r route) (*net.TCPConn, *target, error) {
	if r == anyCore {
		if st := f.standIn(); st != nil {
			if conn, err := f.dialState(st.ctx, st, u, false); err == nil {
				return conn, st.target, nil
			}
			f.guard.acquit()
		}
	}
	if f.guard.off() {
		r = targetOnly
	}
	w := coreWait{f: f}
	defer w.over()
	for {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		st, standby := f.state.Load(), f.standby.Load()
		spare := r != targetOnly && standby.target != nil // the standby may be used
		var again, held <-chan time.Time
		if st.target != nil {
			conn, err := f.dialState(st.ctx, st, u, spare)
			if err == nil {
				return conn, w.reached(st.target), nil
			}
			if errors.Is(err, errReplaced) {
				continue
			}
			again = w.retry()
		}
		if spare {
			if left := restartTime - f.goneFor(st); left > 0 {
				held = time.After(left)
			} else if conn, err := f.dialState(standby.ctx, standby, u, false); err == nil {
				return conn, w.reached(standby.target), nil
			} else if again == nil {
				again = w.retry()
			}
		}
		if err := w.wait(ctx, st, standby, again, held); err != nil {
			return nil, nil, err
		}
	}
}

// coreWait is the wait of one dial for a core that takes connections.
type coreWait struct {
	f     *Front
	timer *time.Timer // bounds it; nil: it has not begun
	tries int         // that the current target has refused
}

// wait waits until there is something new to try: another state, or a moment of again or held.
func (w *coreWait) wait(ctx context.Context, st, standby *state, again, held <-chan time.Time) error {
	if w.timer == nil {
		w.timer = time.NewTimer(w.f.wait())
		w.f.waiting.Add(1)
	}
	select {
	case <-st.ctx.Done():
		if w.f.state.Load().target != st.target {
			w.tries = 0
		}
	case <-standby.ctx.Done():
	case <-again:
	case <-held:
	case <-w.timer.C:
		w.f.waitedInVain.Add(1)
		return errNoCore
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// retry returns when to dial again after a refusal.
func (w *coreWait) retry() <-chan time.Time {
	w.tries++
	return time.After(retryDelays[min(w.tries, len(retryDelays))-1])
}

// reached notes that t has taken the connection.
func (w *coreWait) reached(t *target) *target {
	if w.timer != nil {
		t.ledger.waited.Add(1)
	}
	return t
}

func (w *coreWait) over() {
	if w.timer != nil {
		w.timer.Stop()
		w.f.waiting.Add(-1)
	}
}

// dialState connects to the core of st on behalf of u, and enters u in its ledger. It fails with
// errReplaced when st is neither the target nor the standby any more. ctx, which ends with that of
// st, bounds the dial; prompt does so closely.
func (f *Front) dialState(ctx context.Context, st *state, u user, prompt bool) (*net.TCPConn, error) {
	t := st.target
	// Enter first, then make sure that the target is still in use: either Drain finds u in the
	// ledger, or the swap before that Drain is seen here.
	t.ledger.enter(u)
	if f.state.Load() != st && f.standby.Load() != st {
		t.ledger.leave(u)
		return nil, errReplaced
	}
	// Not DialTCP: its empty local address costs a bind.
	dialer := f.dialer
	dialer.Timeout = max(f.wait(), time.Second)
	if prompt {
		dialer.Timeout = promptDial
	}
	conn, err := dialer.DialContext(ctx, "tcp", u.door(t))
	if err == nil {
		t.ledger.connections.Add(1)
		if t.gone.Load() != 0 {
			t.gone.Store(0)
		}
		return conn.(*net.TCPConn), nil
	}
	t.ledger.leave(u)
	if st.ctx.Err() != nil {
		return nil, errReplaced
	}
	if !errors.Is(err, context.Canceled) && !descriptors.Exhausted(err) { // for that no core is to blame
		f.signal(t.id, DialRefused)
		t.gone.CompareAndSwap(0, f.now())
	}
	return nil, err
}
