package lab

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"os"
	"time"
)

// Network is how the way between clients and a server treats connections. The zero value does
// nothing to them. Bytes are counted as they are on the wire, those that come from the server.
type Network struct {
	// RTT is the round trip, and Jitter how much longer one may take; order is kept.
	RTT, Jitter time.Duration
	// Loss is the share of pieces, from 0 to 1, that are lost and come a round trip and 200 ms
	// later, as TCP sends them again. What follows them waits.
	Loss float64
	// Curtain lets so many bytes of each connection through and then nothing, in neither direction.
	Curtain int64
	// Rate is how many bytes a second of each connection come through.
	Rate int
	// ResetAfter resets each connection after so many bytes.
	ResetAfter int64
	// Unanswered is the share of new connections, from 0 to 1, of which nothing comes through.
	Unanswered float64
}

// shapes reports whether bytes have to be looked at.
func (n Network) shapes() bool { return n != Network{} }

const (
	// flight is how many pieces may be under way in one direction of a connection.
	flight = 64
	// pace is how often a piece comes through if there is a Rate.
	pace = 50 * time.Millisecond
)

// errReset ends a connection on purpose.
var errReset = errors.New("reset by the network")

// piece is a part of a stream that is under way.
type piece struct {
	data []byte
	at   time.Time // when it arrives
}

// shaped moves bytes from one side of a pair to the other as the state's network says, until the
// sender is done, which is no error, or something ends it. The end of from's read deadline means
// that the state has changed.
func (g *gate) shaped(p *pair, to, from *net.TCPConn, state gateState) error {
	net, down := state.network, from == p.server
	ctx, cancel := context.WithCancel(g.ctx)
	defer cancel()
	way := make(chan piece, flight)
	delivered := make(chan error, 1)
	go func() { delivered <- deliver(ctx, to, way) }()
	var last time.Time // when the last piece arrives
	read := func() error {
		defer close(way)
		size := 32 << 10
		if down && net.Rate > 0 {
			size = max(1, net.Rate*int(pace)/int(time.Second))
		}
		for {
			if held(p, net) {
				select {
				case <-state.changed:
					return os.ErrDeadlineExceeded
				case <-ctx.Done():
					return ctx.Err()
				}
			}
			data := make([]byte, size)
			n, err := from.Read(data)
			if n > 0 {
				at := time.Now().Add(net.RTT / 2)
				if net.Jitter > 0 {
					at = at.Add(rand.N(net.Jitter / 2))
				}
				if rand.Float64() < net.Loss {
					at = at.Add(net.RTT + 200*time.Millisecond)
				}
				if !down && p.begun.CompareAndSwap(false, true) {
					at = at.Add(net.RTT) // which it took to connect
				}
				if down && net.Rate > 0 && !last.IsZero() {
					at = later(at, last.Add(time.Duration(n)*time.Second/time.Duration(net.Rate)))
				}
				last = later(at, last)
				passes := int64(n)
				if down {
					passes = p.pass(int64(n), net)
					p.rest = data[passes:n] // it comes when the network is mended
				}
				select {
				case way <- piece{data[:passes], last}:
				case <-ctx.Done():
					return ctx.Err()
				}
				if down && net.ResetAfter > 0 && p.down.Load() >= net.ResetAfter {
					return errReset
				}
			}
			if err != nil {
				return err
			}
		}
	}
	err := read()
	if late := <-delivered; late != nil {
		return late
	}
	return err
}

// deliver writes what is under way when its time has come.
func deliver(ctx context.Context, to *net.TCPConn, way <-chan piece) error {
	for p := range way {
		if wait := time.Until(p.at); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if _, err := to.Write(p.data); err != nil {
			return err
		}
	}
	return nil
}

// release sends what was held back before, now that nothing holds it.
func (p *pair) release(n Network) error {
	if len(p.rest) == 0 || held(p, n) {
		return nil
	}
	_, err := p.client.Write(p.rest)
	p.down.Add(int64(len(p.rest)))
	p.rest = nil
	return err
}

// held reports whether nothing moves on a connection any more.
func held(p *pair, n Network) bool {
	return n.Curtain > 0 && p.down.Load() >= n.Curtain || n.Unanswered > 0 && p.unlucky.Load()
}

// pass counts n bytes from the server, and returns how many of them come through.
func (p *pair) pass(n int64, net Network) int64 {
	before := p.down.Load()
	for _, limit := range []int64{net.Curtain, net.ResetAfter} {
		if limit > 0 {
			n = max(0, min(n, limit-before))
		}
	}
	p.down.Add(n)
	return n
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// Network changes how the way to the server treats connections, those that exist included; the
// zero value has it treat them well. It does not mend what else is broken.
func (s *Server) Network(n Network) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate.reshape(n)
	return nil
}
