package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// mode is what a gate does with the traffic.
type mode int

const (
	open       mode = iota // forwards, after a delay if there is one
	refusing               // refuses connections, resets the old ones
	swallowing             // answers nothing, moves nothing
)

// gateState is the mode with its delay, and what tells that it is outdated.
type gateState struct {
	mode    mode
	delay   time.Duration
	network Network
	changed chan struct{} // closed with the next change
}

// gate forwards TCP, and UDP if asked to, from an address of its own to a target, and can be told
// not to. While it is open without a delay, bytes are spliced by the kernel, so that it costs the
// benches little.
type gate struct {
	target   string
	listener *net.TCPListener
	udp      *udpGate // nil: none
	accepted atomic.Int64
	ctx      context.Context // ends with close
	cancel   context.CancelFunc
	group    sync.WaitGroup
	// accepting is held while a connection is accepted, and by whoever changes the mode: no Accept
	// that has begun before may take a connection that fills the queue.
	accepting sync.Mutex

	mu      sync.Mutex
	state   gateState
	pairs   map[*pair]struct{}
	fillers map[string]net.Conn // by local address: they fill the queue of a swallowing gate
	ghosts  map[string]struct{} // former fillers, which Accept may still find in the queue
}

// pair is a client's connection and its continuation to the target.
type pair struct {
	client, server *net.TCPConn
	down           atomic.Int64 // bytes that the client was sent
	begun          atomic.Bool  // the client has sent something
	unlucky        atomic.Bool  // it is never answered
	rest           []byte       // from the server, held back; of the goroutine that moves it
}

func openGate(target string, udp bool) (*gate, error) {
	const tries = 16 // until a port is free for UDP too
	for try := 1; ; try++ {
		listener, err := listenFirm()
		if err != nil {
			if try < tries {
				continue
			}
			return nil, fmt.Errorf("opening a gate: %w", err)
		}
		g := &gate{target: target, listener: listener, pairs: make(map[*pair]struct{})}
		g.state.changed = make(chan struct{})
		if udp {
			if g.udp, err = openUDPGate(listener.Addr().(*net.TCPAddr).Port, target, g.current); err != nil {
				_ = listener.Close()
				if try < tries {
					continue
				}
				return nil, fmt.Errorf("opening a gate: %w", err)
			}
		}
		g.ctx, g.cancel = context.WithCancel(context.Background())
		g.group.Go(g.serve)
		return g, nil
	}
}

// listenFirm listens on a port that the kernel chose, but binds it by number: only then does the
// kernel leave the port with a socket that stops listening.
func listenFirm() (*net.TCPListener, error) {
	chosen, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return nil, err
	}
	_ = chosen.Close()
	return net.ListenTCP("tcp4", chosen.Addr().(*net.TCPAddr))
}

// quietPort returns a port below those that the kernel gives to whoever asks for any.
func quietPort() int { return 15000 + rand.IntN(15000) }

func freeForUDP(number int) error {
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: number})
	if err != nil {
		return err
	}
	return conn.Close()
}

func (g *gate) address() string { return g.listener.Addr().String() }

func (g *gate) current() gateState {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.state
}

// set changes the mode and returns when it is in force. One caller at a time.
func (g *gate) set(m mode, delay time.Duration) error {
	past := time.Unix(1, 0)
	before := g.change(func(s *gateState) { s.mode, s.delay = m, delay })
	if m == before.mode {
		return nil
	}
	_ = g.listener.SetDeadline(past) // ends the Accept
	g.accepting.Lock()
	defer g.accepting.Unlock()
	g.dropFillers()
	var err error
	switch m {
	case open:
		err = relisten(g.listener)
		_ = g.listener.SetDeadline(time.Time{})
	case refusing:
		err = unlisten(g.listener)
	case swallowing:
		if err = listenNarrow(g.listener); err == nil {
			fillers := fill(g.ctx, g.address())
			g.mu.Lock()
			g.fillers = fillers
			g.mu.Unlock()
		}
	}
	if err != nil {
		return fmt.Errorf("changing the gate %s: %w", g.address(), err)
	}
	return nil
}

// reshape changes the network.
func (g *gate) reshape(n Network) { g.change(func(s *gateState) { s.network = n }) }

// change changes the state for all connections, and returns the one before.
func (g *gate) change(how func(*gateState)) (before gateState) {
	past := time.Unix(1, 0)
	g.mu.Lock()
	defer g.mu.Unlock()
	before = g.state
	g.state.changed = make(chan struct{})
	how(&g.state)
	close(before.changed)
	for p := range g.pairs {
		if g.state.mode == refusing {
			p.cut()
			continue
		}
		// Wakes the copying, which then looks at the state.
		_ = p.client.SetReadDeadline(past)
		_ = p.server.SetReadDeadline(past)
	}
	return before
}

