package front

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/xrat-tray/xrat/runtime/mark"
	"github.com/xrat-tray/xrat/runtime/socks5"
)

var noDeadline time.Time

// upstream is one connection to a destination. Until the first answer byte it keeps what was sent,
// may have more than one leg and can move to another core; from then on it is bound to the leg that
// has answered.
//
// One goroutine may read while another writes. Reading begins with the first of the rescuer, and
// goes on with next.
type upstream struct {
	f    *Front
	ctx  context.Context // bounds the waiting for a core
	dest socks5.Address
	// tunnel: the client's own first bytes come here, which may be known.
	tunnel bool
	// hedged: whoever uses the upstream deals with the silence of cores, and knows how soon they
	// answer.
	hedged bool

	aborted   atomic.Bool
	downEnded atomic.Bool         // the destination has ended its direction; for the relay
	won       atomic.Pointer[leg] // the leg that has answered. It is set under mu, and final.
	lastSent  atomic.Int64        // when the client's last bytes went out, on the front's clock; 0: none yet
	one       leg                 // the first leg; most have no other
	legs      legs

	mu      sync.Mutex // guards the rest until answered, and every write until then
	kept    kept
	upEnded bool // CloseWrite was called
	armed   bool // somebody watches over the silence

	rescuer rescuer
}

// legs are those of an upstream that have been sent the request and have not ended. They change
// under the mu of the upstream and their own, and may be read under either. Their own is never held
// for long.
type legs struct {
	mu     sync.Mutex
	all    []*leg
	cancel func() // ends what a race is about to open; nil: no race
}

// connect reaches a core, waiting for one if need be, and sends it the request for dest and the
// client's first bytes, in one write: early, or else what client has to offer when the core has
// been reached. Both may be nil. The error is errNoCore or that of ctx, which bounds the waiting of
// connect and of later replays.
func (f *Front) connect(ctx context.Context, dest socks5.Address, early []byte, client *lazyReader) (*upstream, error) {
	u := &upstream{f: f, ctx: ctx, dest: dest, tunnel: true}
	if err := u.connect(early, client, nil); err != nil {
		return nil, err
	}
	return u, nil
}

// connect is the connect of the front for an upstream that is otherwise ready. via is the state
// through whose core it should go if that takes connections; nil: none.
func (u *upstream) connect(early []byte, client *lazyReader, via *state) error {
	l := &u.one
	l.u, u.rescuer.u = u, u
	l.last.Store(u.f.now())
	tcp, t, err := u.dial(early, via)
	if err != nil {
		return err
	}
	if err := l.connected(tcp, t); err != nil {
		return err
	}
	u.rescuer.tried = append(u.rescuer.tried, t)
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(early) == 0 && client != nil {
		if b, n := client.poll(); n > 0 {
			defer b.release()
			early = b.b[:n]
		}
	}
	if !u.keep(early) {
		l.reset()
		t.ledger.leave(l)
		return errReturned
	}
	if len(early) > 0 {
		u.lastSent.Store(u.f.now())
	}
	u.add(l)
	return nil
}

// keep needs mu. It keeps p to be sent, and reports false if that must not be: with the same first
// bytes the client has come again and again, so that it is the core that brings them back.
func (u *upstream) keep(p []byte) bool {
	if u.tunnel && u.kept.nothing() && u.f.returned(mark.Of(p)) {
		return false
	}
	u.kept.add(p, u.f.pools)
	return true
}

// dial reaches the core of the first leg.
func (u *upstream) dial(early []byte, via *state) (*net.TCPConn, *target, error) {
	f := u.f
	if via != nil {
		if tcp, err := f.dialState(via.ctx, via, &u.one, true); err == nil {
			return tcp, via.target, nil
		}
	}
	r := anyCore
	if f.guard.suspect.Load() != nil && len(early) > 0 && mayRepeat(early) && f.guard.tryTarget(f.now()) {
		r = targetFirst
	}
	return f.dial(u.ctx, &u.one, r)
}

// add needs mu. It sends what was sent so far over l as well.
func (u *upstream) add(l *leg) {
	u.legs.mu.Lock()
	u.legs.all = append(u.legs.all, l)
	u.legs.mu.Unlock()
	if u.aborted.Load() {
		l.reset()
	}
	l.send()
	u.watch(l)
	if l.from != nil {
		l.target.ledger.replayed.Add(1)
	}
}

// remove needs mu. It ends l.
func (u *upstream) remove(l *leg) {
	u.legs.mu.Lock()
	if i := slices.Index(u.legs.all, l); i >= 0 {
		u.legs.all = slices.Delete(u.legs.all, i, i+1)
	}
	u.legs.mu.Unlock()
	l.reset()
	l.target.ledger.leave(l)
}

