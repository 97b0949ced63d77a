package tray

import (
	"context"
	"errors"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

const (
	// firstRetry and lastRetry bound the time between two looks for the daemon.
	firstRetry = 200 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// news is what the subscription has to say: a change of the attachment, or, while
// attached, a state of the daemon.
type news struct {
	attachment attachment
	status     ipc.StatusPayload
	err        error // why it is absent or unusable, where that is worth telling
}

// errSilent is what the user is told of a daemon that gives no first state.
var errSilent = errors.New("the daemon does not answer: it may be stopped or overloaded; see `xrat daemon restart`")

// attacher follows the daemon: it subscribes, and looks for the daemon again with
// a growing backoff when it goes away.
type attacher struct {
	subscribe func(context.Context, func(ipc.EventPayload) error) error
	launch    func(context.Context) error
	// report hands news on and returns when they were taken, so that nothing
	// piles up here: the daemon keeps the newest state for a slow reader.
	report func(context.Context, news)
	// again asks for the daemon to be started, now.
	again chan struct{}
}

// run follows the daemon until ctx ends. An absent daemon is started once, at
// the beginning; later only the user starts it, who may have stopped it.
func (a *attacher) run(ctx context.Context) {
	launch, retry := true, firstRetry
	for {
		seen, err := a.follow(ctx)
		if seen {
			launch, retry = false, firstRetry
		}
		gone := errors.Is(err, ipc.ErrNotRunning) || errors.Is(err, ipc.ErrNoReply)
		switch {
		case ctx.Err() != nil:
			return
		case gone && launch:
			launch = false
			a.report(ctx, news{attachment: starting})
			if err = a.launch(ctx); err == nil {
				continue
			}
			a.report(ctx, news{attachment: absent, err: err})
		case gone:
			a.report(ctx, news{attachment: absent})
		default:
			a.report(ctx, news{attachment: unusable, err: err})
		}
		select {
		case <-ctx.Done():
			return
		case <-a.again:
			launch, retry = true, firstRetry
		case <-time.After(retry):
			retry = min(2*retry, lastRetry)
		}
	}
}

// follow reports the daemon's states until the subscription breaks, and tells
// whether there were any.
func (a *attacher) follow(ctx context.Context) (seen bool, err error) {
	err = a.subscribe(ctx, func(e ipc.EventPayload) error {
		seen = true
		a.report(ctx, news{attachment: attached, status: e.Status})
		return ctx.Err()
	})
	if errors.Is(err, ipc.ErrNoAnswer) {
		err = errSilent
	}
	return seen, err
}
