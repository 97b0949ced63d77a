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
	show  func(menu)
	next  chan menu // holds the newest that is not shown yet
	shown atomic.Pointer[menu]
}

func newPainter(show func(menu), first menu) *painter {
	p := &painter{show: show, next: make(chan menu, 1)}
	p.shown.Store(&first)
	return p
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
			p.show(m)
			p.shown.Store(&m)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(paintSpacing):
		}
	}
}
