//go:build unix

package plane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/front"
)

const (
	// startTime bounds the start of a data plane, callTime a call that needs no work.
	startTime = 5 * time.Second
	callTime  = time.Second
	// freePause is how often a port is tried that the data plane is about to give up.
	freePause = 5 * time.Millisecond
	// askTime bounds a question that somebody waits for: a status for counters, a probe for its
	// mark.
	askTime = 100 * time.Millisecond
	// closeTime bounds the end of all connections.
	closeTime = 5 * time.Second
	// hurryTime bounds the end of a drain that is cut short.
	hurryTime = 2 * time.Second
	// maxStartPause is the longest pause between two starts that fail.
	maxStartPause = 2 * time.Second
	// freeCrashes is how many data planes in a row may end within stableAfter until the next has to
	// wait.
	freeCrashes = 5
	stableAfter = 5 * time.Second
)

// Start starts the process of a data plane and returns its pid. It is to serve the socket at this
// path, and the daemon at the other end of first. The process must outlive this one.
type Start func(first *os.File, socket, nonce string) (pid int, err error)

// ClientDeps is what a Client works with. All fields are needed.
type ClientDeps struct {
	// Front says how to serve; its logger is not used.
	Front front.Options
	// DrainTime is how long a data plane of another version serves the connections that it has.
	DrainTime time.Duration
	// Revive tells data planes to start the daemon again when it ends without Leave.
	Revive bool
	// Dir is where the sockets are: a directory for this user alone.
	Dir     string
	Version string
	Start   Start
	Log     zerolog.Logger
}

// Client is the front as the daemon has it, in processes that outlive the daemon. Make one with
// NewClient, look for what an earlier daemon left with Find, and end with Close or Leave. Its
// methods may be called from any goroutine, except that Open, Close, Find and Leave exclude each
// other. None waits for a data plane that does not answer for longer than it says.
type Client struct {
	ClientDeps
	signals chan front.Signal

	mu        sync.Mutex
	listeners front.Listeners // as the current data plane has them
	open      bool
	left      bool
	target    *front.Target
	standby   *front.Target
	current   *peer                    // takes new connections; nil: there is none at the moment
	retired   []*peer                  // have connections from before
	past      map[int64]front.Counters // what data planes have counted that are gone
	crashes   int                      // data planes in a row that ended soon after their start
	starting  sync.WaitGroup
}

// NewClient returns a closed front.
func NewClient(deps ClientDeps) *Client {
	return &Client{ClientDeps: deps, signals: make(chan front.Signal, maxSignals), past: make(map[int64]front.Counters)}
}

// options needs mu, once there is more than one goroutine.
func (c *Client) options() Options {
	return Options{
		Username: c.Front.Username, Password: c.Front.Password, Wait: c.Front.Wait, Rescue: c.Front.Rescue, Drain: c.DrainTime, Revive: c.Revive,
	}
}

// Open binds the addresses and has a data plane serve them; see front.Front.Open.
func (c *Client) Open(ctx context.Context) error {
	c.mu.Lock()
	open := c.open
	c.mu.Unlock()
	if open {
		return nil
	}
	c.mu.Lock()
	o := c.Front
	c.mu.Unlock()
	l, err := front.Listen(ctx, o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("it does not answer within %v", startTime))
	defer cancel()
	p, err := c.launch(ctx)
	if err != nil {
		l.Close()
		return err
	}
	c.mu.Lock()
	c.open, c.listeners = true, l
	c.install(p)
	c.mu.Unlock()
	// It serves once it has answered. If it ends instead, another one takes its place.
	_, _ = p.call(ctx, command{Do: doCounters})
	return nil
}

