package front

import (
	"bytes"
	"context"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
	"github.com/xrat-tray/xrat/runtime/trojan"
)

// A Target is one core, as the front sees it.
type Target struct {
	ID             int64  // the session that the core serves
	Address        string // the core's SOCKS inbound, an IP address with a port
	User, Password string // its credentials; an empty User means that it asks for none. Their length matters, see window.go

	// Relay is where the core takes datagrams, over Trojan with the same password, an IP address
	// with a port. "": it takes none.
	Relay string

	// Limited tells that the server was found to strangle work. It is still of use where the other
	// one is dead.
	Limited bool

	// Latency is what a probe through the core took last: the first estimate of how long it takes
	// to its first byte. Zero means that it is not known.
	Latency time.Duration
}

// String leaves the credentials out.
func (t Target) String() string { return t.Address }

// GoString leaves the credentials out.
func (t Target) GoString() string { return t.Address }

// target is a Target made ready for use.
type target struct {
	id      int64
	addr    netip.AddrPort
	address string // addr, for dialling
	relay   string // where it takes datagrams; "": it takes none
	joining []byte // what opens an association there
	auth    bool
	limited atomic.Bool
	opening []byte // greeting and credentials, sent together with the request
	ledger  *ledger
	web     *http.Transport // kept-alive connections of plain HTTP through this core

	// gone is since when the core has not taken connections, on the front's clock; 0: it does, as
	// far as known.
	gone atomic.Int64
}

func (t *target) is(other *target) bool {
	return t != nil && other != nil && t.id == other.id && t.addr == other.addr && t.relay == other.relay && bytes.Equal(t.opening, other.opening)
}

// follow takes over what may change of a target.
func (t *target) follow(next *target) {
	if t != nil {
		t.limited.Store(next.limited.Load())
	}
}

// state is what a connection reads to learn where to go. It is replaced as a whole and never
// changed.
type state struct {
	target *target // nil: nothing usable
	// ctx ends when this state has been replaced. Dials run under it, so that none hangs on a core
	// that was given up.
	ctx  context.Context
	done context.CancelFunc
	born time.Time
}

func newState(t *target) *state {
	ctx, done := context.WithCancel(context.Background())
	return &state{t, ctx, done, time.Now()}
}

// goneFor returns for how long the target has been of no use.
func (f *Front) goneFor(st *state) time.Duration {
	if st.target == nil {
		return time.Since(st.born)
	}
	if gone := st.target.gone.Load(); gone > 0 {
		return time.Duration(f.now() - gone)
	}
	return 0
}

// SetTarget makes t the target of all new connections, at once, and lets those that wait go on.
// Connections that run stay where they are. With nil, new connections wait, or go through the
// standby if there is one. The standby of [Front.SetStandby] can become the target: there is no
// standby then until the next SetStandby. Naming the current target again only tells its latency,
// and whether it is limited.
// Any goroutine may call it.
func (f *Front) SetTarget(t *Target) {
	f.setting.Lock()
	defer f.setting.Unlock()
	next := f.newTarget(t)
	if current := f.state.Load().target; next.is(current) {
		current.follow(next)
		return
	}
	standby := f.standby.Load()
	var promoted *state
	if next.is(standby.target) {
		promoted = standby
	}
	old := f.state.Load()
	switch {
	case promoted != nil:
		f.state.Store(promoted)
		f.standby.Store(newState(nil))
	default:
		f.state.Store(newState(next))
		if next != nil && standby.target != nil && next.id == standby.target.id {
			f.dropStandby() // the same core at another address
		}
	}
	old.done()
	if old.target != nil {
		old.target.web.CloseIdleConnections()
	}
	f.moveAssociations()
}

// SetStandby names the core through which connections may be rescued; nil: none. The current target
// cannot be its own standby. Connections that run through the old standby stay where they are. Any
// goroutine may call it.
func (f *Front) SetStandby(t *Target) {
	f.setting.Lock()
	defer f.setting.Unlock()
	next := f.newTarget(t)
	if current := f.standby.Load().target; next.is(current) {
		current.follow(next)
		return
	}
	if current := f.state.Load().target; next != nil && current != nil && next.id == current.id {
		next = nil
	}
	f.dropStandby()
	if next != nil {
		f.standby.Swap(newState(next)).done()
	}
}

// dropStandby needs setting.
func (f *Front) dropStandby() {
	old := f.standby.Swap(newState(nil))
	old.done()
	if old.target != nil {
		old.target.web.CloseIdleConnections()
	}
}

// newTarget returns nil for nil, and for an address that is none.
func (f *Front) newTarget(t *Target) *target {
	if t == nil {
		return nil
	}
	addr, err := netip.ParseAddrPort(t.Address)
	if err != nil {
		f.log.Error().Int64("session_id", t.ID).Msg("the core's inbound is not an IP address with a port; connections wait")
		return nil
	}
	next := &target{
		id: t.ID, addr: addr, address: addr.String(), auth: t.User != "", opening: socks5.AppendOpening(nil, t.User, t.Password),
		relay: t.Relay, joining: trojan.AppendAssociate(nil, t.Password), ledger: f.ledger(t.ID),
	}
	next.limited.Store(t.Limited)
	next.ledger.rtt.seed(t.Latency)
	next.web = f.newTransport(next)
	return next
}

func (f *Front) moveAssociations() {
	current := f.state.Load().target
	f.mu.Lock()
	all := make([]*association, 0, len(f.associations))
	for a := range f.associations {
		all = append(all, a)
	}
	f.mu.Unlock()
	for _, a := range all {
		a.retireOld(current)
	}
}
