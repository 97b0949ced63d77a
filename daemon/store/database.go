package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/descriptors"
)

// database is a Badger database that is opened when somebody needs it, verified, restored if it is
// damaged, and lent to those who call acquire.
type database struct {
	dir     string // of the store
	o       Options
	log     zerolog.Logger
	head    *headFile
	crashes crashWatch
	opener  opener // who holds the gate has it
	spare   *descriptors.Reserve

	gate   chan struct{} // held to open, close or replace the database
	writer chan struct{} // held by the one change in progress
	vacant chan struct{} // gets a token when users falls to zero
	kick   chan struct{} // tells the keeper that a deadline moved

	mu       sync.Mutex
	closed   bool
	db       *badger.DB // nil while closed
	suspect  bool       // the next opening verifies everything
	users    int        // calls that use db
	lastUse  time.Time
	meta     meta // of the newest acknowledged change
	due      deadlines
	recovery *Recovery
	fallback *snapshot // the export, while there is no space to open the database

	resident   uint64 // estimated bytes of the open database, on the safe side
	unmeasured uint64 // bytes of changes since the last measurement of it
}

// spareDescriptors is what an opening or closing takes at most; Badger ends the process if it runs
// out of them at the wrong moment.
const spareDescriptors = 24

// deadlines of the keeper; zero: nothing to do.
type deadlines struct{ export, outcomes, idle time.Time }

// newDatabase returns the database of the store in dir, not opened yet.
func newDatabase(dir string, o Options, head *headFile) *database {
	return &database{
		dir: dir, o: o, log: o.Log, head: head,
		crashes: crashWatch{dir, o.CrashOutput, o.Log},
		opener:  opener{badgerOpen: o.openBadger, timeout: o.openTimeout, log: o.Log},
		spare:   descriptors.NewReserve(spareDescriptors),
		gate:    make(chan struct{}, 1),
		writer:  make(chan struct{}, 1),
		vacant:  make(chan struct{}, 1),
		kick:    make(chan struct{}, 1),
		suspect: true,
	}
}

// acquire returns the open database, opening it if need be. Every success is followed by one
// release.
func (d *database) acquire(ctx context.Context) (*badger.DB, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	for {
		if db, err := d.tryAcquire(); db != nil || err != nil {
			return db, err
		}
		select {
		case d.gate <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		err := d.reopen(ctx)
		<-d.gate
		if err != nil {
			return nil, err
		}
	}
}

func (d *database) tryAcquire() (*badger.DB, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil, errClosed
	}
	if d.db == nil || d.suspect {
		return nil, nil
	}
	d.users++
	return d.db, nil
}

func (d *database) release() {
	d.mu.Lock()
	d.users--
	vacant := d.users == 0
	d.lastUse = time.Now()
	arm := vacant && d.due.idle.IsZero()
	if arm {
		d.due.idle = d.lastUse.Add(d.o.IdleClose)
	}
	d.mu.Unlock()
	if vacant {
		signal(d.vacant)
	}
	if arm {
		signal(d.kick)
	}
}

// waitVacant waits until no call uses the database. The caller holds the gate and has made sure
// that no new call gets it.
func (d *database) waitVacant(ctx context.Context) error {
	for {
		d.mu.Lock()
		users := d.users
		d.mu.Unlock()
		if users == 0 {
			return nil
		}
		select {
		case <-d.vacant:
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

func (d *database) seq() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.meta.Seq
}

// reopen makes s.db usable. The caller holds the gate.
func (d *database) reopen(ctx context.Context) error {
	d.mu.Lock()
	closed, ready, stale := d.closed, d.db != nil && !d.suspect, d.db != nil
	d.mu.Unlock()
	if closed {
		return errClosed
	}
	if ready {
		return nil
	}
	if stale {
		if err := d.waitVacant(ctx); err != nil {
			return err
		}
		if err := d.closeDatabase(false); err != nil {
			return err
		}
	}
	err := d.openDatabase()
	if damage, ok := errors.AsType[*damageError](err); ok {
		if err = d.restore(damage); err == nil {
			err = d.openDatabase()
		}
	}
	return err
}
