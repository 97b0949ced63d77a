package supervisor

import (
	"cmp"

	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// listeners are the front's, as those see them who ask whether they answer. Any goroutine may.
type listeners struct {
	open     func() (socks, http string) // where the front listens; empty: it does not
	settings settings.Front
}

// addresses are where applications reach the front, or will once it is open.
func (l listeners) addresses() (socks, http string) {
	socks, http = l.open()
	return cmp.Or(socks, l.settings.SOCKS), cmp.Or(http, l.settings.HTTP)
}

// proxies are the listeners as a prober wants them.
func (l listeners) proxies() (socks, http probe.Proxy) {
	socksAddress, httpAddress := l.addresses()
	return probe.Proxy{Address: socksAddress, User: l.settings.Username, Password: l.settings.Password},
		probe.Proxy{Address: httpAddress, User: l.settings.Username, Password: l.settings.Password}
}

// endpoint is an address that answers or does not.
type endpoint struct {
	protocol, address string
	state             string // one of those below
	detail            string // why it is unreachable
}

// The states of an endpoint; the wire has the same ones.
const (
	reachable   = "reachable"
	unreachable = "unreachable"
	notChecked  = "not_checked"
)

// endpoints lists the front's addresses in one state and the core's inbound in another. The inbound
// is internal to the daemon: it comes last and without its address.
func (l listeners) endpoints(front, core string) []endpoint {
	socks, http := l.addresses()
	return []endpoint{
		{protocol: "socks", address: socks, state: front},
		{protocol: "http", address: http, state: front},
		{protocol: "core", state: core},
	}
}

// found notes what asking an endpoint came to.
func (e *endpoint) found(err error) {
	e.state, e.detail = reachable, ""
	if err != nil {
		e.state, e.detail = unreachable, err.Error()
	}
}