// watch needs mu. It wakes the reader when the core has been silent for too long, unless it is
// awake already.
func (u *upstream) watch(l *leg) {
	if u.armed || u.hedged || u.kept.nothing() {
		return
	}
	u.armed = true
	l.tcp.Load().SetReadDeadline(time.Now().Add(u.f.guard.limit(l.target.ledger)))
}

// mayRepeat reports whether all that was sent may be sent again. A writer that is stuck has sent
// too much.
func (u *upstream) mayRepeat() bool {
	if !u.mu.TryLock() {
		return false
	}
	defer u.mu.Unlock()
	return u.kept.mayRepeat()
}

// Write sends p to the core that has the connection.
func (u *upstream) Write(p []byte) (int, error) {
	for n := 0; ; {
		if l := u.won.Load(); l != nil {
			l.asks()
			m, err := l.write(p[n:])
			return n + m, err
		}
		m, full, err := u.writeUnanswered(p[n:])
		if n += m; err == nil && full != nil {
			err = full.awaitRead()
		}
		if err != nil || n == len(p) {
			return n, err
		}
	}
}

// writeUnanswered sends as much of p as the cores take at this moment. full is the leg that takes
// no more. Once there is an answer it does nothing.
func (u *upstream) writeUnanswered(p []byte) (n int, full *leg, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.won.Load() != nil {
		return 0, nil, nil
	}
	for _, l := range u.legs.all {
		if window := l.window(); window < len(p) {
			p, full = p[:window], l
		}
	}
	if len(p) > 0 {
		if !u.keep(p) {
			return 0, nil, errReturned
		}
		u.lastSent.Store(u.f.now())
		if len(u.legs.all) > 1 && !u.kept.mayRepeat() {
			u.commit()
		}
		for _, l := range u.legs.all {
			// The reader sees the end as well, and knows what to do; but a reset is told only once.
			if _, err := l.write(p); errors.Is(err, syscall.ECONNRESET) {
				l.broken = true
			}
			l.written += len(p)
			u.watch(l)
		}
	}
	if u.aborted.Load() {
		return 0, nil, net.ErrClosed
	}
	return len(p), full, nil
}

// commit needs mu. What comes next must not be sent twice: it goes to the newest leg, and the
// others end.
func (u *upstream) commit() {
	for _, l := range slices.Clone(u.legs.all[:len(u.legs.all)-1]) {
		l.abort()
		u.remove(l)
	}
}

// CloseWrite passes on that the client sends no more.
func (u *upstream) CloseWrite() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.upEnded = true
	for _, l := range u.legs.all {
		l.tcp.Load().CloseWrite()
	}
	return nil
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
	u.kept.release()
	if len(u.legs.all) == 1 && u.legs.all[0] == l {
		return
	}
	u.legs.mu.Lock()
	others := u.legs.all
	u.legs.all = []*leg{l}
	u.legs.mu.Unlock()
	for _, other := range others {
		if other != l {
			other.abort()
			other.target.ledger.leave(other)
		}
	}
}

// next returns what comes after the first answer, in a buffer that the caller releases.
func (u *upstream) next(size int) (*buffer, []byte, error) {
	l := u.won.Load()
	l.awaits()
	b, n, err := l.reader.read(size)
	if err != nil {
		l.ended()
		u.noteBroken(err)
		return nil, nil, err
	}
	l.heardOf(b.b[:n])
	return b, b.b[:n], nil
}

// noteBroken reports an established connection that ended with anything but an end.
func (u *upstream) noteBroken(err error) {
	l := u.won.Load()
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !l.dropped() {
		u.f.signal(l.target.id, CoreGone)
	}
}

// hasEnded reports whether the destination has ended its direction, when a write failed with err.
// The reading goroutine may not have come that far yet; the kernel reports a connection that was
// reset after its end as EPIPE, and without one as a reset.
func (u *upstream) hasEnded(err error) bool {
	return u.downEnded.Load() || errors.Is(err, syscall.EPIPE)
}

// pause waits, and fails if u ends meanwhile.
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

// Close ends the connection in both directions and leaves the ledgers. It must not be called while
// connect runs.
func (u *upstream) Close() error {
	u.end((*net.TCPConn).Close)
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end((*net.TCPConn).Close) // a replay may have put another one there
	for _, l := range u.legs.all {
		l.target.ledger.leave(l)
	}
	u.kept.release()
	return nil
}

// abort resets the connection; whoever uses it sees an error and ends.
func (u *upstream) abort() {
	u.end(func(c *net.TCPConn) error {
		reset(c)
		return nil
	})
}

func (u *upstream) end(how func(*net.TCPConn) error) {
	u.aborted.Store(true)
	u.legs.mu.Lock()
	defer u.legs.mu.Unlock()
	for _, l := range u.legs.all {
		how(l.tcp.Load())
	}
	if u.legs.cancel != nil {
		u.legs.cancel()
	}
}
