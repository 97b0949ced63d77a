//go:build unix

package plane

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/front"
)

// backlog is how many commands wait for a data plane that does not take them. It takes each within
// a millisecond; one that is stopped takes none.
const backlog = 1024

// errGone is the end of a call whose data plane has ended, or is not served any more.
var errGone = errors.New("the data plane has ended")

// peer is the daemon's connection to one data plane. Commands reach it in the order of post.
type peer struct {
	channel *channel
	state   State     // as it was when greeted
	born    time.Time // when that was
	log     zerolog.Logger
	signals chan<- front.Signal
	out     chan outgoing
	gone    chan struct{} // closed when nothing comes any more

	mu    sync.Mutex
	last  uint64
	calls map[uint64]chan reply
	// replaced tells that another daemon has come.
	replaced bool
	mute     bool // a call was not answered in time, and nothing has been since
	seen     map[int64]front.Counters
}

// outgoing is a command on its way.
type outgoing struct {
	command   command
	listeners front.Listeners
	sent      chan struct{} // closed when it has left; nil: nobody waits
}

// greet makes this process the daemon of the data plane at the other end. The listeners are those
// that it serves.
func greet(ctx context.Context, conn *net.UnixConn, o Options, signals chan<- front.Signal, log zerolog.Logger) (*peer, front.Listeners, error) {
	c := newChannel(conn)
	fail := func(err error) (*peer, front.Listeners, error) { // the caller closes conn
		c.discard()
		return nil, front.Listeners{}, fmt.Errorf("greeting the data plane: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	const call = 1
	if err := c.send(command{Call: call, Do: doHello, Options: &o}, front.Listeners{}); err != nil {
		return fail(err)
	}
	var answer reply
	if err := c.receive(&answer); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fail(err)
	}
	if answer.State == nil {
		return fail(errors.New("the answer has no state"))
	}
	l, err := c.listeners(answer.Listeners)
	if err != nil {
		return fail(err)
	}
	if !stop() {
		l.Close()
		return fail(context.Cause(ctx))
	}
	p := &peer{
		channel: c, state: *answer.State, born: time.Now(), log: log, signals: signals,
		out: make(chan outgoing, backlog), gone: make(chan struct{}), last: call, calls: make(map[uint64]chan reply),
		seen: make(map[int64]front.Counters),
	}
	maps.Copy(p.seen, answer.Counters)
	go p.send()
	go p.receive()
	return p, l, nil
}

// send sends what is posted until the connection ends.
func (p *peer) send() {
	for {
		select {
		case <-p.gone:
			return
		case o := <-p.out:
			err := p.channel.send(o.command, o.listeners)
			if o.sent != nil {
				close(o.sent)
			}
			if err != nil {
				// A line that was sent in part spoils what follows.
				p.giveUp(err)
				return
			}
		}
	}
}

// receive takes replies until the connection ends.
func (p *peer) receive() {
	defer close(p.gone)
	defer p.channel.discard()
	defer p.channel.close()
	for {
		var r reply
		if p.channel.receive(&r) != nil {
			return
		}
		if len(r.Signals) > 0 {
			for _, s := range r.Signals {
				select {
				case p.signals <- s:
				default: // hints; whoever is to read them is busy
				}
			}
			p.post(outgoing{command: command{Do: doSeen}})
		}
		p.mu.Lock()
		answered := p.calls[r.Call]
		delete(p.calls, r.Call)
		p.mute = false
		p.replaced = p.replaced || r.Replaced
		maps.Copy(p.seen, r.Counters)
		p.mu.Unlock()
		if answered != nil {
			answered <- r
		}
	}
}

// post sends a command without waiting for anything. A data plane that has not taken the last
// thousand is given up.
func (p *peer) post(o outgoing) {
	select {
	case p.out <- o:
	default:
		p.giveUp(errors.New("it takes no commands"))
	}
}

// giveUp ends a data plane that cannot be told anything. It must not go on: another one takes its
// place, with the same sockets.
func (p *peer) giveUp(why error) {
	if !closed(p.channel.conn) {
		p.log.Error().Err(why).Int("pid", p.state.PID).Msg("the data plane is killed")
		if err := kill(p.channel.conn, p.state.PID); err != nil {
			p.log.Error().Err(err).Msg("killing the data plane")
		}
	}
	p.channel.close()
}

// begin posts a command and returns where its reply will be.
func (p *peer) begin(cmd command) (call uint64, answer <-chan reply) {
	answered := make(chan reply, 1)
	p.mu.Lock()
	p.last++
	cmd.Call = p.last
	p.calls[cmd.Call] = answered
	p.mu.Unlock()
	p.post(outgoing{command: cmd})
	return cmd.Call, answered
}

// call carries out a command and waits for its reply until ctx ends.
func (p *peer) call(ctx context.Context, cmd command) (reply, error) {
	call, answer := p.begin(cmd)
	select {
	case r := <-answer:
		return r, r.err()
	case <-p.gone:
		select {
		case r := <-answer: // its last word
			return r, r.err()
		default:
			return reply{}, errGone
		}
	case <-ctx.Done():
		p.mu.Lock()
		delete(p.calls, call)
		p.mute = true
		p.mu.Unlock()
		return reply{}, context.Cause(ctx)
	}
}

// isMute reports whether it has not answered of late.
func (p *peer) isMute() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mute
}

// forget drops the counters of a session.
func (p *peer) forget(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.seen, id)
}

// counted are the counters as they were last seen.
func (p *peer) counted() map[int64]front.Counters {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.seen)
}

// drain waits until nothing uses a session, or until ctx ends, and then has what is left reset.
func (p *peer) drain(ctx context.Context, id int64) (cut int) {
	call, answer := p.begin(command{Do: doDrain, Session: id})
	select {
	case r := <-answer:
		return r.Connections
	case <-p.gone:
		return 0
	case <-ctx.Done():
	}
	p.post(outgoing{command: command{Do: doHurry, Other: call}})
	select {
	case r := <-answer:
		return r.Connections
	case <-p.gone:
	case <-time.After(hurryTime):
	}
	return 0
}

func (p *peer) isReplaced() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.replaced
}
