package front

import (
	"context"
	"net/http"
	"slices"
	"time"
)

// RoundTrip sends requests that may be repeated over kept-alive connections: when one of those
// turns out to be dead, the Transport repeats them by itself. All others get a connection of their
// own.
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

// hedge is one request that goes through a second core as well when the first is silent: on a
// kept-alive connection there is nothing between the requests that could tell it.
type hedge struct {
	w       *webServer
	r       *http.Request
	results chan *exchange
	over    chan struct{} // closed when nobody waits for results any more
	first   *exchange
	running []*exchange
	tried   []*target
	rescues int
	warned  bool
}

// exchange is a request on its way through one core, and its response.
type exchange struct {
	target *target
	stop   context.CancelFunc
	sent   int64 // on the front's clock
	res    *http.Response
	err    error
}

// hedge sends r through the core of st, and through others when that is silent. The first response
// wins.
func (w *webServer) hedge(r *http.Request, st *state) (*http.Response, error) {
	f := w.f
	h := &hedge{w: w, r: r, results: make(chan *exchange), over: make(chan struct{})}
	defer close(h.over)
	h.first = h.start(st.target)
	defer func() {
		if h.rescues > 0 {
			f.guard.over(r.URL.Host)
		}
	}()
	watch := time.NewTimer(f.guard.limit(st.target.ledger))
	defer watch.Stop()
	for {
		select {
		case e := <-h.results:
			h.running = slices.DeleteFunc(h.running, func(other *exchange) bool { return e == other })
			if e.err != nil && len(h.running) > 0 {
				continue
			}
			for _, other := range h.running {
				other.stop()
			}
			// What e.stop would end is read by the caller, and ends with the context of r.
			if e.err == nil {
				h.noteWon(e)
			}
			return e.res, e.err
		case <-watch.C:
			if wait := h.lookAgain(); wait > 0 {
				watch.Reset(wait)
			}
		}
	}
}

// start sends the request through the core of t.
func (h *hedge) start(t *target) *exchange {
	ctx, stop := context.WithCancel(h.r.Context())
	e := &exchange{target: t, stop: stop, sent: h.w.f.now()}
	h.running = append(h.running, e)
	h.tried = append(h.tried, t)
	h.w.wg.Go(func() {
		e.res, e.err = t.web.RoundTrip(h.r.WithContext(ctx))
		select {
		case h.results <- e:
		case <-h.over:
			if e.res != nil {
				e.res.Body.Close()
			}
		}
	})
	return e
}

// lookAgain decides what the silence of the newest exchange means. It returns how long it is until
// the next look; 0: there is none.
func (h *hedge) lookAgain() time.Duration {
	f, newest := h.w.f, h.running[len(h.running)-1]
	to, wait := f.judge(silence{
		target: newest.target, tried: h.tried, dest: h.r.URL.Host,
		sent: newest.sent, mayRepeat: func() bool { return true }, rescues: h.rescues, warned: &h.warned,
	})
	if to == nil {
		return wait
	}
	h.rescues++
	h.start(to.target)
	to.target.ledger.replayed.Add(1)
	return f.guard.limit(to.target.ledger)
}

// noteWon notes the response that came first.
func (h *hedge) noteWon(e *exchange) {
	f, first, host := h.w.f, h.first, h.r.URL.Host
	f.guard.answered(e.target.ledger, e.sent, f.now())
	switch {
	case h.rescues == 0:
	case e == first:
		f.guard.lost(host, time.Duration(f.now()-e.sent), f.now())
	default:
		f.guard.giveBack()
		e.target.ledger.rescued.Add(1)
		f.witness(first.target, Lossy, host)
		if first.target.ledger.rtt.proof.Load() <= first.sent {
			f.signal(first.target.id, Rescued)
		}
		f.scoreSilence(first.target, e.target)
	}
}
