package daemontest

import (
	"context"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// Core is a core process of the world. It implements session.Core.
type Core struct {
	world  *World
	ID     xray.Identity
	In     xray.Inbound
	Host   string // its server
	done   chan struct{}
	Reason string // why it has exited
}

// Leave makes a core run that an earlier daemon has started, or that is somebody else's.
func (w *World) Leave(host string, id xray.Identity, in xray.Inbound) *Core {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	c := &Core{world: w, ID: id, In: in, Host: host, done: make(chan struct{})}
	w.Cores[id.PID] = c
	return c
}

// Revive makes a core that was stopped run again, as if it had not been.
func (c *Core) Revive() {
	c.world.Mu.Lock()
	defer c.world.Mu.Unlock()
	c.done = make(chan struct{})
	c.world.Cores[c.ID.PID] = c
}

// Identity implements session.Core.
func (c *Core) Identity() xray.Identity { return c.ID }

// Inbound implements session.Core.
func (c *Core) Inbound() xray.Inbound { return c.In }

// Done implements session.Core.
func (c *Core) Done() <-chan struct{} { return c.done }

// ExitReason implements session.Core.
func (c *Core) ExitReason() string { return c.Reason }

// Killed implements session.Core.
func (c *Core) Killed() bool { return strings.HasPrefix(c.Reason, "signal: ") }

// Health implements session.Core.
func (c *Core) Health(ctx context.Context) error {
	c.world.Mu.Lock()
	hung := c.world.Servers[c.Host].Hung
	c.world.Mu.Unlock()
	if hung {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return c.world.Handshake(ctx, probe.Proxy{Address: c.In.Address})
}

// Stop implements session.Core.
func (c *Core) Stop(context.Context, time.Duration) error {
	c.world.Mu.Lock()
	wait := c.world.StopTime
	c.world.Mu.Unlock()
	time.Sleep(wait)
	c.Exit("stopped")
	return nil
}

// Exit ends the process, for whatever reason.
func (c *Core) Exit(reason string) {
	c.world.Mu.Lock()
	defer c.world.Mu.Unlock()
	if _, running := c.world.Cores[c.ID.PID]; running {
		delete(c.world.Cores, c.ID.PID)
		c.Reason = reason
		close(c.done)
	}
}
