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

	"github.com/xrat-tray/xrat/runtime/socks5"
)

var noDeadline time.Time

// upstream is one connection to a destination. Until the first answer byte it knows the destination and keeps what was sent,
// and can move to another core or try two at a time; from then on it is bound to the leg that has answered.
//
// One goroutine may read while another writes. As a net.Conn it serves plain HTTP; a tunnel uses first and next in the place of Read.
type upstream struct {
	f    *Front
	ctx  context.Context
	stop context.CancelFunc // ends ctx at Close; nil where the owner of ctx does
	dest socks5.Address
	// hedged: whoever uses the upstream deals with the silence of cores, and knows how soon they answer.
	hedged bool

	aborted   atomic.Bool
	downEnded atomic.Bool         // the destination has ended its direction; for the tunnel
	won       atomic.Pointer[leg] // the leg that has answered. It is set under mu, and final.
	lastSent  atomic.Int64        // when the client's last bytes went out, on the front's clock; 0: none yet
	one       leg                 // the first leg; most have no other

	mu      sync.Mutex // guards the rest until answered, and every write until then
	sent    []byte     // what was written so far, in held
	held    *buffer
	lost    bool // more was written than is kept: no replay
	upEnded bool // CloseWrite was called
	armed   bool // somebody watches over the silence

	lm     sync.Mutex // never held for long
	legs   []*leg     // that have been sent the request and have not ended; changed under mu and lm, read under either
	cancel func()     // ends what a race is about to open; nil: no race

	// Of the reading goroutine alone.
	tried   []*target // that have had the connection
	rescues int
	replays int
	warned  bool
	rest    *buffer // answer bytes that Read has not delivered yet
	unread  []byte
}

// connect reaches a core, waiting for one if need be, and sends it the request for dest and the client's first bytes, in
// one write: early, or else what client has to offer when the core has been reached. Both may be nil. The error is errNoCore
// or that of ctx, which bounds the waiting of connect and of later replays.
func (f *Front) connect(ctx context.Context, dest socks5.Address, early []byte, client *lazyReader) (*upstream, error) {
	u := &upstream{f: f, ctx: ctx, dest: dest}
	if err := u.connect(early, client, nil); err != nil {
		return nil, err
	}
	return u, nil
}

