package front

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
	"github.com/xrat-tray/xrat/runtime/trojan"
)

const (
	// lateReplies is how long the path over an earlier core stays open after its last datagram.
	lateReplies = 5 * time.Second
	// sendTimeout is how long a datagram waits for a core that does not read. Then it is dropped.
	sendTimeout = 100 * time.Millisecond
	// sendBuffer is how much may lie before a core that does not keep up, in bytes. More would
	// arrive too late to be of use.
	sendBuffer = 128 << 10
)

// association serves one UDP ASSOCIATE. The client keeps its relay address for as long as its TCP
// connection lives; the way to the core changes with the target.
type association struct {
	f      *Front
	ctx    context.Context
	relay  *net.UDPConn
	client *client

	mu      sync.Mutex
	current *path
	paths   map[*path]struct{}
	wg      sync.WaitGroup // the readers of paths

	// Of the goroutine that sends: a wait for a core has failed, and the next datagrams are not
	// worth another one.
	starved bool
}

// path is the way of an association through one core: a stream of packets, which the core takes for
// as long as the stream lives.
type path struct {
	a       *association
	target  *target
	stream  *net.TCPConn
	dead    atomic.Bool
	retired atomic.Bool
	once    sync.Once
	last    atomic.Int64 // when the core last sent something, on the front's clock
}

// serveUDP serves the association until the client closes control.
func (f *Front) serveUDP(ctx context.Context, control *net.TCPConn) {
	defer control.Close()
	f.understand(control)
	local, remote := control.LocalAddr().(*net.TCPAddr).AddrPort(), control.RemoteAddr().(*net.TCPAddr).AddrPort()
	relay, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local.Addr(), 0)))
	if err != nil {
		refuse(control, socks5.AppendReply(nil, socks5.ReplyFailure, netip.AddrPort{}))
		return
	}
	ctx, stop := context.WithCancel(ctx)
	a := &association{f: f, ctx: ctx, relay: relay, client: newClient(relay, remote, local), paths: make(map[*path]struct{})}
	f.mu.Lock()
	f.associations[a] = struct{}{}
	f.mu.Unlock()
	var sender sync.WaitGroup
	sender.Go(a.send)

	bound := relay.LocalAddr().(*net.UDPAddr).AddrPort()
	bound = netip.AddrPortFrom(bound.Addr().Unmap().WithZone(""), bound.Port())
	if _, err := control.Write(socks5.AppendReply(nil, socks5.ReplySucceeded, bound)); err == nil {
		f.awaitEnd(control)
	}

	stop()
	f.mu.Lock()
	delete(f.associations, a)
	f.mu.Unlock()
	relay.Close()
	sender.Wait()
	a.close()
	a.wg.Wait()
}

// awaitEnd reads c until its end, holding no buffer.
func (f *Front) awaitEnd(c *net.TCPConn) {
	r, err := newLazyReader(f.pools, c)
	for err == nil {
		var b *buffer
		if b, _, err = r.read(smallBuffer); err == nil {
			b.release()
		}
	}
}

// send carries datagrams from the client to the core until the relay socket is closed. While there
// is no core it waits, and the queue is the receive buffer of the socket; when the wait has been in
// vain the datagrams are dropped.
func (a *association) send() {
	r, err := newLazyPacketReader(a.f.pools, a.relay)
	if err != nil {
		return
	}
	for {
		b, n, from, err := r.readFrom(largeBuffer)
		if errors.Is(err, net.ErrClosed) || a.ctx.Err() != nil {
			return
		}
		if err != nil {
			continue // an ICMP error about an earlier reply
		}
		a.forward(b.b[:n], from)
		b.release()
	}
}

func (a *association) forward(datagram []byte, from netip.AddrPort) {
	header, err := socks5.CutDatagram(datagram)
	if err != nil || len(datagram)-header > trojan.MaxPayload || !a.client.sent(from) {
		return
	}
	// A path can turn out to be dead with the first datagram; the second one is new.
	for range 2 {
		p, err := a.pathNow()
		if err != nil {
			return
		}
		if err := p.send(datagram[3:header], datagram[header:]); err == nil {
			return
		}
		p.fail()
	}
}

// pathNow returns the path over the current target, making it if it is new.
func (a *association) pathNow() (*path, error) {
	st := a.f.state.Load()
	a.mu.Lock()
	p := a.current
	a.mu.Unlock()
	if p != nil && p.target == st.target && !p.dead.Load() {
		return p, nil
	}
	if st.target == nil && a.starved || st.target != nil && st.target.relay == "" {
		return nil, errNoCore
	}
	deadline := time.Now().Add(a.f.wait())
	for try := 1; ; try++ {
		next, err := a.open()
		if err == nil {
			a.starved = false
			if p != nil {
				p.retire()
			}
			return next, nil
		}
		if a.ctx.Err() != nil || errors.Is(err, errNoCore) || time.Now().After(deadline) {
			a.starved = true
			return nil, err
		}
		select {
		case <-time.After(time.Duration(min(try, 10)) * replayPause):
		case <-a.ctx.Done():
			return nil, a.ctx.Err()
		}
	}
}

