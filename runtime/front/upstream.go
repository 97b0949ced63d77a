package front

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
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

// upstream is one connection to a destination through a core. Until the first answer byte it knows the destination and
// keeps what was sent, and can move to another core; from then on it is bound to its TCP connection.
//
// One goroutine may read while another writes. As a net.Conn it serves plain HTTP; a tunnel uses first and next in the place of Read.
type upstream struct {
	f    *Front
	ctx  context.Context
	stop context.CancelFunc // ends ctx at Close; nil where the owner of ctx does
	dest address

	aborted atomic.Bool
	tcp     atomic.Pointer[net.TCPConn] // never nil after connect; final once answered
	// answered is set at the first answer byte. It is written under mu.
	answered atomic.Bool
	finished atomic.Bool // the destination has ended its direction; for the tunnel

	mu      sync.Mutex // guards the rest until answered, and every write until then
	target  *target    // changed by connect and by the reading goroutine only
	sent    []byte     // what was written so far, in held
	held    *buffer
	lost    bool // more was written than is kept: no replay
	ended   bool // CloseWrite was called
	replays int

	// Of the reading goroutine alone.
	reader  *lazyReader
	replied bool
	partial []byte  // the beginning of the core's replies
	rest    *buffer // answer bytes that Read has not delivered yet
	unread  []byte
}

// connect reaches a core, waiting for one if need be, and sends it the request for dest and the client's first bytes, in
// one write: early, or else what client has to offer when the core has been reached. Both may be nil. The error is errNoCore
// or that of ctx, which bounds the waiting of connect and of later replays.
func (f *Front) connect(ctx context.Context, dest address, early []byte, client *lazyReader) (*upstream, error) {
	u := &upstream{f: f, ctx: ctx, dest: dest}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.keep(early)
	if err := u.dial(early, client); err != nil {
		u.drop()
		return nil, err
	}
	return u, nil
}

// dial needs mu. It connects to the current core and sends the request with early. A core that dies under the first write
// has not acted on it, so that the next try is safe.
func (u *upstream) dial(early []byte, client *lazyReader) error {
	for {
		tcp, t, err := u.f.dial(u.ctx, u)
		if err != nil {
			return err
		}
		if old := u.tcp.Swap(tcp); old != nil {
			old.Close()
		}
		u.target = t
		if u.aborted.Load() {
			tcp.Close()
			t.session.leave(u)
			return net.ErrClosed
		}
		expectReplies(tcp, t.auth)
		if len(early) == 0 && client != nil {
			if b, n := client.poll(); n > 0 {
				defer b.release()
				early = b.b[:n]
				u.keep(early)
			}
		}
		if err = u.request(tcp, t, early); err == nil {
			if u.ended {
				tcp.CloseWrite()
			}
			return nil
		}
		tcp.Close()
		t.session.leave(u)
		if !u.mayReplay() {
			return err
		}
		u.f.signal(t.id, CoreGone)
		if err := u.pause(); err != nil {
			return err
		}
	}
}

// request writes greeting, request and early at once.
func (u *upstream) request(tcp *net.TCPConn, t *target, early []byte) error {
	b := u.f.pools.get(len(t.greeting) + 3 + len(u.dest) + len(early))
	defer b.release()
	msg := append(b.b[:0], t.greeting...)
	msg = append(msg, socks5, commandConnect, 0)
	msg = append(msg, u.dest...)
	room := min(len(early), cap(msg)-len(msg))
	msg = append(msg, early[:room]...)
	_, err := tcp.Write(msg)
	if err == nil && room < len(early) {
		_, err = tcp.Write(early[room:])
	}
	t.session.up.Add(uint64(len(early)))
	return err
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

// mayReplay needs mu. It tells whether the whole conversation so far may be sent to another core: only while the core has
// not replied. It replies before it passes anything on, so nothing has reached the destination.
func (u *upstream) mayReplay() bool {
	return !u.lost && u.replays < maxReplays && !u.aborted.Load()
}

func (u *upstream) pause() error {
	u.replays++
	select {
	case <-time.After(time.Duration(u.replays) * replayPause):
		return nil
	case <-u.ctx.Done():
		return u.ctx.Err()
	}
}

// replay moves u to another core after one ended the connection without a reply. Only the reading goroutine may call it.
func (u *upstream) replay() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.target.session.leave(u)
	u.f.signal(u.target.id, CoreGone)
	if !u.mayReplay() {
		return errNoCoreReply
	}
	if err := u.pause(); err != nil {
		return err
	}
	return u.dial(u.sent, nil)
}

// Write sends p to the core that has the connection.
func (u *upstream) Write(p []byte) (int, error) {
	if u.answered.Load() {
		n, err := u.tcp.Load().Write(p)
		u.target.session.up.Add(uint64(n))
		return n, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.answered.Load() {
		u.keep(p)
	}
	n, err := u.tcp.Load().Write(p)
	u.target.session.up.Add(uint64(n))
	if err != nil && !u.answered.Load() && !u.aborted.Load() {
		// The reader sees the same end and knows whether the core had replied. It moves u, or ends it.
		return len(p), nil
	}
	return n, err
}

// CloseWrite passes on that the client sends no more.
func (u *upstream) CloseWrite() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	return u.tcp.Load().CloseWrite()
}

