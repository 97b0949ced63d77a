package front

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

const (
	// minAdmission and maxAdmission bound how long the core is given, after it has answered for an
	// association, to let datagrams in (it adds the address to its filter after the answer).
	// Earlier ones are lost. On a busy machine it takes longer, as its answer does: admissionRatio
	// times.
	minAdmission   = 5 * time.Millisecond
	maxAdmission   = 100 * time.Millisecond
	admissionRatio = 10
	// associateTimeout bounds the core's part of the set-up, which takes it well under a
	// millisecond.
	associateTimeout = 3 * time.Second
	// lateReplies is how long the path over an earlier core stays open after its last datagram.
	lateReplies = 5 * time.Second
)

// association serves one UDP ASSOCIATE. The client keeps its relay address for as long as its TCP
// connection lives; the way to the core changes with the target.
type association struct {
	f     *Front
	ctx   context.Context
	relay *net.UDPConn
	// client is the only sender that is listened to: the address of the TCP connection, and the
	// port of the first datagram.
	client netip.Addr
	port   atomic.Uint32

	mu      sync.Mutex
	current *path
	paths   map[*path]struct{}
	wg      sync.WaitGroup // the readers of paths

	// Of the goroutine that sends: a wait for a core has failed, and the next datagrams are not
	// worth another one.
	starved bool
}

// path is the way of an association through one core.
type path struct {
	a       *association
	target  *target
	control *net.TCPConn // the association lives as long as this connection
	udp     *net.UDPConn
	dead    atomic.Bool
	retired atomic.Bool
	once    sync.Once
	last    atomic.Int64 // when the core last sent something, on the front's clock
}

// serveUDP serves the association until the client closes control.
func (f *Front) serveUDP(ctx context.Context, control *net.TCPConn) {
	defer control.Close()
	local, remote := control.LocalAddr().(*net.TCPAddr).AddrPort(), control.RemoteAddr().(*net.TCPAddr).AddrPort()
	relay, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(local.Addr(), 0)))
	if err != nil {
		refuse(control, socks5.AppendReply(nil, socks5.ReplyFailure, netip.AddrPort{}))
		return
	}
	ctx, stop := context.WithCancel(ctx)
	a := &association{f: f, ctx: ctx, relay: relay, client: remote.Addr().Unmap(), paths: make(map[*path]struct{})}
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
	if from.Addr() != a.client {
		return
	}
	header, err := socks5.CutDatagram(datagram)
	if err != nil {
		return
	}
	if !a.port.CompareAndSwap(0, uint32(from.Port())) && a.port.Load() != uint32(from.Port()) {
		return
	}
	// A path can turn out to be dead with the first datagram; the second one is new.
	for range 2 {
		p, err := a.pathNow()
		if err != nil {
			return
		}
		if _, err := p.udp.Write(datagram); err == nil {
			p.target.ledger.up.Add(uint64(len(datagram) - header))
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
	if st.target == nil && a.starved {
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

// open makes a path through the current core.
func (a *association) open() (*path, error) {
	p := &path{a: a}
	p.last.Store(a.f.now())
	control, t, err := a.f.dial(a.ctx, p, targetOnly)
	if err != nil {
		return nil, err
	}
	a.mu.Lock()
	p.control, p.target = control, t
	a.mu.Unlock()
	begin := time.Now()
	addr, err := associate(control, t)
	took := time.Since(begin)
	var udp *net.UDPConn
	if err == nil {
		udp, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(addr))
	}
	if err != nil {
		control.Close()
		t.ledger.leave(p)
		if !p.dead.Load() {
			a.f.signal(t.id, CoreGone)
		}
		return nil, err
	}
	time.Sleep(min(max(admissionRatio*took, minAdmission), maxAdmission))
	a.mu.Lock()
	defer a.mu.Unlock()
	p.udp = udp
	a.paths[p] = struct{}{}
	a.current = p
	if a.f.state.Load().target != t {
		p.retire() // replaced meanwhile, when retireOld could not find it; p still takes the datagram that waits for it
	}
	if p.dead.Load() { // aborted meanwhile, perhaps before it had sockets to close
		control.Close()
		udp.Close()
	}
	a.wg.Go(p.receive)
	a.wg.Go(func() {
		a.f.awaitEnd(control)
		p.fail()
	})
	return p, nil
}

// associate asks the core for its relay address. The inbound trusts the datagrams of whoever has
// authenticated.
func associate(control *net.TCPConn, t *target) (netip.AddrPort, error) {
	control.SetDeadline(time.Now().Add(associateTimeout))
	defer control.SetDeadline(time.Time{})
	unspecified := socks5.AppendAddrPort(nil, netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	msg := socks5.AppendRequest(bytes.Clone(t.opening), socks5.CommandAssociate, unspecified)
	if _, err := control.Write(msg); err != nil {
		return netip.AddrPort{}, err
	}
	bound, _, err := socks5.ReadReplies(control, t.auth)
	if err != nil {
		return netip.AddrPort{}, err
	}
	addr, ok := bound.AddrPort()
	if !ok || addr.Addr().IsUnspecified() {
		addr = netip.AddrPortFrom(t.addr.Addr(), addr.Port())
	}
	return addr, nil
}

// receive carries datagrams from the core to the client until the path ends.
func (p *path) receive() {
	defer p.fail()
	a := p.a
	r, err := newLazyReader(a.f.pools, p.udp)
	if err != nil {
		return
	}
	for {
		b, n, err := r.read(largeBuffer)
		if errors.Is(err, io.EOF) { // an empty datagram
			continue
		}
		if err != nil {
			return
		}
		if p.retired.Load() {
			p.udp.SetReadDeadline(time.Now().Add(lateReplies))
		}
		if header, err := socks5.CutDatagram(b.b[:n]); err == nil {
			a.relay.WriteToUDPAddrPort(b.b[:n], netip.AddrPortFrom(a.client, uint16(a.port.Load())))
			p.target.ledger.down.Add(uint64(n - header))
			p.last.Store(a.f.now())
		}
		b.release()
	}
}

// retire lets the path end when it has been silent for a while.
func (p *path) retire() {
	if p.retired.CompareAndSwap(false, true) {
		p.udp.SetReadDeadline(time.Now().Add(lateReplies))
	}
}

// fail ends the path; the next datagram opens another.
func (p *path) fail() {
	p.once.Do(func() {
		p.dead.Store(true)
		p.control.Close()
		p.udp.Close()
		p.target.ledger.leave(p)
		p.a.mu.Lock()
		delete(p.a.paths, p)
		p.a.mu.Unlock()
	})
}

func (p *path) heard() int64 { return p.last.Load() }

// cut is abort: the next datagram opens a path over the current target.
func (p *path) cut() { p.abort() }

func (p *path) abort() {
	p.dead.Store(true)
	p.a.mu.Lock()
	defer p.a.mu.Unlock()
	if p.control != nil {
		p.control.Close()
	}
	if p.udp != nil {
		p.udp.Close()
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