// fill connects until the listener's queue is full: the kernel drops the SYN of whoever comes then.
// One that has no answer in time shows nothing on a busy machine.
func fill(ctx context.Context, address string) map[string]net.Conn {
	const most, patience = 16, 50 * time.Millisecond
	fillers := make(map[string]net.Conn)
	dialer := net.Dialer{Timeout: patience}
	for dropped := 0; dropped < 2 && len(fillers) < most; {
		conn, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			dropped++
			continue
		}
		dropped = 0
		fillers[conn.LocalAddr().String()] = conn
	}
	return fillers
}

func (g *gate) dropFillers() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ghosts = make(map[string]struct{})
	for address, filler := range g.fillers {
		_ = filler.Close()
		g.ghosts[address] = struct{}{}
	}
	g.fillers = nil
}

// isGhost reports whether conn is a filler that was accepted after all.
func (g *gate) isGhost(conn net.Conn) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	address := conn.RemoteAddr().String()
	_, former := g.ghosts[address]
	delete(g.ghosts, address)
	return former
}

func (g *gate) serve() {
	for g.ctx.Err() == nil {
		g.accepting.Lock()
		state := g.current()
		if state.mode != open {
			g.accepting.Unlock()
			select {
			case <-state.changed:
			case <-g.ctx.Done():
			}
			continue
		}
		conn, err := g.listener.AcceptTCP()
		g.accepting.Unlock()
		if err != nil {
			// The mode is changing, or descriptors have run out: not at once again.
			select {
			case <-state.changed:
			case <-g.ctx.Done():
			case <-time.After(5 * time.Millisecond):
			}
			continue
		}
		if g.isGhost(conn) {
			_ = conn.Close()
			continue
		}
		g.accepted.Add(1)
		g.group.Go(func() { g.forward(conn) })
	}
}

// forward serves one connection until it ends.
func (g *gate) forward(client *net.TCPConn) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(g.ctx, "tcp", g.target)
	if err != nil {
		_ = client.SetLinger(0) // a reset, as from a host where nobody listens
		_ = client.Close()
		return
	}
	p := &pair{client: client, server: conn.(*net.TCPConn)}
	g.mu.Lock()
	p.unlucky.Store(rand.Float64() < g.state.network.Unanswered)
	if g.ctx.Err() != nil || g.state.mode == refusing {
		p.cut()
	}
	g.pairs[p] = struct{}{}
	g.mu.Unlock()

	var group sync.WaitGroup
	for _, ends := range [][2]*net.TCPConn{{p.server, p.client}, {p.client, p.server}} {
		group.Go(func() {
			if err := g.pump(p, ends[0], ends[1]); err != nil {
				p.cut()
			}
		})
	}
	group.Wait()
	g.mu.Lock()
	delete(g.pairs, p)
	g.mu.Unlock()
	_ = p.client.Close()
	_ = p.server.Close()
}

// cut ends both connections with a reset.
func (p *pair) cut() {
	for _, conn := range []*net.TCPConn{p.client, p.server} {
		_ = conn.SetLinger(0)
		_ = conn.Close()
	}
}

// pump moves bytes one way until the sender is done, as the state says.
func (g *gate) pump(p *pair, to, from *net.TCPConn) error {
	for {
		// In this order: a change after the look at the state sets the deadline after this has
		// lifted it.
		_ = from.SetReadDeadline(time.Time{})
		state := g.current()
		var err error
		if from == p.server && state.mode == open {
			if err := p.release(state.network); err != nil {
				return err
			}
		}
		switch {
		case state.mode == swallowing:
			select {
			case <-state.changed:
				continue
			case <-g.ctx.Done():
				return g.ctx.Err()
			}
		case state.delay > 0:
			err = g.pumpSlowly(to, from, state.delay)
		case state.network.shapes():
			err = g.shaped(p, to, from, state)
		default:
			var n int64
			if n, err = io.Copy(to, from); from == p.server {
				p.down.Add(n)
			}
			p.begun.Store(true)
		}
		switch {
		case err == nil || errors.Is(err, io.EOF):
			return to.CloseWrite()
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return err
		}
	}
}

// pumpSlowly is io.Copy with a delay before every write.
func (g *gate) pumpSlowly(to, from *net.TCPConn, delay time.Duration) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			select {
			case <-time.After(delay):
			case <-g.ctx.Done():
				return g.ctx.Err()
			}
			if _, err := to.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// close ends everything and waits for it.
func (g *gate) close() {
	g.cancel()
	_ = g.listener.Close()
	if g.udp != nil {
		g.udp.close()
	}
	g.mu.Lock()
	for p := range g.pairs {
		p.cut()
	}
	g.mu.Unlock()
	g.group.Wait()
	g.dropFillers()
}
