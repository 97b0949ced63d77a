package tray

import (
	"context"
	"sync/atomic"
	"time"
)

// paintSpacing is the shortest time between two changes of the menu. Each change is a round through
// the bus and the panel.
const paintSpacing = 250 * time.Millisecond

// painter brings menus to the screen in a goroutine of its own, so that a panel that hangs does not
// keep the tray from its work. Of menus that come faster than it paints, it shows the newest.
type painter struct {
	screen screen
	next   chan menu          // holds the newest one that is not shown yet
	anew   chan chan struct{} // asks for the menu to be made anew
	shown  atomic.Pointer[menu]
}

// screen is where the menu is seen. One goroutine calls it.
type screen interface {
	// show changes what differs from the menu that is shown.
	show(menu)
	// rebuild makes the menu anew, for a panel that has never seen it.
	rebuild(menu)
}

func newPainter(s screen, first menu) *painter {
	p := &painter{screen: s, next: make(chan menu, 1), anew: make(chan chan struct{})}
	p.shown.Store(&first)
	return p
}

// again makes the menu anew and returns when that is done, or ctx is. Any goroutine but the
// painter's may call it.
func (p *painter) again(ctx context.Context) {
	done := make(chan struct{})
	select {
	case p.anew <- done:
	case <-ctx.Done():
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// offer makes m the next menu; only one goroutine may call it. It never blocks.
func (p *painter) offer(m menu) {
	select {
	case <-p.next:
	default:
	}
	p.next <- m // has room: the painter puts nothing in
}

func (p *painter) run(ctx context.Context) {
	next := (<-chan menu)(p.next)
	var rested <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-next:
			p.screen.show(m)
			p.shown.Store(&m)
			next, rested = nil, time.After(paintSpacing)
		case <-rested:
			next, rested = p.next, nil
		case done := <-p.anew: // at once: a panel is about to ask
			p.screen.rebuild(*p.shown.Load())
			close(done)
		}
	}
}
