package tray

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/assets"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

// ErrNoTray is returned by Run when no panel can show the icon. The error that wraps it says why,
// and what to do.
var ErrNoTray = errors.New("there is no tray to show the icon in")

// Options says where the tray finds what it works with.
type Options struct {
	// Client talks to the daemon.
	Client *ipc.Client
	// Launch starts the daemon and returns when it answers.
	Launch func(context.Context) error
	// WaitForTray waits for a panel instead of failing, for starts at login.
	WaitForTray bool
	// PrefsFile keeps what the user switched in the menu.
	PrefsFile string
	// LoginFile is the entry that starts the tray at login, and LoginExec the program in it; empty:
	// there is no such thing on this system.
	LoginFile, LoginExec string
	// LogDir is the directory of the daemon's logs.
	LogDir string
	Log    zerolog.Logger
}

// tray is the loop: its state, which belongs to one goroutine, and the channels to it and from it.
type tray struct {
	Options
	model     model
	incidents incidents
	delivery  delivery
	listed    listing // what the model's list of configs was fetched for
	fetching  bool    // the next list is on its way
	offered   menu    // to the painter

	painter  *painter
	notifier *notifier
	attacher *attacher
	clicks   <-chan slot
	opened   <-chan struct{}

	news    chan news
	results chan func() // of workers, to be applied in the loop
	quit    bool
	work    sync.WaitGroup
}

func newTray(o Options, clicks <-chan slot, opened <-chan struct{}) *tray {
	t := &tray{
		Options: o, clicks: clicks, opened: opened,
		news: make(chan news), results: make(chan func()),
	}
	t.attacher = &attacher{
		subscribe: o.Client.Subscribe, launch: o.Launch, again: make(chan struct{}, 1),
		tell: func(ctx context.Context, n news) {
			select {
			case t.news <- n:
			case <-ctx.Done():
			}
		},
	}
	t.loadPrefs()
	t.offered = t.model.menu(time.Now())
	return t
}

// run is the loop. It returns when ctx ends or the user quits. The goroutines that it started end
// with ctx; t.work waits for them.
func (t *tray) run(ctx context.Context) {
	t.work.Go(func() { t.attacher.run(ctx) })
	t.work.Go(func() { t.painter.run(ctx) })
	t.work.Go(func() { t.notifier.run(ctx) })
	var due <-chan time.Time // when the next notification may be due; nil: there is none
	for !t.quit {
		select {
		case <-ctx.Done():
			return
		case n := <-t.news:
			t.learn(ctx, n)
		case s := <-t.clicks:
			t.click(ctx, s)
		case key := <-t.notifier.actions:
			t.act(ctx, key)
		case <-t.opened:
			t.refresh(ctx)
		case apply := <-t.results:
			apply()
		case <-due:
		}
		due = t.deliver(time.Now())
		if m := t.model.menu(time.Now()); m != t.offered {
			t.offered = m
			t.painter.offer(m)
		}
	}
}

// learn updates the model with news of the daemon.
func (t *tray) learn(ctx context.Context, n news) {
	was := t.model.attachment
	t.model.attachment, t.model.status = n.attachment, n.status
	switch {
	case n.err != nil && t.model.notice != n.err.Error():
		t.Log.Warn().Err(n.err).Msg("the daemon is not usable")
		t.model.notice = n.err.Error()
		t.answer(assets.Failed, "The daemon is not usable", t.model.notice)
	case n.err == nil && was != n.attachment && n.attachment != absent:
		t.model.notice = ""
	}
	if n.attachment != attached {
		t.model.configs, t.listed = nil, listing{}
	}
	t.list(ctx)
	t.delivery.take(t.incidents.observe(n), time.Now())
}

// deliver sends the notification that is due, if there is one, and returns when to look again.
func (t *tray) deliver(now time.Time) <-chan time.Time {
	n, wait := t.delivery.due(now)
	if n != nil && t.model.notifications {
		t.notifier.send(*n)
	}
	if wait <= 0 {
		return nil
	}
	return time.After(wait)
}

// worker runs f in a goroutine; the loop then calls what f returns, unless that is nil.
func (t *tray) worker(ctx context.Context, f func(context.Context) func()) {
	t.work.Go(func() {
		apply := f(ctx)
		if apply == nil {
			return
		}
		select {
		case t.results <- apply:
		case <-ctx.Done():
		}
	})
}
