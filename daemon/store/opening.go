package store

import (
	"errors"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// openTimeout is far above what an opening takes on a disk that is well.
const openTimeout = 20 * time.Second

// opening is one call of badger.Open, which cannot be interrupted: one that
// takes too long goes on, and nothing else may touch its directory until then.
type opening struct {
	dir  string
	done chan struct{} // closed at the end, with what follows set
	db   *badger.DB
	err  error
}

// startOpening starts the one opening in progress. The caller holds the gate.
func (s *Store) startOpening(dir string) {
	o := &opening{dir: dir, done: make(chan struct{})}
	s.opening = o
	go func() {
		defer close(o.done)
		o.err = protect(func() (err error) {
			o.db, err = s.o.openBadger(badgerOptions(dir, s.log))
			return err
		})
		if o.err != nil {
			o.db = nil // Badger returns half an object with some errors
		}
	}()
}

// awaitOpening returns the result of the opening in progress, or a
// *timeoutError after which that is still in progress. The caller holds the
// gate.
func (s *Store) awaitOpening() (*badger.DB, error) {
	o := s.opening
	timer := time.NewTimer(s.o.openTimeout)
	defer timer.Stop()
	select {
	case <-o.done:
		s.opening = nil
		return o.db, o.err
	case <-timer.C:
		return nil, &timeoutError{Path: o.dir, After: s.o.openTimeout}
	}
}

// openBadger opens the database in dir, at the second try if need be: Badger
// sometimes fails once on what a killed process has left (badger#2207). An
// opening of dir that is still in progress is waited for instead.
func (s *Store) openBadger(dir string) (*badger.DB, error) {
	if s.opening == nil {
		s.startOpening(dir)
	}
	db, err := s.awaitOpening()
	if _, late := errors.AsType[*timeoutError](err); err == nil || late {
		return db, err
	}
	s.log.Debug().Err(err).Msg("opening the database failed, trying once more")
	s.startOpening(dir)
	return s.awaitOpening()
}

// discardOpening waits for an opening in progress and closes what it gives.
func (s *Store) discardOpening() error {
	db, err := s.awaitOpening()
	if _, late := errors.AsType[*timeoutError](err); late {
		return err
	}
	if err == nil {
		err = protect(db.Close)
		s.log.Debug().Err(err).Msg("closed a database that was opened too late")
	}
	return nil
}

// unlock gives up the lock: at once, or when the opening in progress is over,
// so that nobody else opens the same directory meanwhile.
func (s *Store) unlock() error {
	o := s.opening
	if o == nil {
		return s.lock.Unlock()
	}
	// Nobody waits for this: the program is about to end, and that gives up the
	// lock as well.
	go func() {
		<-o.done
		if o.db != nil {
			_ = protect(o.db.Close)
		}
		s.endCrashWatch()
		_ = s.lock.Unlock()
	}()
	return nil
}
