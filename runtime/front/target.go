package front

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"
)

// A Target is one core, as the front sees it.
type Target struct {
	ID             int64  // the session that the traffic belongs to
	Address        string // the core's SOCKS inbound, an IP address with a port
	User, Password string // its credentials; an empty User means that it asks for none
}

// String leaves the credentials out.
func (t Target) String() string { return t.Address }

// GoString leaves the credentials out.
func (t Target) GoString() string { return t.Address }

// target is a Target made ready for use.
type target struct {
	id       int64
	addr     netip.AddrPort
	address  string // addr, for dialling
	auth     bool
	greeting []byte // greeting and credentials, sent together with the request
	session  *session
	web      *http.Transport // kept-alive connections of plain HTTP through this core
}

// state is what a connection reads to learn where to go. It is replaced as a whole and never changed.
type state struct {
	target *target // nil: nothing usable
	// ctx ends when this state has been replaced. Dials run under it, so that none hangs on a core that was given up.
	ctx  context.Context
	done context.CancelFunc
}

func newState(t *target) *state {
	ctx, done := context.WithCancel(context.Background())
	return &state{t, ctx, done}
}

// SetTarget makes t the target of all new connections, at once, and lets those that wait go on. Connections that run stay
// where they are. With nil, new connections wait. Any goroutine may call it.
func (f *Front) SetTarget(t *Target) {
	var next *target
	if t != nil {
		addr, err := netip.ParseAddrPort(t.Address)
		if err != nil {
			f.log.Error().Int64("session_id", t.ID).Msg("the core's inbound is not an IP address with a port; connections wait")
		} else {
			next = &target{
				id: t.ID, addr: addr, address: addr.String(), auth: t.User != "", greeting: appendGreeting(nil, t.User, t.Password),
				session: f.session(t.ID), web: f.newTransport(true),
			}
		}
	}
	f.replaceState(newState(next))
}

func (f *Front) replaceState(next *state) {
	old := f.state.Swap(next)
	old.done()
	if old.target != nil && old.target != next.target {
		old.target.web.CloseIdleConnections()
	}
	f.mu.Lock()
	all := make([]*association, 0, len(f.associations))
	for a := range f.associations {
		all = append(all, a)
	}
	f.mu.Unlock()
	for _, a := range all {
		a.retireOld(next.target)
	}
}

// errNoCore is the end of the wait for a usable core.
var errNoCore = errors.New("no working server")

// retryDelays are the pauses between dials of a target that refuses. The last one repeats. A core that was restarted in
// place is back after about 15 ms.
var retryDelays = []time.Duration{
	5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond,
}

// dial connects to the current core on behalf of u and enters u in the books of its session. It waits for a core up to
// Options.Wait. The error is errNoCore or that of ctx; u is in no books then.
func (f *Front) dial(ctx context.Context, u user) (*net.TCPConn, *target, error) {
	var timeout <-chan time.Time
	for try := 0; ; {
		if err := ctx.Err(); err != nil {
			return nil, nil, err
		}
		st := f.state.Load()
		var again <-chan time.Time
		if t := st.target; t != nil {
			// Enter first, then make sure that the target is still the current one: either Drain finds u in the books,
			// or the swap before that Drain is seen here.
			t.session.enter(u)
			if f.state.Load() != st {
				t.session.leave(u)
				continue
			}
			// Not DialTCP: its empty local address costs a bind.
			conn, err := f.dialer.DialContext(st.ctx, "tcp", t.address)
			if err == nil {
				t.session.connections.Add(1)
				return conn.(*net.TCPConn), t, nil
			}
			t.session.leave(u)
			if st.ctx.Err() == nil {
				if !outOfFiles(err) {
					f.signal(t.id, DialRefused)
				}
				again = time.After(retryDelays[min(try, len(retryDelays)-1)])
				try++
			}
		}
		if timeout == nil {
			timer := time.NewTimer(f.o.Wait)
			defer timer.Stop()
			timeout = timer.C
			f.waiting.Add(1)
			defer f.waiting.Add(-1)
		}
		select {
		case <-st.ctx.Done():
			if f.state.Load().target != st.target {
				try = 0
			}
		case <-again:
		case <-timeout:
			return nil, nil, errNoCore
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// outOfFiles tells whether err is about our own limit of open files, for which no core is to blame.
func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}
