package front

import (
	"errors"
	"io"
	"net"
	"os"
	"time"
)

// halfClosed bounds the silence of a client whose server has already finished, and how long it may
// talk to nobody. The core gives such a connection up after seconds; without a bound a client that
// forgets to close would be kept for ever.
const halfClosed = 2 * time.Minute

// tunnel is a client and the upstream to its destination.
type tunnel struct {
	f      *Front
	client *net.TCPConn
	reader *lazyReader // of client
	u      *upstream
}

// relay copies between the two until both directions have ended, and closes both. An end is passed
// on as an end, a reset as a reset. A reset throws away what the client has not fetched yet, so
// there is none once the server has ended: by then the whole answer is in the hands of the kernel,
// which delivers it also after Close.
func (t tunnel) relay() {
	uplink := make(chan struct{})
	go func() {
		defer close(uplink)
		if t.copyUp() != nil {
			t.reset()
		}
	}()
	if t.copyDown(uplink) != nil {
		t.reset()
	}
	<-uplink
	t.client.Close()
	t.u.Close()
}

func (t tunnel) reset() {
	reset(t.client)
	t.u.abort()
}

// copyUp carries the client's bytes until its end, for which it returns nil, or until it has been
// silent for too long after the server's. What the client sends to a server that takes no more is
// dropped.
func (t tunnel) copyUp() error {
	u := t.u
	alive := func() {
		if u.downEnded.Load() {
			t.client.SetReadDeadline(time.Now().Add(t.f.halfClosed))
		}
	}
	size := smallBuffer
	for drop := false; ; {
		b, n, err := t.reader.read(size)
		fromClient := err != nil
		if err == nil {
			if !drop {
				_, err = u.Write(b.b[:n])
				alive()
			}
			b.release()
			if err == nil && !drop && n == largeBuffer {
				if l := u.won.Load(); l != nil {
					fromClient, err = t.f.moveBulk(l.tcp.Load(), t.client, func(n int) {
						l.target.ledger.countUp(n)
						l.asks()
						alive()
					})
				}
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			// The core may have ended already; there is nobody left to tell then.
			if !u.downEnded.Load() {
				u.CloseWrite()
			}
			return nil
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil && !fromClient && u.hasEnded(err):
			drop = true
		case err != nil:
			return err
		}
		size = nextSize(size, n)
	}
}

// copyDown carries the answers until their end, for which it returns nil.
func (t tunnel) copyDown(uplink <-chan struct{}) error {
	u := t.u
	b, answer, err := u.rescuer.first()
	size := smallBuffer
	for {
		if err == nil {
			var n int
			n, err = t.client.Write(answer)
			b.release()
			l := u.won.Load()
			l.target.ledger.countDown(n)
			if err == nil && len(answer) == largeBuffer {
				var fromCore bool
				if fromCore, err = t.f.moveBulk(t.client, l.tcp.Load(), l.countBulk); fromCore {
					u.noteBroken(err)
				}
			}
		}
		if errors.Is(err, io.EOF) {
			u.downEnded.Store(true)
			select {
			case <-uplink: // both have ended; closing says so to the client
			default:
				t.client.SetReadDeadline(time.Now().Add(t.f.halfClosed))
				t.client.CloseWrite()
			}
			return nil
		}
		if err != nil {
			return err
		}
		size = nextSize(size, len(answer))
		b, answer, err = u.next(size)
	}
}

// moveBulk lets the kernel move bytes for as long as they come in quantity. It returns nil when
// copying is better again, and otherwise the end of the source, as io.EOF, or what broke, and
// whether that was the source.
func (f *Front) moveBulk(dst, src *net.TCPConn, count func(n int)) (source bool, err error) {
	m := newMover(f.pipes, dst, src, count)
	if m == nil {
		return false, nil
	}
	for {
		n, source, err := m.move()
		if errors.Is(err, errNoPipe) || err == nil && n <= smallBuffer {
			return false, nil
		}
		if err != nil {
			return source, err
		}
	}
}

// nextSize grows the buffer of a stream that fills it, and shrinks that of one that has become
// slow.
func nextSize(size, n int) int {
	switch {
	case n == size:
		return largeBuffer
	case n <= smallBuffer/2:
		return smallBuffer
	}
	return size
}
