package front

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// newTransport makes the way to origins. It dials the core and nothing else, and knows no proxy of
// the environment. With a target the connections lead through it as long as it is in use, and are
// kept alive; without, each is for one request.
func (f *Front) newTransport(t *target) *http.Transport {
	return &http.Transport{
		DialContext: func(_ context.Context, _, hostport string) (net.Conn, error) {
			return f.dialWeb(t, hostport)
		},
		DisableCompression:    true,
		DisableKeepAlives:     t == nil,
		MaxIdleConns:          64,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       upstreamIdle,
		ExpectContinueTimeout: time.Second,
	}
}

func (f *Front) dialWeb(t *target, hostport string) (net.Conn, error) {
	dest, err := socks5.ParseAddress(hostport)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	r := f.run
	f.mu.Unlock()
	if r == nil {
		return nil, net.ErrClosed
	}
	// The connection may outlive the request for which it is dialled.
	ctx, stop := context.WithCancel(r.ctx)
	c := &originConn{upstream: upstream{f: f, ctx: ctx, dest: dest, hedged: t != nil}, stop: stop}
	var via *state
	for _, st := range []*state{f.standby.Load(), f.state.Load()} {
		if via == nil && t != nil && st.target == t {
			via = st
		}
	}
	if err := c.connect(nil, nil, via); err != nil {
		stop()
		return nil, err
	}
	return c, nil
}

// originConn makes a net.Conn of an upstream, for plain HTTP.
type originConn struct {
	upstream
	stop   context.CancelFunc
	rest   *buffer // answer bytes that Read has not delivered yet
	unread []byte  // in rest
}

// Read delivers what the destination answers.
func (c *originConn) Read(p []byte) (int, error) {
	if c.won.Load() == nil {
		b, answer, err := c.rescuer.first()
		if err != nil {
			return 0, err
		}
		c.rest, c.unread = b, answer
		c.won.Load().countDown(len(answer))
	}
	if c.rest != nil {
		n := copy(p, c.unread)
		if c.unread = c.unread[n:]; len(c.unread) == 0 {
			c.rest.release()
			c.rest = nil
		}
		return n, nil
	}
	l := c.won.Load()
	l.awaits()
	n, err := l.tcp.Load().Read(p)
	l.target.ledger.countDown(n)
	if l.heardOf(p[:n]); err != nil {
		l.ended()
	}
	return n, err
}

// Close ends the connection, and what waits for a core on its behalf.
func (c *originConn) Close() error {
	c.end((*net.TCPConn).Close)
	c.stop()
	return c.upstream.Close()
}

// tcp is the connection that counts at this moment.
func (c *originConn) tcp() *net.TCPConn {
	if l := c.won.Load(); l != nil {
		return l.tcp.Load()
	}
	return c.one.tcp.Load()
}

func (c *originConn) LocalAddr() net.Addr                { return c.tcp().LocalAddr() }
func (c *originConn) RemoteAddr() net.Addr               { return c.tcp().RemoteAddr() }
func (c *originConn) SetDeadline(t time.Time) error      { return c.tcp().SetDeadline(t) }
func (c *originConn) SetReadDeadline(t time.Time) error  { return c.tcp().SetReadDeadline(t) }
func (c *originConn) SetWriteDeadline(t time.Time) error { return c.tcp().SetWriteDeadline(t) }