// connect is the connect of the front for an upstream that is otherwise ready. via is the standby through which it should go if it
// takes connections; nil: none.
func (u *upstream) connect(early []byte, client *lazyReader, via *state) error {
	f, l := u.f, &u.one
	l.u = u
	l.last.Store(f.now())
	var tcp *net.TCPConn
	var t *target
	err := errReplaced
	if via != nil {
		if tcp, err = f.dialState(via.ctx, via, l, true); err == nil {
			t = via.target
		}
	}
	if err != nil {
		r := anyCore
		if f.guard.suspect.Load() != nil && len(early) > 0 && mayRepeat(early) && f.guard.tryTarget(f.now()) {
			r = targetFirst
		}
		if tcp, t, err = f.dial(u.ctx, l, r); err != nil {
			return err
		}
	}
	if err := l.connected(tcp, t); err != nil {
		return err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.keep(early)
	if len(early) == 0 && client != nil {
		if b, n := client.poll(); n > 0 {
			u.keep(b.b[:n])
			b.release()
		}
	}
	if len(u.sent) > 0 {
		u.lastSent.Store(f.now())
	}
	u.tried = append(u.tried, t)
	u.add(l)
	return nil
}

// add needs mu. It sends what was sent so far over l as well.
func (u *upstream) add(l *leg) {
	u.lm.Lock()
	u.legs = append(u.legs, l)
	u.lm.Unlock()
	if u.aborted.Load() {
		l.reset()
	}
	l.send()
	u.watch(l)
	if l.from != nil {
		l.target.ledger.replayed.Add(1)
	}
}

func (u *upstream) hasTried(t *target) bool { return slices.Contains(u.tried, t) }

// remove needs mu. It ends l.
func (u *upstream) remove(l *leg) {
	u.lm.Lock()
	if i := slices.Index(u.legs, l); i >= 0 {
		u.legs = slices.Delete(u.legs, i, i+1)
	}
	u.lm.Unlock()
	l.reset()
	l.target.ledger.leave(l)
}

// watch needs mu. It wakes the reader when the core has been silent for too long, unless it is awake already.
func (u *upstream) watch(l *leg) {
	if u.armed || u.hedged || len(u.sent) == 0 && !u.lost {
		return
	}
	u.armed = true
	l.tcp.Load().SetReadDeadline(time.Now().Add(u.f.guard.limit(l.target.ledger)))
}

// keep needs mu. It stores what goes out, as long as it fits.
func (u *upstream) keep(p []byte) {
	if len(p) == 0 || u.lost {
		return
	}
	n := len(u.sent) + len(p)
	if n > largeBuffer {
		u.drop()
		u.lost = true
		return
	}
	if u.held == nil || n > len(u.held.b) {
		b := u.f.pools.get(n)
		copy(b.b, u.sent)
		if u.held != nil {
			u.held.release()
		}
		u.held = b
	}
	copy(u.held.b[len(u.sent):], p)
	u.sent = u.held.b[:n]
}

// drop needs mu. It gives the kept bytes back.
func (u *upstream) drop() {
	if u.held != nil {
		u.held.release()
		u.held, u.sent = nil, nil
	}
}

// safe reports whether all that was sent may be sent again. A writer that is stuck has sent too much.
func (u *upstream) safe() bool {
	if !u.mu.TryLock() {
		return false
	}
	defer u.mu.Unlock()
	return !u.lost && mayRepeat(u.sent)
}

// Write sends p to the core that has the connection.
func (u *upstream) Write(p []byte) (int, error) {
	for n := 0; ; {
		if l := u.won.Load(); l != nil {
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

// writeUnanswered sends as much of p as the cores take at this moment. full is the leg that takes no more. Once there is an
// answer it does nothing.
func (u *upstream) writeUnanswered(p []byte) (n int, full *leg, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.won.Load() != nil {
		return 0, nil, nil
	}
	for _, l := range u.legs {
		if window := l.window(); window < len(p) {
			p, full = p[:window], l
		}
	}
	if len(p) > 0 {
		u.keep(p)
		u.lastSent.Store(u.f.now())
		if len(u.legs) > 1 && (u.lost || !mayRepeat(u.sent)) {
			u.commit()
		}
		for _, l := range u.legs {
			n, _ := l.tcp.Load().Write(p) // the reader sees the same end, and knows what to do
			l.written += len(p)
			l.target.ledger.countUp(n)
			u.watch(l)
		}
	}
	if u.aborted.Load() {
		return 0, nil, net.ErrClosed
	}
	return len(p), full, nil
}

func (l *leg) write(p []byte) (int, error) {
	n, err := l.tcp.Load().Write(p)
	l.target.ledger.countUp(n)
	return n, err
}

// commit needs mu. What comes next must not be sent twice: it goes to the newest leg, and the others end.
func (u *upstream) commit() {
	for _, l := range slices.Clone(u.legs[:len(u.legs)-1]) {
		l.abort()
		u.remove(l)
	}
}

// CloseWrite passes on that the client sends no more.
func (u *upstream) CloseWrite() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.upEnded = true
	for _, l := range u.legs {
		l.tcp.Load().CloseWrite()
	}
	return nil
}

// hasEnded reports whether the destination has ended its direction, when a write failed with err. The reading goroutine may not
// have come that far yet; the kernel reports a connection that was reset after its end as EPIPE, and without one as a reset.
func (u *upstream) hasEnded(err error) bool {
	return u.downEnded.Load() || errors.Is(err, syscall.EPIPE)
}

// next is first for all that follows the first answer.
func (u *upstream) next(size int) (*buffer, []byte, error) {
	l := u.won.Load()
	b, n, err := l.reader.read(size)
	if err != nil {
		u.noteBroken(err)
		return nil, nil, err
	}
	l.last.Store(u.f.now())
	return b, b.b[:n], nil
}

// noteBroken reports an established connection that ended with anything but an end.
func (u *upstream) noteBroken(err error) {
	l := u.won.Load()
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !l.dropped() {
		u.f.signal(l.target.id, CoreGone)
	}
}

// down counts n bytes of an answer.
func (l *leg) down(n int) {
	l.target.ledger.countDown(n)
	l.last.Store(l.u.f.now())
}

// Read delivers what the destination answers.
func (u *upstream) Read(p []byte) (int, error) {
	if u.won.Load() == nil {
		b, answer, err := u.first()
		if err != nil {
			return 0, err
		}
		u.rest, u.unread = b, answer
		u.won.Load().down(len(answer))
	}
	if u.rest != nil {
		n := copy(p, u.unread)
		if u.unread = u.unread[n:]; len(u.unread) == 0 {
			u.rest.release()
			u.rest = nil
		}
		return n, nil
	}
	l := u.won.Load()
	n, err := l.tcp.Load().Read(p)
	l.down(n)
	return n, err
}

// Close ends the connection in both directions and leaves the ledgers. It must not be called while connect runs.
func (u *upstream) Close() error {
	u.end((*net.TCPConn).Close)
	if u.stop != nil {
		u.stop()
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.end((*net.TCPConn).Close) // a replay may have put another one there
	for _, l := range u.legs {
		l.target.ledger.leave(l)
	}
	u.drop()
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
	u.lm.Lock()
	defer u.lm.Unlock()
	for _, l := range u.legs {
		how(l.tcp.Load())
	}
	if u.cancel != nil {
		u.cancel()
	}
}

// tcp is the connection that counts at this moment.
func (u *upstream) tcp() *net.TCPConn {
	if l := u.won.Load(); l != nil {
		return l.tcp.Load()
	}
	return u.one.tcp.Load()
}

func (u *upstream) LocalAddr() net.Addr                { return u.tcp().LocalAddr() }
func (u *upstream) RemoteAddr() net.Addr               { return u.tcp().RemoteAddr() }
func (u *upstream) SetDeadline(t time.Time) error      { return u.tcp().SetDeadline(t) }
func (u *upstream) SetReadDeadline(t time.Time) error  { return u.tcp().SetReadDeadline(t) }
func (u *upstream) SetWriteDeadline(t time.Time) error { return u.tcp().SetWriteDeadline(t) }
