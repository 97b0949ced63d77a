package supervisor

import (
	"sync"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// hub hands the newest state to every subscriber, without waiting for any.
type hub struct {
	mu          sync.Mutex
	seq         uint64
	closed      bool
	subscribers map[chan ipc.EventPayload]struct{}
}

func (h *hub) send(status func() ipc.StatusPayload) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seq++
	if len(h.subscribers) == 0 {
		return
	}
	event := ipc.EventPayload{Seq: h.seq, Status: status()}
	for c := range h.subscribers {
		select {
		case <-c: // an older state that nobody has taken
		default:
		}
		c <- event // has room: only this function sends, under the lock
	}
}

func (h *hub) subscribe(status func() ipc.StatusPayload) (<-chan ipc.EventPayload, func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := make(chan ipc.EventPayload, 1)
	if h.closed {
		close(c)
		return c, func() {}
	}
	if h.subscribers == nil {
		h.subscribers = make(map[chan ipc.EventPayload]struct{})
	}
	h.subscribers[c] = struct{}{}
	c <- ipc.EventPayload{Seq: h.seq, Status: status()}
	return c, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		delete(h.subscribers, c)
	}
}

// close ends every subscription.
func (h *hub) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	for c := range h.subscribers {
		close(c)
	}
	h.subscribers = nil
}
