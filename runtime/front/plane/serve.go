//go:build unix

package plane

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/runtime/front"
)

// helloTime bounds the time until whoever has connected says that it is a daemon.
const helloTime = 5 * time.Second

// serve is the connection to one daemon, from its greeting to its end.
func (p *plane) serve(ctx context.Context, c *channel) {
	if err := c.conn.SetReadDeadline(time.Now().Add(helloTime)); err != nil {
		return
	}
	var hello command
	if c.receive(&hello) != nil || hello.Do != doHello || hello.Options == nil {
		return // somebody who looks whether there is a data plane
	}
	if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
		return
	}
	if err := p.greet(c, hello); err != nil {
		p.Log.Warn().Err(err).Msg("greeting a daemon")
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	d := drains{front: p.front, channel: c, running: make(map[uint64]context.CancelFunc)}
	left := p.follow(ctx, c, &d)
	cancel()
	d.wg.Wait()
	p.mu.Lock()
	current := p.daemon == c
	if current {
		p.daemon = nil
	}
	p.mu.Unlock()
	if current {
		p.orphan.daemonGone(left)
	}
}

// greet makes the daemon at the other end of c the one that is served.
func (p *plane) greet(c *channel, hello command) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.daemon != nil {
		_ = p.daemon.send(reply{Replaced: true}, front.Listeners{})
		p.daemon.close()
	}
	p.daemon = c
	p.configure(*hello.Options)
	if err := c.send(reply{
		Call: hello.Call, State: p.state(), Counters: p.countAll(), Listeners: names(p.listeners),
	}, p.listeners); err != nil {
		return err
	}
	p.orphan.daemonCame()
	p.Log.Info().Msg("a daemon is served")
	return nil
}

// follow carries out the commands of a daemon until its connection ends, and reports whether it
// took its leave.
func (p *plane) follow(ctx context.Context, c *channel, d *drains) (left bool) {
	for {
		var cmd command
		if err := c.receive(&cmd); err != nil {
			return left
		}
		switch cmd.Do {
		case doLeave:
			left = true
		case doDrain:
			d.start(ctx, cmd)
			continue
		case doHurry:
			d.hurry(cmd.Other)
			continue
		case doSeen:
			select {
			case p.seen <- c:
			case <-ctx.Done():
			}
			continue
		}
		p.mu.Lock()
		if p.daemon != c {
			p.mu.Unlock()
			return left
		}
		answer, err := p.carryOut(c, cmd)
		p.mu.Unlock()
		if err != nil {
			answer.Error = err.Error()
			p.Log.Error().Err(err).Str("command", cmd.Do).Msg("a command of the daemon")
		}
		if cmd.Call != 0 {
			answer.Call = cmd.Call
			err = c.send(answer, front.Listeners{})
		}
		if cmd.Do == doClose {
			p.end()
		}
		if cmd.Call != 0 && err != nil {
			return left
		}
	}
}

// carryOut needs mu.
func (p *plane) carryOut(c *channel, cmd command) (answer reply, err error) {
	switch cmd.Do {
	case doOpen:
		l, err := c.listeners(cmd.Listeners)
		if err != nil {
			return answer, err
		}
		p.listeners, p.open = l, true
		p.front.Serve(l)
	case doOptions:
		if cmd.Options != nil {
			p.configure(*cmd.Options)
		}
	case doClose:
		p.open = false
		err := p.front.Close()
		answer.Counters = p.countAll()
		p.Log.Info().Msg("the front is closed")
		return answer, err
	case doTarget:
		p.target = cmd.Target
		if p.standby != nil && p.target != nil && p.standby.ID == p.target.ID {
			p.standby = nil
		}
		p.front.SetTarget(cmd.Target)
	case doStandby:
		p.standby = cmd.Target
		p.front.SetStandby(cmd.Target)
	case doCut:
		answer.Connections = p.front.Cut(cmd.Session, cmd.Hanging)
	case doCounters:
		answer.Counters = p.count(cmd.Session)
	case doReturned:
		answer.Returned = p.front.Returned(cmd.Mark)
		answer.Counters = p.countAll() // for Recent
	case doEvidence:
		answer.Evidence = p.front.Evidence(cmd.Session)
	case doTrust:
		p.front.Trust(cmd.Session)
	case doAnswers:
		p.front.Answers(cmd.Session)
	case doForget:
		p.front.Forget(cmd.Session)
	case doRetire:
		p.retire()
	case doLeave:
	default:
		return answer, fmt.Errorf("unknown to this version (%s)", p.Version)
	}
	return answer, nil
}

func (p *plane) countAll() map[int64]front.Counters { return p.count(p.front.Sessions()...) }

func (p *plane) count(ids ...int64) map[int64]front.Counters {
	counters := make(map[int64]front.Counters, len(ids))
	for _, id := range ids {
		counters[id] = p.front.Counters(id)
	}
	return counters
}

// retire needs mu. It takes no new connections: another data plane has the same listeners.
func (p *plane) retire() {
	if p.retired {
		return
	}
	p.retired = true
	p.listeners = front.Listeners{}
	p.front.Serve(front.Listeners{})
	p.Log.Info().Msg("another data plane takes new connections; this one ends with its last")
	p.orphan.changed()
}

// drains are the drains that one daemon waits for. Its end leaves their connections alone: the next
// daemon finds them.
type drains struct {
	front   *front.Front
	channel *channel
	wg      sync.WaitGroup

	mu      sync.Mutex
	running map[uint64]context.CancelFunc // by call
}

func (d *drains) start(ctx context.Context, cmd command) {
	waiting, hurry := context.WithCancel(ctx)
	d.mu.Lock()
	d.running[cmd.Call] = hurry
	d.mu.Unlock()
	d.wg.Go(func() {
		defer hurry()
		n := 0
		if !d.front.AwaitIdle(waiting, cmd.Session) {
			if ctx.Err() != nil {
				return
			}
			n = d.front.Abort(cmd.Session)
		}
		d.mu.Lock()
		delete(d.running, cmd.Call)
		d.mu.Unlock()
		_ = d.channel.send(reply{Call: cmd.Call, Connections: n}, front.Listeners{})
	})
}

func (d *drains) hurry(call uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if hurry := d.running[call]; hurry != nil {
		hurry()
	}
}