// first waits for the first answer bytes and returns them in a buffer that the caller releases. At an end without an answer
// the error is io.EOF, and otherwise what broke.
func (u *upstream) first() (*buffer, []byte, error) {
	for {
		tcp := u.tcp.Load()
		r, err := newLazyReader(u.f.pools, tcp)
		if err != nil {
			return nil, nil, err
		}
		b, answer, err := u.awaitAnswer(r, tcp)
		if err == nil {
			u.reader = r
			u.settle()
			return b, answer, nil
		}
		if u.replied || u.aborted.Load() || isReplyError(err) {
			u.noteEnd(err)
			return nil, nil, err
		}
		u.partial = nil
		if err := u.replay(); err != nil {
			return nil, nil, err
		}
	}
}

// hasEnded tells whether the destination has ended its direction, when a write failed with err. The reading goroutine may not
// have come that far yet; the kernel reports a connection that was reset after its end as EPIPE, and without one as a reset.
func (u *upstream) hasEnded(err error) bool {
	return u.finished.Load() || errors.Is(err, syscall.EPIPE)
}

// next is first for all that follows the first answer.
func (u *upstream) next(size int) (*buffer, []byte, error) {
	b, n, err := u.reader.read(size)
	if err != nil {
		u.noteBroken(err)
		return nil, nil, err
	}
	return b, b.b[:n], nil
}

// noteBroken reports an established connection that ended with anything but an end.
func (u *upstream) noteBroken(err error) {
	if !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !u.aborted.Load() {
		u.f.signal(u.target.id, CoreGone)
	}
}

func (u *upstream) awaitAnswer(r *lazyReader, tcp *net.TCPConn) (*buffer, []byte, error) {
	for first := true; ; first = false {
		b, n, err := r.read(smallBuffer)
		if err != nil {
			return nil, nil, err
		}
		if first {
			expectAny(tcp) // what the wait was set up for has begun to be taken away
		}
		got := b.b[:n]
		if !u.replied {
			if len(u.partial) > 0 {
				got = append(u.partial, got...)
			}
			_, n, err := cutReplies(got, u.target.auth)
			if errors.Is(err, errShort) {
				u.partial = append([]byte(nil), got...)
				b.release()
				continue
			}
			if err != nil {
				b.release()
				return nil, nil, replyError{err}
			}
			u.replied = true
			got = got[n:]
		}
		if len(got) > 0 {
			return b, got, nil
		}
		b.release()
	}
}

// settle ends the time in which u can move.
func (u *upstream) settle() {
	u.mu.Lock()
	u.answered.Store(true)
	u.drop()
	u.mu.Unlock()
}

// noteEnd reports an end without an answer.
func (u *upstream) noteEnd(err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.aborted.Load() || errors.Is(err, net.ErrClosed):
	case errors.Is(err, io.EOF) && (u.lost || len(u.sent) > 0):
		u.f.signal(u.target.id, ClosedEmpty)
	case !errors.Is(err, io.EOF):
		u.f.signal(u.target.id, CoreGone)
	}
}

// replyError wraps a reply that came and was not a success; the core is there, another try would not help.
type replyError struct{ error }

func (e replyError) Unwrap() error { return e.error }

func isReplyError(err error) bool {
	var e replyError
	return errors.As(err, &e)
}

// Read delivers what the destination answers.
func (u *upstream) Read(p []byte) (int, error) {
	if !u.answered.Load() {
		b, answer, err := u.first()
		if err != nil {
			return 0, err
		}
		u.rest, u.unread = b, answer
		u.target.session.down.Add(uint64(len(answer)))
	}
	if u.rest != nil {
		n := copy(p, u.unread)
		if u.unread = u.unread[n:]; len(u.unread) == 0 {
			u.rest.release()
			u.rest = nil
		}
		return n, nil
	}
	n, err := u.tcp.Load().Read(p)
	u.target.session.down.Add(uint64(n))
	return n, err
}

// Close ends the connection in both directions and leaves the books. It must not be called while connect runs.
func (u *upstream) Close() error {
	u.aborted.Store(true)
	if u.stop != nil {
		u.stop()
	}
	err := u.tcp.Load().Close()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tcp.Load().Close() // a replay may have put another one there
	u.target.session.leave(u)
	u.drop()
	return err
}

// abort resets the connection; whoever uses it sees an error and ends.
func (u *upstream) abort() {
	u.aborted.Store(true)
	if tcp := u.tcp.Load(); tcp != nil {
		reset(tcp)
	}
}

// reset closes c with a RST instead of a FIN.
func reset(c *net.TCPConn) {
	c.SetLinger(0)
	c.Close()
}

func (u *upstream) LocalAddr() net.Addr                { return u.tcp.Load().LocalAddr() }
func (u *upstream) RemoteAddr() net.Addr               { return u.tcp.Load().RemoteAddr() }
func (u *upstream) SetDeadline(t time.Time) error      { return u.tcp.Load().SetDeadline(t) }
func (u *upstream) SetReadDeadline(t time.Time) error  { return u.tcp.Load().SetReadDeadline(t) }
func (u *upstream) SetWriteDeadline(t time.Time) error { return u.tcp.Load().SetWriteDeadline(t) }
