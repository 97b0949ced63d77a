package ipc

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/runtime/descriptors"
)

// clients are the connections that a server has at one time.
type clients struct {
	serving sync.WaitGroup
	places  places // for clients
	big     places // for long lines

	mu   sync.Mutex
	idle map[net.Conn]struct{} // those without a complete request
}

func newClients() *clients {
	return &clients{places: make(places, min(maxClients, descriptors.Share(clientShare))), big: make(places, bigLines), idle: make(map[net.Conn]struct{})}
}

// serve runs f in a goroutine, or reports false when there are too many clients.
func (c *clients) serve(f func()) bool {
	select {
	case c.places <- struct{}{}:
	default:
		return false
	}
	c.serving.Go(func() {
		defer func() { <-c.places }()
		f()
	})
	return true
}

// readRequest reads the line of a request from a client, which counts as idle meanwhile. It reports
// whether the line ended with the client's half of the connection.
func (c *clients) readRequest(ctx context.Context, conn net.Conn, limit time.Duration) (line []byte, halfClosed bool, err error) {
	c.mu.Lock()
	c.idle[conn] = struct{}{}
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.idle, conn)
		c.mu.Unlock()
	}()
	if ctx.Err() != nil {
		return nil, false, ctx.Err() // closeIdle may have come too early for this one
	}
	return readLine(ctx, conn, time.Now().Add(limit), c.big)
}

// closeIdle closes the connections that owe nobody an answer.
func (c *clients) closeIdle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.idle {
		conn.Close()
	}
}
