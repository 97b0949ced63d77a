package daemontest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/daemon/session"
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
	frozen bool
}

// Freeze stops the cores that serve a host, as SIGSTOP does.
func (w *World) Freeze(host string) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	for _, c := range w.Cores {
		c.frozen = c.frozen || c.Host == host
	}
}

// LeaveCore makes a core run that an earlier daemon has started, or that is somebody else's.
func (w *World) LeaveCore(host string, id xray.Identity, in xray.Inbound) *Core {
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
	hung := c.world.Servers[c.Host].Hung || c.frozen
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

// spawn makes one more core run, that has not been started before.
func (w *World) spawn(host string) *Core {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.Started++
	w.lastPID++
	c := &Core{
		world: w, Host: host, done: make(chan struct{}),
		ID: xray.Identity{PID: w.lastPID, StartTime: uint64(w.lastPID), BootID: "boot"},
		In: xray.Inbound{Address: fmt.Sprintf("core-%d", w.lastPID), User: "u", Password: "p", Relay: fmt.Sprintf("relay-%d", w.lastPID)},
	}
	w.Cores[c.ID.PID] = c
	w.MaxCores = max(w.MaxCores, len(w.Cores))
	return c
}

// Start implements Cores.
func (w *World) Start(ctx context.Context, spec xray.Spec, started func(xray.Identity, xray.Inbound) error) (session.Core, error) {
	c := w.spawn(spec.Link.Host)
	w.Mu.Lock()
	s := *w.Servers[c.Host]
	w.Mu.Unlock()
	if err := started(c.ID, c.In); err != nil {
		c.Exit("not wanted")
		return nil, err
	}
	select {
	case <-time.After(s.StartTime):
	case <-ctx.Done():
		c.Exit("canceled")
		return nil, context.Cause(ctx)
	}
	if s.NoStart {
		c.Exit("exit status 23")
		return nil, errors.New("the core ended at once: exit status 23")
	}
	return c, nil
}

// Adopt implements Cores.
func (w *World) Adopt(_ context.Context, id xray.Identity, in xray.Inbound) (session.Core, error) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	c, running := w.Cores[id.PID]
	switch {
	case !running:
		return nil, xray.ErrPIDMissing
	case c.ID != id:
		return nil, xray.ErrIdentityMismatch
	case c.In != in:
		return nil, xray.ErrUnhealthy
	}
	return c, nil
}

// End implements Cores.
func (w *World) End(_ context.Context, id xray.Identity, _ time.Duration) error {
	w.Mu.Lock()
	c, running := w.Cores[id.PID]
	w.Mu.Unlock()
	if !running {
		return nil
	}
	if c.ID != id {
		return xray.ErrIdentityMismatch
	}
	c.Exit("ended")
	return nil
}

// FindByNonce implements Cores.
func (w *World) FindByNonce(string) (xray.Identity, error) {
	return xray.Identity{}, xray.ErrPIDMissing
}

// CoreAt finds the core that has an inbound address.
func (w *World) CoreAt(address string) *Core {
	for _, c := range w.Cores {
		if c.In.Address == address {
			return c
		}
	}
	return nil
}

// Running returns the cores that run.
func (w *World) Running() []*Core {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return slices.Collect(maps.Values(w.Cores))
}

// Starts counts the cores that were ever started.
func (w *World) Starts() int {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return w.Started
}

// Locate finds the executable, unless LoseCore took it away.
func (w *World) Locate() (string, error) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return "/bin/xray", w.LocateErr
}

// LoseCore makes the executable go missing; nil brings it back.
func (w *World) LoseCore(err error) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.LocateErr = err
}
