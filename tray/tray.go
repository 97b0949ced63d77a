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

// ErrNoTray is returned by Run when there is no panel that could show the icon.
// What wraps it says why, and what to do.
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
	// LoginFile is the entry that starts the tray at login, and LoginExec the
	// program in it; empty: there is no such thing on this system.
	LoginFile, LoginExec string
	// LogDir is the directory of the daemon's logs.
	LogDir string
	Log    zerolog.Logger
}

// tray is the state, which belongs to the goroutine of its loop, and the ways in
// and out.
type tray struct {
	Options
	model     model
	incidents incidents
	delivery  delivery
	listed    listing // what the list of configs in the model is about
	fetching  bool    // the next list
	offered   menu

	painter  *painter
	notifier *notifier
	attacher *attacher
	clicks   <-chan slot
	opened   <-chan struct{}

	news    chan news
	reports chan func() // what workers came to, to be done in the loop
	quit    bool
	work    sync.WaitGroup
}

func newTray(o Options, clicks <-chan slot, opened <-chan struct{}) *tray {
	t := &tray{
		Options: o, clicks: clicks, opened: opened,
		news: make(chan news), reports: make(chan func()),
	}
	t.attacher = &attacher{
		subscribe: o.Client.Subscribe, launch: o.Launch, again: make(chan struct{}, 1),
		report: func(ctx context.Context, n news) {
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

// run is the loop. It ends when ctx does or the user quits. What it started ends
// with ctx, and is known to t.work.
func (t *tray) run(ctx context.Context) {
	t.work.Go(func() { t.attacher.run(ctx) })
	t.work.Go(func() { t.painter.run(ctx) })
	t.work.Go(func() { t.notifier.run(ctx) })
	var due <-chan time.Time // when the delivery wants to be looked at; nil: never
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
		case report := <-t.reports:
			report()
		case <-due:
		}
		due = t.deliver(time.Now())
		if m := t.model.menu(time.Now()); m != t.offered {
			t.offered = m
			t.painter.offer(m)
		}
	}
}

// learn takes news of the daemon over into the model.
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

// listing is what a list of configs depends on: which there are, and what is known
// of them, which changes with the session and its state.
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

// deliver sends the notification that is due, if any, and says when to look again.
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

// worker runs f in a goroutine; what f returns is then done in the loop.
func (t *tray) worker(ctx context.Context, f func(context.Context) func()) {
	t.work.Go(func() {
		report := f(ctx)
		if report == nil {
			return
		}
		select {
		case t.reports <- report:
		case <-ctx.Done():
		}
	})
}
