package supervisor

import (
	"sync/atomic"

	"github.com/xrat-tray/xrat/daemon/session"
)

// disposal is the end of an operation as workers see it: what it came to and, if it was superseded,
// who cleans up after it.
type disposal struct {
	// result may be read once done is closed.
	result session.Result
	done   chan struct{}
	// begun is set by whoever first waits for the end of an operation that is no longer current;
	// disposed is closed when what it brought up is gone.
	begun    atomic.Bool
	disposed chan struct{}
}

func newDisposal() disposal {
	return disposal{done: make(chan struct{}), disposed: make(chan struct{})}
}

// dispose waits, in a worker, for operations that are no longer current and stops what they brought
// up all the same. Several workers may wait for the same one.
func dispose(life *session.Lifecycle, ops ...*operation) {
	for _, op := range ops {
		if op == nil {
			continue
		}
		if op.begun.CompareAndSwap(false, true) {
			<-op.done
			for _, orphan := range []*session.Session{op.result.Session, op.result.Unused} {
				if orphan != nil {
					life.Discard(orphan)
				}
			}
			close(op.disposed)
		}
		<-op.disposed
	}
}
