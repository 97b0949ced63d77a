package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/gofrs/flock"
	"github.com/rs/zerolog"
)

// Names inside the directory of a store.
const (
	databaseName = "db"
	buildName    = "db.new"
	damagedName  = "db.damaged-"
	exportName   = "export.json"
	headName     = "head"
	openingName  = "opening"
	crashName    = "crash"
	lockName     = "lock"
)

const (
	defaultIdleClose = 5 * time.Second
	exportDelay      = 2 * time.Second  // from the first change that is not yet exported
	outcomeDelay     = time.Minute      // the most that a crash may cost of the probe history
	retryDelay       = 10 * time.Second // after a background task has failed, on a full disk for example
)

// Options of a store. The zero value is usable.
type Options struct {
	Log zerolog.Logger
	// IdleClose is how long the database stays open after the last call;
	// 0 means 5 seconds.
	IdleClose time.Duration
	// CrashOutput is what the program itself has given to
	// debug.SetCrashOutput, nil for nothing. While the database is open the
	// store uses that facility to recognise crashes inside Badger, and sets
	// this file again when it closes the database.
	CrashOutput *os.File

	// For the tests of this package.
	freeSpace   func(path string) (uint64, error) // in bytes, below path
	openBadger  func(badger.Options) (*badger.DB, error)
	openTimeout time.Duration
}

// Store is an open store. All methods may be called from many goroutines.
// They honour the end of their context while they wait and between the steps
// of long work; a change that is being committed is always finished.
type Store struct {
	dir  string
	o    Options
	log  zerolog.Logger
	lock *flock.Flock
	head *headFile

	opening *opening // in progress; who holds the gate has it

	gate   chan struct{} // held to open, close or replace the database
	writer chan struct{} // held by the one change in progress
	editor chan struct{} // held by the one UpdateOutcomes in progress
	vacant chan struct{} // gets a token when users falls to zero
	kick   chan struct{} // tells the keeper that a deadline moved
	stop   context.CancelFunc
	done   chan struct{} // closed when the keeper has ended

	mu       sync.Mutex
	closed   bool
	db       *badger.DB // nil while closed
	suspect  bool       // the next opening verifies everything
	users    int        // calls that use db
	lastUse  time.Time
	meta     meta // of the newest acknowledged change
	due      deadlines
	outcomes map[int64]Outcome // newer than what the database has
	recovery *Recovery
	fallback *snapshot // the export, while there is no space to open the database

	resident   uint64 // estimated bytes of the open database, on the safe side
	unmeasured uint64 // bytes of changes since the last measurement of it
}

// deadlines of the keeper; zero: nothing to do.
type deadlines struct{ export, outcomes, idle time.Time }

// Open locks the store in dir, which is made if it does not exist, checks it and
// repairs what it must; Recovery tells what. It fails, at once, while another process
// has the store, and when a newer xrat has written it. A lack of disk space is no error:
// reads are then served from the export, and changes fail until there is space.
// All errors are for people: they say what to do.
func Open(ctx context.Context, dir string, o Options) (*Store, error) {
	if o.IdleClose <= 0 {
		o.IdleClose = defaultIdleClose
	}
	if o.freeSpace == nil {
		o.freeSpace = freeSpace
	}
	if o.openBadger == nil {
		o.openBadger = badger.Open
	}
	if o.openTimeout <= 0 {
		o.openTimeout = openTimeout
	}
	s, err := open(ctx, dir, o)
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	return s, nil
}

func open(ctx context.Context, dir string, o Options) (_ *Store, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err := acquireLock(filepath.Join(dir, lockName))
	if err != nil {
		return nil, err
	}
	unlock := lock.Unlock
	defer func() {
		if err != nil {
			unlock()
		}
	}()
	if err := tighten(dir); err != nil {
		return nil, err
	}

	s := &Store{
		dir: dir, o: o, log: o.Log, lock: lock,
		gate:     make(chan struct{}, 1),
		writer:   make(chan struct{}, 1),
		editor:   make(chan struct{}, 1),
		vacant:   make(chan struct{}, 1),
		kick:     make(chan struct{}, 1),
		done:     make(chan struct{}),
		suspect:  true,
		outcomes: make(map[int64]Outcome),
	}
	unlock = s.unlock
	if s.head, err = openHead(filepath.Join(dir, headName)); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.head.close()
		}
	}()
	_, err = s.acquire(ctx)
	switch {
	case err == nil:
		s.release()
	case errors.Is(err, errNoSpace):
		s.log.Warn().Err(err).Msg("the disk is full: the store is read only until there is space")
	default:
		return nil, err
	}

	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.keep(run)
	return s, nil
}

// Close finishes what is pending, closes the database and gives up the lock.
// Calls in progress are waited for; later ones get errClosed.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.mu.Unlock()
	s.stop()
	<-s.done

	ctx := context.Background()
	var errs []error
	if err := s.flushOutcomes(ctx); err != nil {
		errs = append(errs, fmt.Errorf("saving the probe history: %w", err))
	}
	// Unlike the keeper's, the last export has the counters and the history
	// too; it is skipped only when it would say the same again.
	if s.head.exported() != s.seq() {
		if err := s.export(ctx); err != nil {
			errs = append(errs, fmt.Errorf("exporting the store: %w", err))
		}
	}

	s.gate <- struct{}{}
	defer func() { <-s.gate }()
	s.mu.Lock()
	again := s.closed
	s.closed = true
	s.mu.Unlock()
	if again {
		return nil
	}
	s.waitVacant(ctx)
	if err := s.closeDatabase(true); err != nil {
		errs = append(errs, err)
	}
	errs = append(errs, s.head.close(), s.unlock())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("closing the store: %w", err)
	}
	return nil
}

// Recovery returns what was repaired since Open, nil when nothing was.
func (s *Store) Recovery() *Recovery {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.recovery
}

func (s *Store) seq() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.meta.Seq
}

// acquire returns the open database, opening it if need be. Every success is
// followed by one release.
func (s *Store) acquire(ctx context.Context) (*badger.DB, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		if db, err := s.tryAcquire(); db != nil || err != nil {
			return db, err
		}
		select {
		case s.gate <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		err := s.reopen(ctx)
		<-s.gate
		if err != nil {
			return nil, err
		}
	}
}

func (s *Store) tryAcquire() (*badger.DB, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	if s.db == nil || s.suspect {
		return nil, nil
	}
	s.users++
	return s.db, nil
}

func (s *Store) release() {
	s.mu.Lock()
	s.users--
	vacant := s.users == 0
	s.lastUse = time.Now()
	arm := vacant && s.due.idle.IsZero()
	if arm {
		s.due.idle = s.lastUse.Add(s.o.IdleClose)
	}
	s.mu.Unlock()
	if vacant {
		signal(s.vacant)
	}
	if arm {
		signal(s.kick)
	}
}

// waitVacant waits until no call uses the database. The caller holds the gate
// and has made sure that no new call gets it.
func (s *Store) waitVacant(ctx context.Context) error {
	for {
		s.mu.Lock()
		users := s.users
		s.mu.Unlock()
		if users == 0 {
			return nil
		}
		select {
		case <-s.vacant:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
