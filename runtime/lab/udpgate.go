package lab

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxDatagram = 64 << 10
	// udpIdle is how long a client's way back is kept without traffic.
	udpIdle = time.Minute
)

// udpGate forwards datagrams from its address to a target and back, one socket per client. Unless
// the gate is open it drops them.
type udpGate struct {
	conn   *net.UDPConn
	target netip.AddrPort
	state  func() gateState
	group  sync.WaitGroup
	seen   atomic.Int64 // clients so far

	mu      sync.Mutex
	clients map[netip.AddrPort]*net.UDPConn
	closed  bool
}

func openUDPGate(port int, target string, state func() gateState) (*udpGate, error) {
	address, err := netip.ParseAddrPort(target)
	if err != nil {
		return nil, err
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
	if err != nil {
		return nil, err
	}
	g := &udpGate{conn: conn, target: address, state: state, clients: make(map[netip.AddrPort]*net.UDPConn)}
	g.group.Go(g.serve)
	return g, nil
}

// serve forwards what comes from clients.
func (g *udpGate) serve() {
	buffer := make([]byte, maxDatagram)
	for {
		n, client, err := g.conn.ReadFromUDPAddrPort(buffer)
		if err != nil {
			return // closed
		}
		if server := g.server(client); server != nil {
			g.send(buffer[:n], func(data []byte) { _, _ = server.Write(data) })
		}
	}
}

// server gives the socket that stands for client towards the target; nil: none.
func (g *udpGate) server(client netip.AddrPort) *net.UDPConn {
	g.mu.Lock()
	defer g.mu.Unlock()
	if conn := g.clients[client]; conn != nil || g.closed {
		return conn
	}
	conn, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(g.target))
	if err != nil {
		return nil
	}
	g.clients[client] = conn
	g.seen.Add(1)
	g.group.Go(func() { g.answer(client, conn) })
	return conn
}

// answer forwards what comes back for client.
func (g *udpGate) answer(client netip.AddrPort, conn *net.UDPConn) {
	defer func() {
		g.mu.Lock()
		delete(g.clients, client)
		g.mu.Unlock()
		_ = conn.Close()
	}()
	buffer := make([]byte, maxDatagram)
	for {
		_ = conn.SetReadDeadline(time.Now().Add(udpIdle))
		n, err := conn.Read(buffer)
		if err != nil {
			return // idle, closed, or the server refuses: the next datagram tries again
		}
		g.send(buffer[:n], func(data []byte) { _, _ = g.conn.WriteToUDPAddrPort(data, client) })
	}
}

// send hands data to write as the state says: now, later or never.
func (g *udpGate) send(data []byte, write func([]byte)) {
	switch state := g.state(); {
	case state.mode != open:
	case state.delay > 0:
		later := append([]byte(nil), data...)
		time.AfterFunc(state.delay, func() { write(later) }) // on a closed socket it does nothing
	default:
		write(data)
	}
}

func (g *udpGate) close() {
	g.mu.Lock()
	g.closed = true
	for _, conn := range g.clients {
		_ = conn.Close()
	}
	g.mu.Unlock()
	_ = g.conn.Close()
	g.group.Wait()
}
