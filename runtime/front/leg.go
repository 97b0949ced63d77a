package front

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// leg is the way of an upstream through one core. It is in the ledger of that core's target.
type leg struct {
	u      *upstream
	target *target // set before the leg is known to anybody but its dialler
	paid   bool    // a token of the guard was taken for it
	from   *target // the core that had the connection before, and did not answer; nil for the first leg

	tcp     atomic.Pointer[net.TCPConn] // nil until dialled
	aborted atomic.Bool                 // ended from outside, for good
	moved   atomic.Bool                 // ended from outside, and may be replaced
	last    atomic.Int64                // when the core last sent something, or else when the leg began, on the front's clock
	// asked is when the client sent the first of what has not been answered, once the first answer
	// is there; before last: all of it has been.
	asked atomic.Int64

	// Guarded by the mu of u until it is answered.
	head    int   // length of greeting, credentials and request
	written int   // how much of what the client has sent followed
	broken  bool  // a write met with a reset, which the reader then sees as an end; guarded by the mu of u
	bare    bool  // the request went out alone, and the core may not have read what followed; see window
	sentAt  int64 // when the request went out, on the front's clock

	// Of the goroutine that reads.
	reader  *lazyReader
	low     bool // the socket wakes the reader only for an answer
	replied bool
	flow    flow
	partial []byte // the beginning of the core's replies
}

// connected makes the leg ready for use. An abort that came before it had a socket to close takes
// effect now.
func (l *leg) connected(tcp *net.TCPConn, t *target) error {
	r, err := newLazyReader(l.u.f.pools, tcp)
	if err != nil {
		tcp.Close()
		t.ledger.leave(l)
		return err
	}
	l.reader, l.target = r, t
	l.last.Store(l.u.f.now())
	l.tcp.Store(tcp)
	if l.aborted.Load() || l.moved.Load() || l.u.aborted.Load() {
		reset(tcp)
	}
	return nil
}

// send needs the mu of u. It writes greeting, request and what is kept at once. An error does not
// matter: the reader sees the same end.
func (l *leg) send() {
	u, t, tcp := l.u, l.target, l.tcp.Load()
	l.low = true
	expectReplies(tcp, t.auth)
	b := u.f.pools.get(len(t.opening) + 3 + len(u.dest) + len(u.kept.sent))
	msg := socks5.AppendRequest(append(b.b[:0], t.opening...), socks5.CommandConnect, u.dest)
	l.head, l.bare = len(msg), len(u.kept.sent) == 0
	msg = append(msg, u.kept.sent...)
	tcp.Write(msg)
	b.release()
	l.written = len(u.kept.sent)
	l.sentAt = u.f.now()
	t.ledger.countUp(len(u.kept.sent))
	if u.upEnded {
		tcp.CloseWrite()
	}
}

// write sends p, and counts what has gone out.
func (l *leg) write(p []byte) (int, error) {
	n, err := l.tcp.Load().Write(p)
	l.target.ledger.countUp(n)
	return n, err
}

// countDown counts n bytes of an answer.
func (l *leg) countDown(n int) {
	l.target.ledger.countDown(n)
	l.last.Store(l.u.f.now())
}

// countBulk counts n bytes of an answer that nobody has seen.
func (l *leg) countBulk(n int) {
	l.countDown(n)
	l.flow.framing.skip(n)
}

// lastAsked is when there was last something for the core to answer to: the client's bytes, or else
// the request.
func (l *leg) lastAsked() int64 { return max(l.u.lastSent.Load(), l.sentAt) }

// result is await, as one value.
func (l *leg) result() result {
	b, answer, err := l.await()
	return result{leg: l, b: b, answer: answer, err: err}
}

// await waits for the first answer bytes and returns them in a buffer that the caller releases. It
// may be called again after os.ErrDeadlineExceeded.
func (l *leg) await() (*buffer, []byte, error) {
	for {
		b, n, err := l.reader.read(smallBuffer)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			// The socket may hold replies that were not worth a wake-up.
			l.tcp.Load().SetReadDeadline(noDeadline)
			if b, n = l.reader.poll(); b == nil {
				return nil, nil, err
			}
			if b, answer, perr := l.parse(b, n); b != nil || perr != nil {
				return b, answer, perr
			}
			return nil, nil, err
		}
		if err != nil {
			return nil, nil, err
		}
		if b, answer, err := l.parse(b, n); b != nil || err != nil {
			return b, answer, err
		}
	}
}

// parse takes n bytes from the core in b. It returns what is answer in them; without any it
// releases b and returns nil.
func (l *leg) parse(b *buffer, n int) (*buffer, []byte, error) {
	if l.low {
		l.low = false
		expectAny(l.tcp.Load()) // what the wait was set up for has begun to be taken away
	}
	l.last.Store(l.u.f.now())
	got := b.b[:n]
	if !l.replied {
		if len(l.partial) > 0 {
			got = append(l.partial, got...)
		}
		_, n, err := socks5.CutReplies(got, l.target.auth)
		if errors.Is(err, socks5.ErrShort) {
			l.partial = append([]byte(nil), got...)
			b.release()
			return nil, nil, nil
		}
		if err != nil {
			b.release()
			return nil, nil, replyError{err}
		}
		l.replied, l.partial = true, nil
		got = got[n:]
	}
	if len(got) == 0 {
		b.release()
		return nil, nil, nil
	}
	return b, got, nil
}

// replyError wraps a reply that came and was not a success; the core is there, another try would
// not help.
type replyError struct{ error }

func (e replyError) Unwrap() error { return e.error }

func isReplyError(err error) bool {
	var e replyError
	return errors.As(err, &e)
}

func (l *leg) hangs(h Hanging, now int64) bool {
	last, due := l.last.Load(), l.flow.since.Load()
	silent := time.Duration(now - last)
	waits := l.asked.Load() > last || due != 0
	if l.u.won.Load() == nil { // what has come is at most the core's own reply
		waits = l.u.lastSent.Load() != 0
	}
	return h.Silent > 0 && silent >= h.Silent ||
		h.Waiting > 0 && waits && silent >= h.Waiting ||
		h.Strangled && (l.flow.stalled.Load() || l.flow.starved.Load())
}

func (l *leg) door(t *target) string { return t.address }

// abort resets the connection; whoever uses it sees an error and ends.
func (l *leg) abort() {
	l.aborted.Store(true)
	l.reset()
}

// cut is abort, except that without an answer the reader moves the connection, if what was sent may
// be sent twice: the core may have replied, and passed it on, without the reader's knowledge.
func (l *leg) cut() {
	l.moved.Store(true)
	l.reset()
}

func (l *leg) reset() {
	if tcp := l.tcp.Load(); tcp != nil {
		reset(tcp)
	}
}

// dropped reports whether the end of the leg came from outside and says nothing about its core.
func (l *leg) dropped() bool { return l.aborted.Load() || l.moved.Load() || l.u.aborted.Load() }

// reset closes c with a RST instead of a FIN.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

// open dials the core of st and sends it all that u has sent so far. ctx ends the dial.
func (l *leg) open(ctx context.Context, st *state) error {
	u := l.u
	dialling, done := context.WithCancel(st.ctx)
	defer done()
	defer context.AfterFunc(ctx, done)()
	l.last.Store(u.f.now())
	tcp, err := u.f.dialState(dialling, st, l, true)
	if err != nil {
		return err
	}
	return l.connected(tcp, st.target)
}
