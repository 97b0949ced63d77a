package daemontest

import (
	"context"

	"github.com/xrat-tray/xrat/runtime/front"
)

// Open implements session.Front.
func (w *World) Open(context.Context) error {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if w.OpenErr != nil {
		return w.OpenErr
	}
	w.FrontOpen = true
	return nil
}

// Close implements session.Front.
func (w *World) Close() error {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.FrontOpen = false
	return nil
}

// SetTarget implements supervisor.Front.
func (w *World) SetTarget(t *front.Target) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if t == nil && w.target != nil && w.FrontOpen {
		w.Gaps++
	}
	w.target = t
	if t != nil && w.standbyTarget != nil && w.standbyTarget.ID == t.ID {
		w.standbyTarget = nil
	}
	if t != nil {
		w.served[t.ID] = true
	}
}

// SetStandby implements supervisor.Front.
func (w *World) SetStandby(t *front.Target) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.standbyTarget = t
	if t != nil && w.target != nil && w.target.ID == t.ID {
		w.standbyTarget = nil
	}
}

// Cut implements session.Front.
func (w *World) Cut(id int64, _ front.Hanging) int {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if till := w.DrainTill[id]; till != nil && !w.Uncut {
		close(till)
		delete(w.DrainTill, id)
		return 1
	}
	return 0
}

// Drain implements session.Front.
func (w *World) Drain(ctx context.Context, id int64) int {
	w.Mu.Lock()
	till, left := w.DrainTill[id], w.left
	w.Drained = append(w.Drained, id)
	w.Mu.Unlock()
	if till == nil {
		return 0
	}
	select {
	case <-till:
		return 0
	case <-left:
		return 0
	case <-ctx.Done():
		return 1
	}
}

// Recent implements supervisor.Front.
func (w *World) Recent(id int64) front.Counters { return w.Counters(id) }

// Counters implements session.Front.
func (w *World) Counters(id int64) front.Counters {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	open := uint64(0)
	if w.DrainTill[id] != nil {
		open = 1
	}
	return front.Counters{
		Open:    open,
		UpBytes: uint64(id) * 10, DownBytes: uint64(id) * 100, Connections: uint64(id),
		Waited: w.Waited[id], Replayed: w.Rescues[id], Rescued: w.Rescues[id],
	}
}

// Evidence implements supervisor.Front.
func (w *World) Evidence(id int64) front.Evidence {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	return w.Seen[id]
}

// Answers implements supervisor.Front.
func (w *World) Answers(int64) {}

// Trust implements supervisor.Front.
func (w *World) Trust(id int64) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.Trusted = append(w.Trusted, id)
	delete(w.Seen, id)
}

// Forget implements session.Front.
func (w *World) Forget(id int64) {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.forgotten = append(w.forgotten, id)
}

// Signals implements supervisor.Front.
func (w *World) Signals() <-chan front.Signal { return w.Hints }

// Leave implements supervisor.Front.
func (w *World) Leave() bool {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	if !w.Outlives || !w.FrontOpen {
		return false
	}
	close(w.left)
	return true
}

// Greet returns whether the front serves already, for a daemon that begins.
func (w *World) Greet() bool {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	w.left = make(chan struct{})
	return w.Outlives && w.FrontOpen
}

// Addresses implements supervisor.Front.
func (w *World) Addresses() (socks, http string) { return "front-socks", "front-http" }

// TargetHost returns the server that new connections go to; empty: there is no target.
func (w *World) TargetHost() string { return w.hostOf(func() *front.Target { return w.target }) }

// StandbyHost returns the server of the standby that the front knows; empty: there is none.
func (w *World) StandbyHost() string {
	return w.hostOf(func() *front.Target { return w.standbyTarget })
}

func (w *World) hostOf(of func() *front.Target) string {
	w.Mu.Lock()
	defer w.Mu.Unlock()
	t := of()
	if t == nil {
		return ""
	}
	if c := w.CoreAt(t.Address); c != nil {
		return c.Host
	}
	return "(gone)"
}
