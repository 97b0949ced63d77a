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
	bodiesName   = "subscriptions"
)

const (
	defaultIdleClose = time.Second
	exportDelay      = 2 * time.Second  // from the first change that is not yet exported
	outcomeDelay     = 10 * time.Minute // the most that a crash may cost of the probe history
	maxSettled       = 64               // outcomes that are kept in memory though they are stored
	retryDelay       = 10 * time.Second // after a background task has failed, on a full disk for example
)

// Options of a store. The zero value is usable.
type Options struct {
	Log zerolog.Logger
	// IdleClose is how long the database stays open after the last call; 0 means a second.
	IdleClose time.Duration
	// CrashOutput is what the program itself has given to debug.SetCrashOutput, nil for nothing.
	// While the database is open the store uses that facility to recognise crashes inside Badger,
	// and sets this file again when it closes the database.
	CrashOutput *os.File

	// For the tests of this package.
	freeSpace   func(path string) (uint64, error) // in bytes, below path
	openBadger  func(badger.Options) (*badger.DB, error)
	openTimeout time.Duration
}

// Store is an open store: the records on top of a database. All methods may be called from many
// goroutines. They honour the end of their context while they wait and between the steps of long
// work; a change that is being committed is always finished.
type Store struct {
	*database
	lock *flock.Flock

	files    sync.Mutex        // held while the files of subscriptions are read or written
	editor   chan struct{}     // held by the one UpdateOutcomes in progress
	outcomes map[int64]Outcome // newer than what the database has; database.mu guards them
	settled  map[int64]Outcome // some of those that it has, likewise
	stale    error             // see Stale; set by Open

	stop context.CancelFunc
	done chan struct{} // closed when the keeper has ended
}

// Open locks the store in dir, which is made if it does not exist, checks it and repairs what it
// must; Recovery reports what. It fails, at once, while another process has the store, and when a
// newer xrat has written it. A lack of disk space is no error: reads are then served from the
// export, and changes fail until there is space. All errors are for people: they say what to do.
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

	if err := clearNames(dir, o.Log); err != nil {
		return nil, err
	}
	head, err := openHead(filepath.Join(dir, headName))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			head.close()
		}
	}()
	s := &Store{
		database: newDatabase(dir, o, head), lock: lock,
		editor:   make(chan struct{}, 1),
		outcomes: make(map[int64]Outcome),
		settled:  make(map[int64]Outcome),
		done:     make(chan struct{}),
	}
	unlock = s.unlock
	defer func() {
		if err != nil {
			s.spare.Close()
		}
	}()
	_, err = s.acquire(ctx)
	switch {
	case err == nil:
		s.release()
	case errors.Is(err, errNoSpace):
		s.stale = err
		s.log.Warn().Err(err).Msg("the disk is full: the store is read only until there is space")
	default:
		return nil, err
	}

	run, stop := context.WithCancel(context.Background())
	s.stop = stop
	go s.keep(run)
	return s, nil
}

// Stale returns why the database could not be opened when the store was, nil if it could. What was
// read then is of the last export: sessions that have begun since are not in it.
func (s *Store) Stale() error { return s.stale }

// clearNames moves aside what is in the place of one of our files and is none, such as a directory
// or a symbolic link: it would keep the store from opening, or lead it elsewhere. The file counts
// as missing then.
func clearNames(dir string, log zerolog.Logger) error {
	for _, name := range []string{headName, exportName, openingName, crashName} {
		path := filepath.Join(dir, name)
		if info, err := os.Lstat(path); err != nil || info.Mode().IsRegular() {
			continue
		}
		aside := stamped(path + ".aside-")
		if err := os.Rename(path, aside); err != nil {
			return err
		}
		log.Error().Str("path", aside).Msg("something that is no file was in the place of one and is moved aside")
	}
	return nil
}

// Close finishes what is pending, closes the database and gives up the lock. Calls in progress are
// waited for; later ones get errClosed.
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
	// Unlike the keeper's, the last export has the counters and the history too; it is skipped only
	// when it would say the same again.
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
	s.spare.Close()
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

// unlock gives up the lock: at once, or when the opening in progress is over, so that nobody else
// opens the same directory meanwhile.
func (s *Store) unlock() error {
	p := s.opener.pending
	if p == nil {
		return s.lock.Unlock()
	}
	// Nobody waits for this: the program is about to end, and that gives up the lock as well.
	go func() {
		<-p.done
		if p.db != nil {
			_ = protect(p.db.Close)
		}
		s.crashes.end()
		_ = s.lock.Unlock()
	}()
	return nil
}