// open makes a path through the current core. The core answers nothing to it.
func (a *association) open() (*path, error) {
	p := &path{a: a}
	p.last.Store(a.f.now())
	stream, t, err := a.f.dial(a.ctx, p, targetOnly)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	p.stream, p.target = stream, t
	a.mu.Unlock()
	stream.SetWriteBuffer(sendBuffer)
	reader, err := newLazyReader(a.f.pools, stream)
	if err == nil {
		_, err = stream.Write(t.joining)
	}
	if err != nil {
		stream.Close()
		t.ledger.leave(p)
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.paths[p] = struct{}{}
	a.current = p
	if a.f.state.Load().target != t {
		p.retire() // replaced meanwhile, when retireOld could not find it; p still takes the datagram that waits for it
	}
	if p.dead.Load() { // aborted meanwhile, perhaps before it had a stream to close
		stream.Close()
	}
	a.wg.Go(func() { p.receive(reader) })
	return p, nil
}

// send is for the goroutine of the association that sends. A datagram that the core does not take
// in time is dropped. An error means that the path is of no use any more.
func (p *path) send(dest socks5.Address, payload []byte) error {
	b := p.a.f.pools.get(len(dest) + trojan.Overhead + len(payload))
	defer b.release()
	p.stream.SetWriteDeadline(time.Now().Add(sendTimeout))
	n, err := p.stream.Write(trojan.AppendPacket(b.b[:0], dest, payload))
	if n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		return nil
	}
	if err != nil {
		return err // with a part of the packet gone, the next one would not be understood
	}
	p.target.ledger.up.Add(uint64(len(payload)))
	return nil
}

// receive carries datagrams from the core to the client until the path ends.
func (p *path) receive(r *lazyReader) {
	defer p.fail()
	var partial []byte // the beginning of a packet
	for {
		b, n, err := r.read(largeBuffer)
		if err != nil {
			return
		}
		if p.retired.Load() {
			p.stream.SetReadDeadline(time.Now().Add(lateReplies))
		}
		got := b.b[:n]
		if len(partial) > 0 {
			partial = append(partial, got...)
			got = partial
		}
		rest, err := p.deliver(got)
		partial = append(partial[:0], rest...)
		b.release()
		if err != nil {
			return
		}
	}
}

// deliver passes on the datagrams at the start of b, which it overwrites, and returns what is left:
// the beginning of another one.
func (p *path) deliver(b []byte) (rest []byte, err error) {
	for {
		from, payload, n, err := trojan.CutPacket(b)
		if errors.Is(err, socks5.ErrShort) {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
		// A datagram of SOCKS5 has three zeros, the address and the payload. A packet has the
		// address, four bytes and the payload: room enough to make one of the other in place.
		header := 3 + len(from)
		datagram := b[trojan.Overhead-3 : n]
		copy(datagram[3:header], from)
		clear(datagram[:3])
		if to, ok := p.a.client.address(); ok {
			p.a.relay.WriteToUDPAddrPort(datagram, to)
			p.target.ledger.down.Add(uint64(len(payload)))
		}
		p.last.Store(p.a.f.now())
		b = b[n:]
	}
}

// retire lets the path end when it has been silent for a while.
func (p *path) retire() {
	if p.retired.CompareAndSwap(false, true) {
		p.stream.SetReadDeadline(time.Now().Add(lateReplies))
	}
}

// fail ends the path; the next datagram opens another.
func (p *path) fail() {
	p.once.Do(func() {
		p.dead.Store(true)
		p.stream.Close()
		p.target.ledger.leave(p)
		p.a.mu.Lock()
		delete(p.a.paths, p)
		p.a.mu.Unlock()
	})
}

// hangs goes by silence alone: datagrams need no answer.
func (p *path) hangs(h Hanging, now int64) bool {
	return h.Silent > 0 && time.Duration(now-p.last.Load()) >= h.Silent
}

func (p *path) door(t *target) string { return t.relay }

// cut is abort: the next datagram opens a path over the current target.
func (p *path) cut() { p.abort() }

func (p *path) abort() {
	p.dead.Store(true)
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	if p.stream != nil {
		p.stream.Close()
	}
}

// retireOld retires the paths that do not lead through t.
func (a *association) retireOld(t *target) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for p := range a.paths {
		if p.target != t {
			p.retire()
		}
	}
}

func (a *association) close() {
	a.mu.Lock()
	var all []*path
	for p := range a.paths {
		all = append(all, p)
	}
	a.mu.Unlock()
	for _, p := range all {
		p.fail()
	}
}
