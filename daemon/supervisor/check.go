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
	"github.com/xrat-tray/xrat/runtime/probe"
)

// checker makes checks. It belongs to workers and has no state.
type checker struct {
	settings    settings.Health
	listeners   listeners
	probe       func(ctx context.Context, core probe.Proxy, first int) probe.Result
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
	var socksErr, httpErr error
	socks, http := c.listeners.proxies()
	limited, cancel := context.WithTimeout(ctx, c.settings.Timeout.Std())
	defer cancel()
	handshakes, stop := context.WithCancelCause(limited)
	defer stop(nil)
	asked := time.Now()
	var asking sync.WaitGroup
	asking.Go(func() { socksErr = c.handshake(handshakes, socks) })
	asking.Go(func() { httpErr = c.httpInbound(handshakes, http) })
	asking.Go(func() {
		err := order.session.Core.Health(handshakes)
		switch cause := context.Cause(handshakes); {
		case cause == nil || errors.Is(cause, context.DeadlineExceeded):
			result.core = err
		case err != nil && errors.Is(cause, errCoreSilent):
			result.core = cause
		}
	})
	var control measure
	if order.control != nil {
		control = c.measuring(order.control)
	}
	result.findings = examine(ctx, order.exam, c.measuring(order.session), control, order.doubtful)
	if !result.findings.Alive {
		// The verdict need not wait for the rest. A core that is silent for so long is frozen.
		why := context.Canceled
		if time.Since(asked) >= silentTime {
			why = errCoreSilent
		}
		stop(why)
		result.offline = !c.online(order.session.Config.Address)
	}
	asking.Wait()
	result.endpoints = c.listeners.endpoints(notChecked, notChecked)
	for i, err := range []error{socksErr, httpErr, result.core} {
		result.endpoints[i].found(err)
	}
	result.endpoints[2].detail = "" // internal to the daemon
	return result
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
