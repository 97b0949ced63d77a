package daemon

import (
	"context"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xrat-tray/xrat/daemon/bulktest"
	"github.com/xrat-tray/xrat/daemon/catalog"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

const (
	// stopGrace is how long a core may take to end by itself when asked.
	stopGrace = 2 * time.Second
	// shutdownTime bounds the clean shutdown, whatever hangs.
	shutdownTime = 10 * time.Second
)

// Supervisor carries out what the user wants. Make one with New, call Restore
// and then Run; the other exported methods may be called from any goroutine
// while Run runs.
type Supervisor struct {
	Deps
	startedAt time.Time
	pid       int

	st       state
	requests chan request
	reports  chan func()
	ended    chan struct{} // closed when the loop takes no more requests
	journal  *journal
	workers  sync.WaitGroup
	// base is the context of workers: it ends with the loop, not with the
	// signal that asks for the end, since stopping is work too.
	base   context.Context
	cancel context.CancelFunc

	catalog  *catalog.Catalog
	tester   *bulktest.Tester
	snapshot atomic.Pointer[snapshot]
	hub      hub
}

// request is an intent on its way to the loop.
type request struct {
	ipc.Request
	reply chan<- answer
}

// New returns a supervisor that has done nothing yet.
func New(deps Deps) *Supervisor {
	s := &Supervisor{
		Deps:      deps,
		startedAt: time.Now(),
		pid:       os.Getpid(),
		requests:  make(chan request),
		reports:   make(chan func(), 64),
		ended:     make(chan struct{}),
		journal:   newJournal(),
	}
	s.base, s.cancel = context.WithCancel(context.Background())
	s.catalog = catalog.New(catalog.Deps{
		Settings: deps.Settings, Store: deps.Store, Supervisor: s, Fetch: deps.Fetch, Online: deps.Online, Log: deps.Log,
	})
	s.tester = bulktest.New(bulktest.Deps{
		Settings: deps.Settings, Catalog: s.catalog, Supervisor: s, Tools: deps.Measuring, Handshake: deps.Handshake,
		Locate: deps.Locate, EndCore: deps.Cores.End, CoreDir: deps.CoreDir, CoreLog: deps.CoreLog, Log: deps.Log,
	})
	s.st.retired = make(map[int64]*retirement)
	s.st.lastResult, s.st.lastVerdict = "none", "none"
	s.publish()
	return s
}

// Run is the event loop. It returns when a daemon_shutdown or the end of ctx has
// been carried out: the front is closed, every core is stopped, every record is
// written, every goroutine is gone.
func (s *Supervisor) Run(ctx context.Context) {
	var writer sync.WaitGroup
	writer.Go(func() { s.journal.Run(context.Background()) })

	s.work(func(ctx context.Context) func() {
		s.catalog.Run(ctx)
		return nil
	})
	stop := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var overdue <-chan time.Time
	for !s.st.ended {
		if s.st.stopping && overdue == nil {
			overdue = time.After(shutdownTime)
		}
		s.reconcile()
		s.publish()
		s.arm(timer)
		select {
		case <-stop:
			stop = nil
			s.tearDown(opShutdown, nil)
		case <-overdue:
			s.Log.Error().Msg("the shutdown takes too long and is cut short")
			s.st.ended = true
		case r := <-s.requests:
			s.intent(r)
		case report := <-s.reports:
			report()
		case signal := <-s.Front.Signals():
			s.passive(signal)
		case <-timer.C:
			s.tick(time.Now())
		}
	}
	close(s.ended)
	s.cancel()
	s.drainReports()
	flush, cancel := context.WithTimeout(context.Background(), shutdownTime/2)
	defer cancel()
	err := s.journal.Flush(flush)
	s.journal.Close()
	if err != nil {
		// A store that hangs must not keep the process; the writer is left to it.
		s.Log.Warn().Err(err).Msg("the last records could not be written in time")
	} else {
		writer.Wait()
	}
	s.hub.close()
}

// drainReports waits for every worker while taking, and dropping, their reports.
func (s *Supervisor) drainReports() {
	gone := make(chan struct{})
	go func() {
		s.tester.Close()
		s.workers.Wait()
		close(gone)
	}()
	limit := time.NewTimer(shutdownTime / 2)
	defer limit.Stop()
	for {
		select {
		case <-s.reports:
		case <-gone:
			return
		case <-limit.C:
			s.Log.Warn().Msg("a worker did not end in time")
			return
		}
	}
}

// work runs f in a worker; the loop then calls what it returns, unless that is nil.
func (s *Supervisor) work(f func(ctx context.Context) (report func())) {
	s.workers.Go(func() {
		if report := f(s.base); report != nil {
			select {
			case s.reports <- report:
			case <-s.ended:
			}
		}
	})
}

// tell has the loop call f, from a worker.
func (s *Supervisor) tell(f func()) {
	select {
	case s.reports <- f:
	case <-s.ended:
	}
}

// ask hands an intent to the loop and waits for the answer.
func (s *Supervisor) ask(ctx context.Context, r ipc.Request) (any, string, error) {
	reply := make(chan answer, 1)
	select {
	case s.requests <- request{r, reply}:
	case <-s.ended:
		return nil, "", errShuttingDown
	case <-ctx.Done():
		return nil, "", context.Cause(ctx)
	}
	select {
	case a := <-reply:
		return a.payload, a.message, a.err
	case <-ctx.Done():
		return nil, "", context.Cause(ctx)
	case <-s.ended:
		select {
		case a := <-reply:
			return a.payload, a.message, a.err
		default:
			return nil, "", errShuttingDown
		}
	}
}

var errShuttingDown = ipc.Errorf(ipc.CodeInvalidState, "the daemon is shutting down")

// arm sets the one timer to the next thing that is due.
func (s *Supervisor) arm(timer *time.Timer) {
	var next time.Time
	for _, t := range []time.Time{s.st.checkAt, s.st.timerAt, s.st.retryAt, s.st.standbyAt} {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	if next.IsZero() {
		timer.Stop()
		return
	}
	timer.Reset(max(time.Until(next), 0))
}

// tick does what is due.
func (s *Supervisor) tick(now time.Time) {
	due := func(t *time.Time) bool {
		if t.IsZero() || now.Before(*t) {
			return false
		}
		*t = time.Time{}
		return true
	}
	if due(&s.st.checkAt) {
		s.startCheck(now)
	}
	if due(&s.st.timerAt) {
		s.timerRotation(now)
	}
	// For these, reconcile sees that nothing is planned any more.
	due(&s.st.retryAt)
	due(&s.st.standbyAt)
}

// reconcile starts what must happen for the desired state to become true. It
// runs after every event, so that no path has to remember to.
func (s *Supervisor) reconcile() {
	s.lookForStandby(time.Now())
	st := &s.st
	if st.stopping || st.op != nil || !st.desired.Connected || !st.retryAt.IsZero() {
		return
	}
	if st.active != nil && st.frontOpen {
		return
	}
	s.startRecovery()
}
