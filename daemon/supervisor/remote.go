package supervisor

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// Remote is what other goroutines have of a Supervisor: intents, and the state as it was last
// published. Its methods may be called from any goroutine once New has returned; those that need
// the loop wait for it, and fail when their context or the loop ends.
type Remote struct {
	listeners listeners
	counters  func(sessionID int64) front.Counters
	version   string
	startedAt time.Time

	events   chan event
	ended    chan struct{} // closed when the loop takes no more
	snapshot atomic.Pointer[snapshot]
	hub      hub
}

// NewRemote returns the remote of a supervisor that New is to be given it for.
func NewRemote(f Front, s settings.Front, version string) *Remote {
	return &Remote{
		listeners: listeners{f.Addresses, s}, counters: f.Counters, version: version, startedAt: time.Now(),
		events: make(chan event, 64),
		ended:  make(chan struct{}),
	}
}

// event is something that happens to the supervisor. Whatever is handed one runs in the loop.
type event func(s *Supervisor)

// answer goes back to whoever asked for an operation.
type answer struct {
	done Done
	err  error
}

// Done is what became of an intent.
type Done struct {
	Message string // for people
	Session Serving
	// Trigger and ReplacedID, the session that served before (0: none), are of a rotation.
	Trigger    rotation.Trigger
	ReplacedID int64
	Stopped    bool // there was a session to end
	Rotates    bool // automatic rotation is on
}

// Serving is the session that serves.
type Serving struct {
	ID, ConfigID int64
	ConfigName   string
	PID          int
}

var errShuttingDown = ipc.Errorf(ipc.CodeInvalidState, "the daemon is shutting down")

// Connect starts a session, or moves to another config without a gap. Without a config it is the
// one used last, or else the best; unchecked takes one that gives no answer as well.
func (r *Remote) Connect(ctx context.Context, configID *int64, unchecked bool) (Done, error) {
	return r.ask(ctx, func(s *Supervisor, reply chan<- answer) { s.connect(configID, unchecked, reply) })
}

// Replace rotates: to the config or, if that is nil, to another that works.
func (r *Remote) Replace(ctx context.Context, trigger rotation.Trigger, configID *int64) (Done, error) {
	return r.ask(ctx, func(s *Supervisor, reply chan<- answer) { s.replace(trigger, configID, reply) })
}

// SwitchRotation turns automatic rotation on or off, for good.
func (r *Remote) SwitchRotation(ctx context.Context, on bool) (Done, error) {
	return r.ask(ctx, func(s *Supervisor, reply chan<- answer) { s.switchRotation(on, reply) })
}

// Disconnect ends every session, for good.
func (r *Remote) Disconnect(ctx context.Context) (Done, error) {
	return r.ask(ctx, func(s *Supervisor, reply chan<- answer) { s.endSessions(opDisconnect, reply) })
}

// Shutdown ends every session until the next start, and then the loop.
func (r *Remote) Shutdown(ctx context.Context) (Done, error) {
	reply := make(chan answer, 1)
	r.tell(func(s *Supervisor) { s.endSessions(opShutdown, reply) })
	return answered(ctx, r, reply)
}

// Leave ends the loop and nothing else: sessions go on, in a front that does, and the next daemon
// takes them over. Where there is no such front it is as Shutdown.
func (r *Remote) Leave(ctx context.Context) (Done, error) {
	reply := make(chan answer, 1)
	r.tell(func(s *Supervisor) { s.endSessions(opLeave, reply) })
	return answered(ctx, r, reply)
}

// ask has the loop handle an intent, and waits for the answer. Each is answered exactly once.
func (r *Remote) ask(ctx context.Context, handle func(s *Supervisor, reply chan<- answer)) (Done, error) {
	reply := make(chan answer, 1)
	r.tell(func(s *Supervisor) {
		switch {
		case ctx.Err() != nil: // nobody waits any more
			return
		case s.stopping:
			reply <- answer{err: errShuttingDown}
			return
		}
		handle(s, reply)
	})
	return answered(ctx, r, reply)
}

// answered waits for the answer to an intent.
func answered(ctx context.Context, r *Remote, reply <-chan answer) (Done, error) {
	a, err := wait(ctx, r, reply)
	if err != nil {
		return Done{}, err
	}
	return a.done, a.err
}

// wait waits for what the loop sends. It fails when ctx or the loop ends.
func wait[T any](ctx context.Context, r *Remote, sent <-chan T) (T, error) {
	var none T
	select {
	case v := <-sent:
		return v, nil
	case <-ctx.Done():
		return none, context.Cause(ctx)
	case <-r.ended:
		select {
		case v := <-sent:
			return v, nil
		default:
			return none, errShuttingDown
		}
	}
}

// tell has the loop take an event.
func (r *Remote) tell(e event) {
	select {
	case r.events <- e:
	case <-r.ended:
	}
}

// Active returns the config in use; the id is 0 if there is none.
func (r *Remote) Active() (id int64, name string) {
	if active := r.snapshot.Load().status.Session; active != nil {
		return active.ConfigID, active.ConfigName
	}
	return 0, ""
}

// Proxy returns the way through the front while that is of use, else nil, and whether there is
// about to be one.
func (r *Remote) Proxy() (proxy *subscription.Proxy, soon bool) {
	snap := r.snapshot.Load()
	if snap.status.Session == nil || snap.status.State == ipc.StateFailed {
		return nil, snap.connecting
	}
	socks, _ := r.listeners.proxies()
	return &subscription.Proxy{
		Address: socks.Address, User: link.NewSecret(socks.User), Password: link.NewSecret(socks.Password),
	}, false
}

// Stopping returns why nothing new may begin; nil: it may.
func (r *Remote) Stopping() error {
	if r.snapshot.Load().stopping {
		return errShuttingDown
	}
	return nil
}

// InUse returns the ids of the configs that a session has, or is about to have.
func (r *Remote) InUse(ctx context.Context) (map[int64]bool, error) {
	used := make(chan map[int64]bool, 1)
	r.tell(func(s *Supervisor) { used <- s.inUse() })
	return wait(ctx, r, used)
}

// Changed reports that the stored configs have changed: count of them may be used now. eligible has
// those that may be chosen; nil: none has lost that.
func (r *Remote) Changed(count int, eligible map[int64]bool) {
	r.tell(func(s *Supervisor) { s.configsChanged(count, eligible) })
}

// Revised reports that what is listed of the configs has changed.
func (r *Remote) Revised() { r.tell(func(s *Supervisor) { s.revision++ }) }

// Ended is closed when the loop takes no more; its workers may not have ended yet.
func (r *Remote) Ended() <-chan struct{} { return r.ended }

// Ping returns that the daemon is there.
func (r *Remote) Ping() ipc.PingPayload {
	return ipc.PingPayload{DaemonReady: r.Stopping() == nil, PID: os.Getpid(), Version: r.version}
}
