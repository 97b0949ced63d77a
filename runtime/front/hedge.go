package front

import (
	"context"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// RoundTrip sends requests that may be repeated over kept-alive connections: when one of those turns out to be dead, the
// Transport repeats them by itself. All others get a connection of their own.
func (w *webServer) RoundTrip(r *http.Request) (*http.Response, error) {
	if !repeatable(r) {
		return w.fresh.RoundTrip(r)
	}
	st := w.f.state.Load()
	if standby := w.f.standIn(); standby != nil && !(safeToHedge(r) && w.f.guard.tryTarget(w.f.now())) {
		st = standby
	}
	switch {
	case st.target == nil:
		return w.fresh.RoundTrip(r)
	case !safeToHedge(r):
		return st.target.web.RoundTrip(r)
	}
	return w.hedge(r, st)
}

func repeatable(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return r.Body == nil || r.Body == http.NoBody
	}
	return false
}

// safeToHedge is mayRepeat for a request that has been parsed.
func safeToHedge(r *http.Request) bool {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	for name, values := range r.Header {
		for _, v := range values {
			if !isSafeField(name, v) {
				return false
			}
		}
	}
	return true
}

// exchange is a request on its way through one core.
type exchange struct {
	target *target
	stop   context.CancelFunc
	sent   int64 // on the front's clock
	res    *http.Response
	err    error
}

// hedge sends r through the core of st, and through another one as well when that is silent: on a kept-alive connection
// there is nothing between the requests that could tell it. The first response wins.
func (w *webServer) hedge(r *http.Request, st *state) (*http.Response, error) {
	f := w.f
	results, over := make(chan *exchange), make(chan struct{})
	defer close(over)
	var running []*exchange
	var tried []*target
	start := func(t *target) *exchange {
		ctx, stop := context.WithCancel(r.Context())
		a := &exchange{target: t, stop: stop, sent: f.now()}
		running = append(running, a)
		tried = append(tried, t)
		w.wg.Go(func() {
			a.res, a.err = t.web.RoundTrip(r.WithContext(ctx))
			select {
			case results <- a:
			case <-over:
				if a.res != nil {
					a.res.Body.Close()
				}
			}
		})
		return a
	}
	first := start(st.target)
	warned, rescues := false, 0
	defer func() {
		if rescues > 0 {
			f.guard.over(r.URL.Host)
		}
	}()
	watch := time.NewTimer(f.guard.limit(st.target.ledger))
	defer watch.Stop()
	for {
		select {
		case a := <-results:
			running = slices.DeleteFunc(running, func(b *exchange) bool { return a == b })
			if a.err != nil && len(running) > 0 {
				continue
			}
			for _, b := range running {
				b.stop()
			}
			// What a.stop would end is read by the caller, and ends with the context of r.
			if a.err == nil {
				w.won(a, first, rescues, r.URL.Host)
			}
			return a.res, a.err
		case <-watch.C:
			newest := running[len(running)-1]
			to, wait := f.judge(silence{
				target: newest.target, tried: func(t *target) bool { return slices.Contains(tried, t) }, dest: r.URL.Host,
				sent: newest.sent, safe: func() bool { return true }, rescues: rescues, warned: &warned,
			})
			if to != nil {
				rescues++
				start(to.target)
				to.target.ledger.replayed.Add(1)
				wait = f.guard.limit(to.target.ledger)
			}
			if wait > 0 {
				watch.Reset(wait)
			}
		}
	}
}

// won notes the response that came first.
func (w *webServer) won(a, first *exchange, rescues int, host string) {
	f := w.f
	f.guard.answered(a.target.ledger, a.sent, f.now())
	switch {
	case rescues == 0:
	case a == first:
		f.guard.lost(host, time.Duration(f.now()-a.sent), f.now())
	default:
		f.guard.giveBack()
		a.target.ledger.rescued.Add(1)
		if first.target.ledger.rtt.proof.Load() <= first.sent {
			f.signal(first.target.id, Rescued)
		}
		f.scoreSilence(first.target, a.target)
	}
}

// newTransport makes the way to origins. It dials the core and nothing else, and knows no proxy of the environment. With a
// target the connections lead through it as long as it is in use, and are kept alive; without, each is for one request.
func (f *Front) newTransport(t *target) *http.Transport {
	return &http.Transport{
		DialContext: func(_ context.Context, _, hostport string) (net.Conn, error) {
			return f.dialWeb(t, hostport)
		},
		DisableCompression:    true,
		DisableKeepAlives:     t == nil,
		MaxIdleConns:          64,
		MaxIdleConnsPerHost:   16,
		IdleConnTimeout:       upstreamIdle,
		ExpectContinueTimeout: time.Second,
	}
}

func (f *Front) dialWeb(t *target, hostport string) (net.Conn, error) {
	dest, err := socks5.ParseAddress(hostport)
	if err != nil {
		return nil, err
	}
	f.mu.Lock()
	r := f.run
	f.mu.Unlock()
	if r == nil {
		return nil, net.ErrClosed
	}
	// The connection may outlive the request for which it is dialled.
	ctx, stop := context.WithCancel(r.ctx)
	u := &upstream{f: f, ctx: ctx, stop: stop, dest: dest, hedged: t != nil}
	var via *state
	if st := f.standby.Load(); t != nil && st.target == t {
		via = st
	} else if st := f.state.Load(); t != nil && st.target == t {
		via = st
	}
	if err := u.connect(nil, nil, via); err != nil {
		stop()
		return nil, err
	}
	return u, nil
}
