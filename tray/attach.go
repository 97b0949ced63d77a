package tray

import (
	"context"
	"errors"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

const (
	// firstRetry and lastRetry bound the time between two attempts to reach the daemon.
	firstRetry = 200 * time.Millisecond
	lastRetry  = 10 * time.Second
)

// news is what comes from the daemon: how the tray is attached to it, and while it is, the state.
type news struct {
	attachment attachment
	status     ipc.StatusPayload
	err        error // why it is absent or unusable, if the user should know
}

// errSilent is what the user is told of a daemon that gives no first state.
var errSilent = errors.New("the daemon does not answer: it may be stopped or overloaded; see `xrat daemon restart`")

// attacher follows the daemon: it subscribes to the state, and when the daemon goes away it tries
// again at growing intervals.
type attacher struct {
	subscribe func(context.Context, func(ipc.EventPayload) error) error
	launch    func(context.Context) error
	// tell hands news on and returns when they have been taken, so that nothing piles up here: the
	// daemon keeps the newest state for a slow reader.
	tell func(context.Context, news)
	// again asks it to start the daemon now.
	again chan struct{}
}

// run follows the daemon until ctx ends. At the beginning it starts an absent daemon, once; later
// only the user does, who may have stopped it.
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
			a.tell(ctx, news{attachment: starting})
			if err = a.launch(ctx); err == nil {
				continue
			}
			a.tell(ctx, news{attachment: absent, err: err})
		case gone:
			a.tell(ctx, news{attachment: absent})
		default:
			a.tell(ctx, news{attachment: unusable, err: err})
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

// follow hands the daemon's states on until the connection breaks, and reports whether there were
// any.
func (a *attacher) follow(ctx context.Context) (seen bool, err error) {
	err = a.subscribe(ctx, func(e ipc.EventPayload) error {
		seen = true
		a.tell(ctx, news{attachment: attached, status: e.Status})
		return ctx.Err()
	})
	if errors.Is(err, ipc.ErrNoAnswer) {
		err = errSilent
	}
	return seen, err
}
