package front

import (
	"errors"
	"io"
	"net"
	"time"
)

// halfClosed bounds the silence of a client whose server has already finished. The core gives such a connection up after
// seconds; without a bound a client that forgets to close would be kept for ever.
const halfClosed = 2 * time.Minute

// tunnel copies between a client and its upstream until both directions have ended, and closes both. An end is passed on
// as an end, a reset as a reset.
func (f *Front) tunnel(client *net.TCPConn, u *upstream) {
	uplink := make(chan struct{})
	go func() {
		defer close(uplink)
		if f.copyUp(client, u) != nil {
			reset(client)
			u.abort()
		}
	}()
	if f.copyDown(client, u) != nil {
		reset(client)
		u.abort()
	}
	<-uplink
	client.Close()
	u.Close()
}

func (f *Front) copyUp(client *net.TCPConn, u *upstream) error {
	r, err := newLazyReader(f.pools, client)
	if err != nil {
		return err
	}
	for size := smallBuffer; ; {
		b, n, err := r.read(size)
		if errors.Is(err, io.EOF) {
			// The core may have ended already; there is nobody left to tell then.
			u.CloseWrite()
			return nil
		}
		if err != nil {
			return err
		}
		_, err = u.Write(b.b[:n])
		b.release()
		if err != nil {
			return err
		}
		if u.finished.Load() {
			client.SetReadDeadline(time.Now().Add(halfClosed))
		}
		size = nextSize(size, n)
	}
}

func (f *Front) copyDown(client *net.TCPConn, u *upstream) error {
	b, answer, err := u.first()
	for size := smallBuffer; ; {
		if errors.Is(err, io.EOF) {
			u.finished.Store(true)
			client.SetReadDeadline(time.Now().Add(halfClosed))
			client.CloseWrite()
			return nil
		}
		if err != nil {
			return err
		}
		var n int
		n, err = client.Write(answer)
		b.release()
		u.target.session.down.Add(uint64(n))
		if err != nil {
			return err
		}
		size = nextSize(size, len(answer))
		b, answer, err = u.next(size)
	}
}

// nextSize grows the buffer of a stream that fills it, and shrinks that of one that has become slow.
func nextSize(size, n int) int {
	switch {
	case n == size:
		return largeBuffer
	case n <= smallBuffer/2:
		return smallBuffer
	}
	return size
}
