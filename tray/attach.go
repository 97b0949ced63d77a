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
	// reviveTime is how long a daemon that was lost may take to come back by itself, as it does
	// when there is a data plane, before the tray starts it. From the third in a row on, each of
	// which lasted less than soonLost, it takes longer, up to lastRevive.
	reviveTime = time.Second
	lastRevive = 10 * time.Minute
	soonLost   = time.Minute
)

// news is what comes from the daemon: how the tray is attached to it, and while it is, the state.
type news struct {
	attachment attachment
	status     ipc.StatusPayload
	err        error // why it is absent or unusable, if the user should know
	asked      bool  // it is absent because somebody has stopped it
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

	ending bool // the daemon that was followed last has said that it was about to end
}

// run follows the daemon until ctx ends. At the beginning it starts an absent daemon, once, and
// later one that has ended without being asked to; otherwise only the user does.
func (a *attacher) run(ctx context.Context) {
	launch, retry := true, firstRetry
	var revive revival
	for {
		began := time.Now()
		seen, err := a.follow(ctx)
		if seen {
			launch, retry = false, firstRetry
			revive.lost(time.Now(), time.Since(began), a.ending)
		}
		gone := errors.Is(err, ipc.ErrNotRunning) || errors.Is(err, ipc.ErrNoReply)
		launch = launch || revive.due(time.Now())
		switch {
		case ctx.Err() != nil:
			return
		case gone && launch:
			launch = false
			a.tell(ctx, news{attachment: starting})
			if err = a.launch(ctx); err == nil {
				continue
			}
			revive.failed(time.Now())
			a.tell(ctx, news{attachment: absent, err: err})
		case gone:
			a.tell(ctx, news{attachment: absent, asked: a.ending})
		default:
			a.tell(ctx, news{attachment: unusable, err: err})
		}
		select {
		case <-ctx.Done():
			return
		case <-a.again:
			launch, retry = true, firstRetry
		case <-time.After(revive.sooner(retry, time.Now())):
			retry = min(2*retry, lastRetry)
		}
	}
}

// revival is when a daemon that was lost is started again.
type revival struct {
	at     time.Time // zero: not at all
	losses int       // in a row
}

// lost notes the end of a daemon that was followed for a while. asked: it was stopped.
func (r *revival) lost(now time.Time, after time.Duration, asked bool) {
	if after >= soonLost || asked {
		r.losses = 0
	}
	if r.at = (time.Time{}); !asked {
		r.losses++
		r.at = now.Add(r.pause())
	}
}

// failed notes that it could not be started.
func (r *revival) failed(now time.Time) {
	if r.losses > 0 {
		r.losses++
		r.at = now.Add(r.pause())
	}
}

func (r *revival) pause() time.Duration {
	if r.losses < 3 {
		return reviveTime
	}
	return min(reviveTime<<min(r.losses, 20), lastRevive)
}

// due reports whether the time has come. The next time comes after another pause.
func (r *revival) due(now time.Time) bool {
	if r.at.IsZero() || now.Before(r.at) {
		return false
	}
	r.at = now.Add(r.pause())
	return true
}

// sooner returns the wait until the daemon is due to be started, or retry if that is shorter.
func (r *revival) sooner(retry time.Duration, now time.Time) time.Duration {
	if r.at.IsZero() {
		return retry
	}
	return min(retry, max(r.at.Sub(now), firstRetry))
}

// follow hands the daemon's states on until the connection breaks, and reports whether there were
// any.
func (a *attacher) follow(ctx context.Context) (seen bool, err error) {
	err = a.subscribe(ctx, func(e ipc.EventPayload) error {
		seen = true
		a.ending = e.Status.Daemon != nil && e.Status.Daemon.Ending
		a.tell(ctx, news{attachment: attached, status: e.Status})
		return ctx.Err()
	})
	if errors.Is(err, ipc.ErrNoAnswer) {
		err = errSilent
	}
	return seen, err
}