// launch starts a data plane and greets it.
func (c *Client) launch(ctx context.Context) (*peer, error) {
	nonce := newNonce()
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, fmt.Errorf("starting the data plane: %w", err)
	}
	pid, err := c.Start(theirs, socketPath(c.Dir, nonce), nonce)
	theirs.Close()
	if err != nil {
		ours.Close()
		return nil, fmt.Errorf("starting the data plane: %w", err)
	}
	c.mu.Lock()
	o := c.options()
	c.mu.Unlock()
	p, l, err := greet(ctx, ours, o, c.signals, c.Log)
	if err != nil {
		if kerr := kill(ours, pid); kerr != nil {
			err = errors.Join(err, kerr)
		}
		ours.Close()
		return nil, err
	}
	l.Close() // a new one has none
	c.Log.Info().Int("pid", p.state.PID).Msg("data plane started")
	return p, nil
}

// install needs mu. It makes p the data plane that takes new connections, and tells it all it has
// to know.
func (c *Client) install(p *peer) {
	c.current = p
	p.post(outgoing{command: command{Do: doOpen, Listeners: names(c.listeners)}, listeners: c.listeners})
	if c.standby != nil {
		p.post(outgoing{command: command{Do: doStandby, Target: c.standby}})
	}
	p.post(outgoing{command: command{Do: doTarget, Target: c.target}})
	c.watch(p)
}

// watch has another data plane take the place of p when that ends.
func (c *Client) watch(p *peer) {
	go func() { // ends with the connection
		<-p.gone
		c.mu.Lock()
		defer c.mu.Unlock()
		if !c.left && !p.isReplaced() {
			os.Remove(socketPath(c.Dir, p.state.Nonce)) // it may not, see Confine
		}
		c.retired = slices.DeleteFunc(c.retired, func(other *peer) bool { return other == p })
		for id, n := range p.counted() { // what was counted since is lost
			past := c.past[id]
			n.Open = 0
			past.Add(n)
			c.past[id] = past
		}
		if c.left || c.current != p {
			return
		}
		c.current = nil
		if p.isReplaced() {
			c.Log.Error().Int("pid", p.state.PID).Msg("another daemon has taken the data plane over")
			c.left = true
		}
		if !c.open || c.left {
			return
		}
		c.crashes++
		if time.Since(p.born) > stableAfter {
			c.crashes = 0
		}
		pause := time.Duration(0)
		if c.crashes > freeCrashes {
			pause = maxStartPause
		}
		c.Log.Error().Int("pid", p.state.PID).Dur("pause", pause).Msg("the data plane has ended; another one is started")
		c.starting.Go(func() { c.replace(pause) })
	}()
}

// replace starts data planes until one serves, or none is wanted. New connections wait meanwhile:
// the sockets are open here.
func (c *Client) replace(pause time.Duration) {
	for ; ; pause = min(max(2*pause, 10*time.Millisecond), maxStartPause) {
		time.Sleep(pause)
		ctx, cancel := context.WithTimeoutCause(context.Background(), startTime, fmt.Errorf("it does not answer within %v", startTime))
		p, err := c.launch(ctx)
		cancel()
		c.mu.Lock()
		wanted := c.open && !c.left && c.current == nil
		if err == nil && wanted {
			c.install(p)
		}
		c.mu.Unlock()
		if err == nil && !wanted {
			p.post(outgoing{command: command{Do: doClose}})
		}
		if err == nil || !wanted {
			return
		}
		c.Log.Error().Err(err).Msg("starting another data plane")
	}
}

// peers are the data planes that there are.
func (c *Client) peers() []*peer {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all()
}

// all needs mu.
func (c *Client) all() []*peer {
	all := slices.Clone(c.retired)
	if c.current != nil {
		all = append(all, c.current)
	}
	return all
}

// Renew has another data plane, of this version, take new connections. The one before serves those
// that it has until they end.
func (c *Client) Renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf("it does not answer within %v", startTime))
	defer cancel()
	p, err := c.launch(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	old := c.current
	c.install(p)
	if old != nil {
		c.retired = append(c.retired, old)
	}
	c.mu.Unlock()
	// Until the one has opened the listeners and the other given them up, both take connections.
	_, _ = p.call(ctx, command{Do: doCounters})
	if old != nil {
		_, _ = old.call(ctx, command{Do: doRetire})
	}
	return nil
}

