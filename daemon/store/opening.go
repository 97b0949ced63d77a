package store

import (
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/rs/zerolog"
)

// openTimeout is far above what an opening takes on a disk that is well.
const openTimeout = 20 * time.Second

// opener calls badger.Open, which cannot be interrupted: a call that takes too long goes on, and
// nothing else may touch its directory until then. Its methods are called with the gate held.
type opener struct {
	badgerOpen func(badger.Options) (*badger.DB, error)
	timeout    time.Duration
	log        zerolog.Logger
	pending    *opening // the one call in progress, nil if there is none
}

// opening is one call of badger.Open.
type opening struct {
	dir  string
	done chan struct{} // closed at the end, with what follows set
	db   *badger.DB
	err  error
}

func (o *opener) start(dir string) {
	p := &opening{dir: dir, done: make(chan struct{})}
	o.pending = p
	go func() {
		defer close(p.done)
		p.err = protect(func() (err error) {
			p.db, err = o.badgerOpen(badgerOptions(dir, o.log))
			return err
		})
		if p.err != nil {
			p.db = nil // Badger returns half an object with some errors
		}
	}()
}

// await returns the result of the opening in progress, or a *timeoutError after which that is still
// in progress.
func (o *opener) await() (*badger.DB, error) {
	p := o.pending
	timer := time.NewTimer(o.timeout)
	defer timer.Stop()
	select {
	case <-p.done:
		o.pending = nil
		return p.db, p.err
	case <-timer.C:
		return nil, &timeoutError{Path: p.dir, After: o.timeout}
	}
}

// open opens the database in dir, at the second try if need be: Badger sometimes fails once on what
// a killed process has left (badger#2207). If an opening of dir is still in progress, open waits
// for that instead.
func (o *opener) open(dir string) (*badger.DB, error) {
	if o.pending == nil {
		o.start(dir)
	}
	db, err := o.await()
	if _, late := errors.AsType[*timeoutError](err); err == nil || late {
		return db, err
	}
	o.log.Debug().Err(err).Msg("opening the database failed, trying once more")
	o.start(dir)
	return o.await()
}

// discard waits for the opening in progress and closes what it gives.
func (o *opener) discard() error {
	db, err := o.await()
	if _, late := errors.AsType[*timeoutError](err); late {
		return err
	}
	if err == nil {
		err = protect(db.Close)
		o.log.Debug().Err(err).Msg("closed a database that was opened too late")
	}
	return nil
}

// openDatabase opens the database and verifies it if it is suspect or its MANIFEST is not the one
// of the last close. The caller holds the gate.
func (d *database) openDatabase() error {
	defer d.spare.Borrow()()
	dir := filepath.Join(d.dir, databaseName)
	if d.opener.pending != nil && d.opener.pending.dir != dir {
		if err := d.opener.discard(); err != nil {
			return err
		}
	}
	if info, err := os.Lstat(dir); err == nil && !info.IsDir() {
		return damagef("it is no directory")
	}
	size, err := databaseSize(dir)
	if err != nil {
		return err
	}
	d.mu.Lock()
	suspect, known := d.suspect, d.meta
	d.mu.Unlock()
	changed := false
	if d.opener.pending == nil {
		if changed, err = d.prepare(dir, size, suspect); err != nil {
			return err
		}
	}
	db, err := d.opener.open(dir)
	if _, late := errors.AsType[*timeoutError](err); late {
		// The watch for crashes goes on, but this is no sign of damage.
		d.crashes.opened()
		d.mu.Lock()
		d.suspect = true // so that changed need not be remembered
		d.mu.Unlock()
		return err
	}
	if err != nil {
		d.crashes.end()
		return d.blame(dir, err)
	}
	m, err := d.verify(db, known, suspect || changed)
	if err != nil {
		if damage, ok := errors.AsType[*damageError](err); ok {
			// What can be read now may be newer than the export.
			damage.readable = readable(db)
		}
		closeErr := protect(db.Close)
		d.crashes.end()
		return errors.Join(err, closeErr)
	}
	if err := tighten(dir); err != nil {
		d.log.Warn().Err(err).Msg("restricting the permissions of the database")
	}
	d.crashes.opened()

	d.mu.Lock()
	defer d.mu.Unlock()
	d.db, d.meta, d.suspect, d.resident, d.fallback = db, m, false, size, nil
	d.unmeasured = 0
	if suspect && d.head.exported() != m.Seq {
		d.due.export = time.Now().Add(exportDelay)
	}
	return nil
}

// verify returns the meta record of a database that has just been opened; see inspect.
func (d *database) verify(db *badger.DB, known meta, full bool) (m meta, err error) {
	err = protect(func() (err error) {
		m, err = inspect(db, known, d.head.get(), full)
		return err
	})
	if errors.Is(err, errBlank) {
		return d.initialise(db)
	}
	return m, err
}

// prepare checks all that can be checked without Badger and begins the watch for crashes; changed
// is that of preflight. The caller holds the gate.
func (d *database) prepare(dir string, size uint64, suspect bool) (changed bool, err error) {
	if err := d.checkSchema(dir); err != nil {
		return false, err
	}
	if err := d.checkSpace(size); err != nil {
		return false, err
	}
	if suspect {
		if err := d.crashes.check(); err != nil {
			return false, err
		}
	}
	changed, err = d.preflight(dir)
	if err != nil {
		return false, err
	}
	if err := d.crashes.begin(); err != nil {
		return false, err
	}
	// From here on the MANIFEST changes.
	if err := d.head.change(func(h *head) { h.Schema, h.Manifest = schemaVersion, "" }); err != nil {
		d.crashes.end()
		return false, err
	}
	return changed, nil
}
