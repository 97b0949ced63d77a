package supervisor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/xrat-tray/xrat/daemon/liveness"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
)

// checker makes checks. It belongs to workers and has no state.
type checker struct {
	settings    settings.Health
	listeners   listeners
	probe       func(ctx context.Context, core probe.Proxy, first int) probe.Result
	work        func(ctx context.Context, core probe.Proxy, first int) probe.Work
	evidence    func(id int64) front.Evidence
	online      func(host string) bool
	handshake   func(ctx context.Context, inbound probe.Proxy) error
	httpInbound func(ctx context.Context, inbound probe.Proxy) error
	capLog      func()
}

// checkOrder says what is to be checked.
type checkOrder struct {
	session *session.Session
	control *session.Session // nil: there is none
	exam    liveness.Examination
	offline bool // was the last time
	// inbounds: the front's listeners and the core's inbound are asked in any case. Otherwise they
	// are if there is doubt; an answer of the way out has come through the core's.
	inbounds bool
	// doubtful is called once, when there is a reason for doubt in what was measured.
	doubtful func()
}

// checkResult is what one check saw.
type checkResult struct {
	core      error      // why the core's inbound does not answer
	endpoints []endpoint // nil: nothing was asked
	findings  liveness.Findings
	control   *store.Config // what the control was; nil: there was none
	urgent    bool          // strong hints had brought it about
	hinted    bool          // or any
	offline   bool
}

// check measures everything that a session needs to work.
func (c checker) check(ctx context.Context, order checkOrder) checkResult {
	var result checkResult
	if order.control != nil {
		result.control = &order.control.Config
	}
	if order.offline && !c.online(order.session.Config.Address) {
		result.offline = true
		return result
	}
	defer c.capLog()
	inbounds := inboundCheck{checker: c, core: order.session.Core}
	if order.inbounds {
		inbounds.begin(ctx)
	}
	doubtful := func() {
		inbounds.begin(ctx)
		order.doubtful()
	}
	var control measure
	if order.control != nil {
		control = c.measuring(order.control)
	}
	result.findings = examine(ctx, order.exam, c.measuring(order.session), control, doubtful)
	if !result.findings.Alive {
		inbounds.hurry()
		result.offline = !c.online(order.session.Config.Address)
	}
	result.endpoints, result.core = inbounds.end()
	return result
}

// inboundCheck asks the listeners of the front and the inbound of a core whether they answer. It
// belongs to one goroutine.
type inboundCheck struct {
	checker
	core session.Core

	began                      time.Time // zero: nobody is asked
	stop                       context.CancelCauseFunc
	asking                     sync.WaitGroup
	socksErr, httpErr, coreErr error
}

// begin asks, unless that is under way.
func (i *inboundCheck) begin(ctx context.Context) {
	if !i.began.IsZero() {
		return
	}
	i.began = time.Now()
	socks, http := i.listeners.proxies()
	limited, cancel := context.WithTimeout(ctx, i.settings.Timeout.Std())
	ctx, stop := context.WithCancelCause(limited)
	i.stop = func(cause error) {
		stop(cause)
		cancel()
	}
	i.asking.Go(func() { i.socksErr = i.handshake(ctx, socks) })
	i.asking.Go(func() { i.httpErr = i.httpInbound(ctx, http) })
	i.asking.Go(func() {
		err := i.core.Health(ctx)
		switch cause := context.Cause(ctx); {
		case cause == nil || errors.Is(cause, context.DeadlineExceeded):
			i.coreErr = err
		case err != nil && errors.Is(cause, errCoreSilent):
			i.coreErr = cause
		}
	})
}

// hurry says that there is a verdict, which need not wait for the rest. A core that has been silent
// for so long is frozen.
func (i *inboundCheck) hurry() {
	if i.began.IsZero() {
		return
	}
	why := context.Canceled
	if time.Since(i.began) >= silentTime {
		why = errCoreSilent
	}
	i.stop(why)
}

// end waits for the answers: the endpoints, nil if nobody was asked, and why the core's inbound
// does not answer.
func (i *inboundCheck) end() ([]endpoint, error) {
	if i.began.IsZero() {
		return nil, nil
	}
	i.asking.Wait()
	i.stop(nil)
	endpoints := i.listeners.endpoints(notChecked, notChecked)
	for n, err := range []error{i.socksErr, i.httpErr, i.coreErr} {
		endpoints[n].found(err)
	}
	endpoints[2].detail = "" // internal to the daemon
	return endpoints, i.coreErr
}

// codeInbound is the code of a core that does not answer.
const codeInbound = "inbound_unreachable"

// silentTime is how long the core's inbound must have been silent by the time of the verdict to be
// the reason for it. It is asked on this machine, and answers within milliseconds.
const silentTime = time.Second

var errCoreSilent = errors.New("its inbound is silent")

// measure measures a way out once, beginning with the URL number first.
type measure = func(ctx context.Context, first int) probe.Result

// measuring returns how a session's way out is measured. Without URLs that is only whether its
// inbound answers.
func (c checker) measuring(s *session.Session) measure {
	if len(c.settings.URLs) > 0 {
		return func(ctx context.Context, first int) probe.Result { return c.probe(ctx, s.Proxy(), first) }
	}
	return func(ctx context.Context, _ int) probe.Result {
		ctx, cancel := context.WithTimeout(ctx, c.settings.Timeout.Std())
		defer cancel()
		if err := s.Core.Health(ctx); err != nil {
			return probe.Result{Class: codeInbound, Err: err}
		}
		return probe.Result{OK: true, Class: probe.ClassOK}
	}
}
