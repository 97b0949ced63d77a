package supervisor

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
)

const (
	// shutdownTime bounds the clean shutdown, whatever hangs.
	shutdownTime = 10 * time.Second
	// recordTime bounds the wait for the records of a decision.
	recordTime = 5 * time.Second
)

// Supervisor carries out what the user wants. Make one with New, call Restore and then Run, all
// from one goroutine: every method runs in it. Others have its Remote.
type Supervisor struct {
	Deps
	state
	life    *session.Lifecycle
	journal *session.Journal
	checker checker
	workers *workers
	left    *atomic.Bool // workers may ask: what runs is left to the next daemon
}

// New returns a supervisor that has done nothing yet.
func New(deps Deps) *Supervisor {
	left := new(atomic.Bool)
	s := &Supervisor{left: left, Deps: deps, journal: session.NewJournal(deps.Store, deps.Log), workers: newWorkers()}
	s.life = &session.Lifecycle{Deps: session.Deps{
		Settings: deps.Settings, Store: deps.Store, Front: deps.Front, Cores: deps.Cores, Journal: s.journal,
		Probe: deps.Probe, Work: deps.Work, Own: deps.Own, Locate: deps.Locate, CheckFree: deps.CheckFree, Left: left.Load, Go: s.workers.background,
		CoreDir: deps.CoreDir, CoreLog: deps.CoreLog, Log: deps.Log,
	}}
	s.checker = checker{
		work: deps.Work, evidence: deps.Front.Evidence,
		settings: deps.Settings.Health, listeners: deps.Remote.listeners, probe: deps.Probe, online: deps.Online,
		handshake: deps.Handshake, httpInbound: deps.HTTPInbound, capLog: deps.CapLog,
	}
	s.retired = make(map[int64]*retirement)
	s.rotation.lastResult, s.rotation.candidateResult = "none", "none"
	s.publish()
	return s
}

// Run is the event loop. It returns when a shutdown, or the end of ctx, has been carried out: the
// front is closed, every core is stopped, every record is written, every goroutine is gone. What
// hangs is waited for no longer than twice shutdownTime in all: then some of that may not be so,
// the log says what, and the process is to end.
func (s *Supervisor) Run(ctx context.Context) {
	var writer sync.WaitGroup
	journal := s.journal
	writer.Go(func() { journal.Run(context.Background()) })
	s.loop(ctx)
	s.publish() // that this is the end
	close(s.Remote.ended)
	if !s.workers.end(shutdownTime / 2) {
		s.Log.Warn().Msg("a worker did not end in time")
	}
	flush, cancel := context.WithTimeout(context.Background(), shutdownTime/2)
	defer cancel()
	err := journal.Flush(flush)
	journal.Close()
	if err != nil {
		// A store that hangs must not keep the process; the writer is left to it.
		s.Log.Warn().Err(err).Msg("the last records could not be written in time")
	} else {
		writer.Wait()
	}
	s.Remote.hub.close()
}

// loop takes one event after the other until the shutdown has been carried out.
func (s *Supervisor) loop(ctx context.Context) {
	stop := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var overdue <-chan time.Time
	for !s.ended {
		if s.stopping && overdue == nil {
			overdue = time.After(shutdownTime)
		}
		s.reconcile()
		s.publish()
		s.arm(timer)
		s.Watchdog.Idle()
		var happens event
		select {
		case <-stop:
			stop = nil
			happens = func(s *Supervisor) { s.tearDown(opShutdown, nil) }
		case <-overdue:
			s.Log.Error().Msg("the shutdown takes too long and is cut short")
			happens = func(s *Supervisor) { s.ended = true }
		case happens = <-s.Remote.events:
		case signal := <-s.Front.Signals():
			happens = func(s *Supervisor) { s.hint(signal) }
		case <-timer.C:
			happens = func(s *Supervisor) { s.tick(time.Now()) }
		}
		s.Watchdog.Busy()
		happens(s)
	}
	s.Watchdog.Idle()
}

// work runs do in a worker; the loop then applies what it returns. do must not name the supervisor:
// it gets values.
func work[T any](s *Supervisor, do func(ctx context.Context) T, apply func(s *Supervisor, result T)) {
	remote := s.Remote
	s.workers.background(func(ctx context.Context) {
		result := do(ctx)
		remote.tell(func(s *Supervisor) { apply(s, result) })
	})
}

// learn changes what is known of configs, in a worker.
func (s *Supervisor) learn(lessons ...rotation.Lesson) {
	catalog := s.Catalog
	s.workers.background(func(ctx context.Context) { catalog.Learn(ctx, lessons...) })
}

// arm sets the one timer to the next thing that is due.
func (s *Supervisor) arm(timer *time.Timer) {
	var next time.Time
	for _, t := range []time.Time{s.health.dueAt, s.rotation.timerAt, s.retry.at, s.standby.dueAt, s.work.dueAt} {
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
	if due(&s.health.dueAt) {
		s.startCheck(now)
	}
	if due(&s.work.dueAt) {
		s.startWork(now)
	}
	if due(&s.rotation.timerAt) {
		s.timerRotation(now)
	}
	// For these, reconcile sees that nothing is planned any more.
	due(&s.retry.at)
	due(&s.standby.dueAt)
}

// reconcile starts what must happen for the desired state to become true. It runs after every
// event, so that no path has to remember to.
func (s *Supervisor) reconcile() {
	if s.stopping {
		return
	}
	s.lookForStandby(time.Now())
	if s.op != nil || !s.desired.Connected || !s.retry.at.IsZero() {
		return
	}
	if s.active != nil && s.frontOpen {
		return
	}
	s.startRecovery()
}
