//go:build !darwin || cgo

package tray

import (
	"context"
	"time"
)

const (
	// clickBacklog is how many clicks wait at most.
	clickBacklog = 16
	// quitTime bounds how long Run waits at the end for what is under way.
	quitTime = 2 * time.Second
)

// Run shows the tray and returns when ctx ends or the user quits. It must be called once in a
// process, from main itself, since some systems handle menus only on the first thread. The error is
// ErrNoTray, wrapped, where there is no panel.
func Run(ctx context.Context, o Options) error {
	bus, err := openDesktop(ctx, o.WaitForTray, o.Log)
	if err != nil || ctx.Err() != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	host := &systrayHost{clicks: make(chan slot, clickBacklog), opened: make(chan struct{}, 1)}
	t := newTray(o, host.clicks, host.opened)
	first := t.model.menu(time.Now())
	t.offered = first
	t.painter = newPainter(host, first)
	t.notifier = newNotifier(bus.notify, bus.actions, o.Log)
	built, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		select {
		case <-built:
		case <-ctx.Done():
			return
		}
		t.work.Go(func() { bus.keep(ctx, t.painter.again) })
		host.forward(ctx.Done(), &t.work)
		t.run(ctx)
		cancel()
		// A bus that hangs must not keep the user from quitting.
		bounded(context.Background(), quitTime, func() error { t.work.Wait(); return nil })
	}()
	runSystray(func() {
		host.build(first)
		close(built)
	}, finished)
	return nil
}
