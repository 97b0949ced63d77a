//go:build unix

package plane

import (
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/usersock"
)

// Process is what a data plane works with.
type Process struct {
	// Socket is the path at which the next daemon finds it.
	Socket string
	// First is the connection to the daemon that has started it.
	First   *net.UnixConn
	Version string
	Nonce   string
	// Revive starts the daemon, unless there is one, and returns when it is there or has failed to
	// come.
	Revive func(ctx context.Context) error
	// Confine gives up what serving does not need, once everything is open; nil: nothing.
	Confine func()
	Log     zerolog.Logger

	orphanTimes orphanTimes // the zero value has the defaults; tests have less time
}

// plane is the state of a data plane's process.
type plane struct {
	Process
	front  *front.Front
	end    context.CancelFunc // ends the process
	orphan *orphan
	seen   chan *channel // whoever has seen the signals

	mu        sync.Mutex // held by whoever carries out a command
	daemon    *channel   // the one that is served; nil: none
	listeners front.Listeners
	target    *front.Target
	standby   *front.Target
	open      bool
	retired   bool
}

// Run serves daemons until one closes the front, or until nobody needs it any more, or ctx ends.
func Run(ctx context.Context, process Process) error {
	socket, err := usersock.Listen(process.Socket)
	if err != nil {
		return err
	}
	defer socket.Close()
	if process.Confine != nil {
		process.Confine()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := &plane{Process: process, end: cancel, front: front.New(front.Options{Log: process.Log}), seen: make(chan *channel, 1)}
	p.orphan = newOrphan(p)
	var serving sync.WaitGroup
	serving.Go(func() { p.forwardSignals(ctx) })
	serving.Go(func() { p.orphan.run(ctx) })
	var channels channels
	defer func() {
		cancel()
		socket.Close()
		channels.close()
		serving.Wait()
		p.front.Close()
	}()
	serve := func(conn *net.UnixConn) {
		c := newChannel(conn)
		if !channels.add(c) {
			return
		}
		serving.Go(func() {
			defer channels.remove(c)
			p.serve(ctx, c)
		})
	}
	if process.First != nil {
		serve(process.First)
	}
	serving.Go(func() { acceptDaemons(ctx, socket, p.Log, serve) })
	<-ctx.Done()
	p.sayFarewell()
	return nil
}

// sayFarewell tells the daemon the last counters.
func (p *plane) sayFarewell() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.daemon != nil {
		_ = p.daemon.send(reply{Counters: p.countAll()}, front.Listeners{})
	}
}

// acceptDaemons hands over whoever connects and belongs to this user.
func acceptDaemons(ctx context.Context, socket *net.UnixListener, log zerolog.Logger, serve func(*net.UnixConn)) {
	for ctx.Err() == nil {
		conn, err := socket.AcceptUnix()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			log.Warn().Err(err).Msg("accepting a daemon")
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		if err := usersock.CheckPeer(conn); err != nil {
			log.Warn().Err(err).Msg("daemon refused")
			conn.Close()
			continue
		}
		serve(conn)
	}
}

// channels are the connections of a process, so that its end can close them.
type channels struct {
	mu     sync.Mutex
	all    map[*channel]struct{}
	closed bool
}

func (s *channels) add(c *channel) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.close()
		return false
	}
	if s.all == nil {
		s.all = make(map[*channel]struct{})
	}
	s.all[c] = struct{}{}
	return true
}

func (s *channels) remove(c *channel) {
	s.mu.Lock()
	delete(s.all, c)
	s.mu.Unlock()
	c.close()
	c.discard()
}

func (s *channels) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for c := range s.all {
		c.close()
	}
}

// maxSignals is how many signals wait for the daemon at most.
const maxSignals = 64

// forwardSignals tells the daemon what the front notices. A daemon that does not read is sent
// nothing more, and never waited for.
func (p *plane) forwardSignals(ctx context.Context) {
	var waiting []front.Signal
	var asked *channel // has not said that the last ones have arrived
	for {
		select {
		case <-ctx.Done():
			return
		case s := <-p.front.Signals():
			if !slices.Contains(waiting, s) && len(waiting) < maxSignals {
				waiting = append(waiting, s)
			}
		case c := <-p.seen:
			if c == asked {
				asked = nil
			}
		}
		p.mu.Lock()
		c := p.daemon
		p.mu.Unlock()
		switch {
		case c == nil:
			waiting = nil
		case c != asked && len(waiting) > 0:
			_ = c.send(reply{Signals: waiting}, front.Listeners{})
			waiting, asked = nil, c
		}
	}
}

// state needs mu.
func (p *plane) state() *State {
	s := &State{
		PID: os.Getpid(), Version: p.Version, Nonce: p.Nonce, Open: p.open, Retired: p.retired,
		Lost: p.orphan.lost(),
	}
	if p.target != nil {
		s.Target = p.target.ID
	}
	return s
}

// configure needs mu.
func (p *plane) configure(o Options) {
	p.front.Configure(front.Options{Username: o.Username, Password: o.Password, Wait: o.Wait, Rescue: o.Rescue})
	p.orphan.follow(o)
}