// Close ends every connection and the data planes; see front.Front.Close. It returns within some
// seconds whatever they do: one that does not answer is killed.
func (c *Client) Close() error {
	c.mu.Lock()
	l := c.listeners
	c.open, c.listeners = false, front.Listeners{}
	c.mu.Unlock()
	c.starting.Wait()
	var errs []error
	for _, p := range c.peers() {
		ctx, cancel := context.WithTimeoutCause(context.Background(), closeTime, fmt.Errorf("it does not answer within %v", closeTime))
		_, err := p.call(ctx, command{Do: doClose}) // its answer has all counters
		if err != nil && !errors.Is(err, errGone) {
			errs = append(errs, fmt.Errorf("closing the front: %w", err), kill(p.channel.conn, p.state.PID))
		}
		cancel()
		p.channel.close()
		<-p.gone
	}
	l.Close()
	return errors.Join(errs...)
}

// Leave gives up the data planes without ending anything: they go on for the next daemon. Nothing
// has an effect after it. It reports whether there is anything that goes on.
func (c *Client) Leave() bool {
	c.mu.Lock()
	open, l := c.open, c.listeners
	c.left, c.open, c.listeners = true, false, front.Listeners{}
	c.mu.Unlock()
	c.starting.Wait()
	for _, p := range c.peers() {
		sent := make(chan struct{})
		p.post(outgoing{command: command{Do: doLeave}, sent: sent})
		select {
		case <-sent:
		case <-p.gone:
		case <-time.After(callTime):
		}
		p.channel.close()
		<-p.gone
	}
	l.Close()
	return open
}

// Configure changes how to serve. Other addresses are opened before the old ones close or, where
// that cannot be since it is the same port, right after. The error says why they do not open; the
// old ones stay then.
func (c *Client) Configure(ctx context.Context, o front.Options) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.Front
	c.Front = o
	options := c.options()
	c.tell(command{Do: doOptions, Options: &options})
	if !c.open {
		return nil
	}
	next, err := front.Relisten(ctx, c.listeners, o)
	if errors.Is(err, syscall.EADDRINUSE) {
		kept := c.listeners.Of(o)
		c.move(kept)
		for end := time.Now().Add(callTime); err != nil && time.Now().Before(end); time.Sleep(freePause) {
			next, err = front.Relisten(ctx, kept, o)
		}
		if err != nil {
			var back error
			if next, back = front.Relisten(ctx, kept, was); back != nil {
				return errors.Join(err, back)
			}
		}
	}
	if next != (front.Listeners{}) {
		c.move(next)
	}
	return err
}

// move needs mu. It has the current data plane serve these listeners, and closes the others.
func (c *Client) move(next front.Listeners) {
	before := c.listeners
	if next == before {
		return
	}
	c.listeners = next
	if c.current != nil {
		// What was posted before may need those that are closed now.
		sent := make(chan struct{})
		c.current.post(outgoing{command: command{Do: doOpen, Listeners: names(next)}, listeners: next, sent: sent})
		select {
		case <-sent:
		case <-c.current.gone:
		case <-time.After(callTime):
		}
	}
	before.CloseBut(next)
}

// SetTarget is as front.Front.SetTarget. It returns at once.
func (c *Client) SetTarget(t *front.Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.target = t
	if t != nil && c.standby != nil && c.standby.ID == t.ID {
		c.standby = nil
	}
	c.tell(command{Do: doTarget, Target: t})
}

// SetStandby is as front.Front.SetStandby. It returns at once.
func (c *Client) SetStandby(t *front.Target) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.standby = t
	c.tell(command{Do: doStandby, Target: t})
}

// tell needs mu. It posts a command to every data plane: connections that one serves until they end
// may be rescued, too.
func (c *Client) tell(cmd command) {
	if c.left {
		return
	}
	for _, p := range c.all() {
		p.post(outgoing{command: cmd})
	}
}

// Signals is as front.Front.Signals.
func (c *Client) Signals() <-chan front.Signal { return c.signals }

// Addresses is as front.Front.Addresses.
func (c *Client) Addresses() (socks, http string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.listeners.Addresses()
}
