package tray

import (
	"context"
	"sync/atomic"
	"time"
)

// paintSpacing is the shortest time between two changes of the menu. Each change
// is a round through the bus and the panel.
const paintSpacing = 250 * time.Millisecond

// painter brings menus to the screen in a goroutine of its own, since a panel
// that hangs must not keep the tray from doing its work. Of menus that come
// faster than it paints, it shows the newest.
type painter struct {
	screen screen
	next   chan menu     // holds the newest that is not shown yet
	anew   chan struct{} // asks for the menu to be made anew
	shown  atomic.Pointer[menu]
}

// screen is where the menu is seen. One goroutine calls it.
type screen interface {
	// show makes the differences to what is shown visible.
	show(menu)
	// rebuild makes the menu anew, for a panel that has never seen it.
	rebuild(menu)
}

func newPainter(s screen, first menu) *painter {
	p := &painter{screen: s, next: make(chan menu, 1), anew: make(chan struct{}, 1)}
	p.shown.Store(&first)
	return p
}

// again has the menu made anew. Any goroutine may call it; it never blocks.
func (p *painter) again() {
	select {
	case p.anew <- struct{}{}:
	default: // it is going to be
	}
}

// offer makes m the next menu; only one goroutine may call it. It never blocks.
func (p *painter) offer(m menu) {
	select {
	case <-p.next:
	default:
	}
	p.next <- m // has room: the painter only takes
}

func (p *painter) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case m := <-p.next:
			p.screen.show(m)
			p.shown.Store(&m)
		case <-p.anew:
			p.screen.rebuild(*p.shown.Load())
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(paintSpacing):
		}
	}
}
