package tray

import (
	"context"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

const (
	// listSpacing is how long news of the configs' health may wait.
	listSpacing = time.Second
	// listTime bounds the fetching of one list, so that a daemon that hangs does not keep the tray
	// from asking the next one.
	listTime = 3 * time.Second
)

// listing is what a list of configs depends on: which configs there are, and what is known of them,
// which changes with the session and its state.
type listing struct {
	attached bool
	revision uint64
	session  int64
	state    ipc.State
}

func listingOf(p ipc.StatusPayload) listing {
	l := listing{attached: true, revision: p.ConfigsRevision, state: p.State}
	if p.Session != nil {
		l.session = p.Session.ID
	}
	return l
}

// list fetches the configs if the model's list is not the newest, one fetch at a time. When only
// what is known of them has changed, it waits a moment: the daemon records that after it has
// published the state, and states can come fast.
func (t *tray) list(ctx context.Context) {
	want := listingOf(t.model.status)
	if t.model.attachment != attached || t.fetching || t.listed == want {
		return
	}
	t.fetching = true
	known := t.listed.attached && t.listed.revision == want.revision
	t.worker(ctx, func(ctx context.Context) func() {
		if known && !pause(ctx, listSpacing) {
			return nil
		}
		ctx, cancel := context.WithTimeout(ctx, listTime)
		defer cancel()
		// The state first: a change in between only means one list too many.
		var configs []ipc.ConfigPayload
		status, err := t.Client.Status(ctx)
		if err == nil {
			configs, err = t.Client.Configs(ctx)
		}
		return func() {
			t.fetching = false
			if err != nil {
				t.Log.Warn().Err(err).Msg("listing the configs")
				return // the next state asks again
			}
			if t.model.attachment == attached {
				t.model.configs, t.listed = bestFirst(configs), listingOf(status)
			}
			t.list(ctx)
		}
	})
}

// refresh updates what changes without an event, since the menu has just been opened. Not every
// panel reports that; the daemon's next check has to do then.
func (t *tray) refresh(ctx context.Context) {
	if t.model.attachment != attached {
		return
	}
	t.worker(ctx, func(ctx context.Context) func() {
		status, err := t.Client.Status(ctx)
		return func() {
			// Only what comes with no event: an event may have been faster than this.
			if s, now := status.Session, t.model.status.Session; err == nil && s != nil && now != nil && s.ID == now.ID {
				t.model.status.Traffic = status.Traffic
			}
		}
	})
}
