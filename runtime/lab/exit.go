package lab

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
)

// exit is a server's way out, as the origin sees it. Everything that a lab's servers reach is the
// origin, so that it is the origin that plays a way out which is dead: the server needs no restart,
// and notices nothing but silence.
type exit struct {
	name       string
	healthOnly atomic.Bool                   // only the page for checks of health answers
	dead       atomic.Pointer[chan struct{}] // nil: alive; closed when it is again
}

// set closes and opens it. One caller at a time.
func (e *exit) set(dead bool) {
	if old := e.dead.Load(); dead == (old != nil) {
		return
	} else if old != nil {
		e.dead.Store(nil)
		close(*old)
		return
	}
	mended := make(chan struct{})
	e.dead.Store(&mended)
}

// exitListener accepts connections that go silent with the exit through which they came.
type exitListener struct {
	net.Listener
	origin *Origin
}

func (l *exitListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if e := l.origin.exitOf(addressOf(conn)); e != nil {
		return &exitConn{Conn: conn, exit: e, closed: make(chan struct{})}, nil
	}
	return conn, nil
}

// exitConn holds back what arrives and what is sent while its exit is dead. Deadlines do not end
// this, only Close and the mending of the exit.
type exitConn struct {
	net.Conn
	exit   *exit
	once   sync.Once
	closed chan struct{}
}

func (c *exitConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.wait()
	return n, err
}

func (c *exitConn) Write(p []byte) (int, error) {
	c.wait()
	return c.Conn.Write(p)
}

func (c *exitConn) wait() {
	for dead := c.exit.dead.Load(); dead != nil; dead = c.exit.dead.Load() {
		select {
		case <-*dead:
		case <-c.closed:
			return
		}
	}
}

func (c *exitConn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Conn.Close()
}

func addressOf(conn net.Conn) netip.Addr {
	return conn.RemoteAddr().(*net.TCPAddr).AddrPort().Addr()
}
