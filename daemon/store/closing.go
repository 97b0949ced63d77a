package store

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// closeDatabase closes the database if it is open and nobody uses it. The caller holds the gate.
//
// Closing writes what is in memory to a new table, through a mapped file: with the disk full that
// would end the process. The database then stays open or, if this is final, is abandoned: all of it
// is in the log that the next opening replays.
func (d *database) closeDatabase(final bool) error {
	defer d.spare.Borrow()()
	d.mu.Lock()
	db, resident := d.db, d.resident
	d.mu.Unlock()
	if db == nil {
		return nil
	}
	spaceErr := d.checkSpace(resident)
	if spaceErr != nil && !final {
		return spaceErr
	}
	d.mu.Lock()
	d.due.idle = time.Time{} // the next release sets it
	busy := d.users > 0      // looked at together with taking it away
	if !busy {
		d.db = nil
	}
	d.mu.Unlock()
	if busy {
		return nil
	}
	if spaceErr != nil {
		d.log.Warn().Err(spaceErr).Msg("leaving the database without closing it")
		d.crashes.end()
		return nil
	}
	dir := filepath.Join(d.dir, databaseName)
	if err := protect(db.Close); err != nil {
		d.crashes.end()
		d.mu.Lock()
		d.suspect = true
		d.mu.Unlock()
		return fmt.Errorf("closing the database: %w", err)
	}
	d.crashes.end()
	d.crashes.clear()
	if err := tighten(dir); err != nil {
		d.log.Warn().Err(err).Msg("restricting the permissions of the database")
	}
	sum, err := fileDigest(filepath.Join(dir, badger.ManifestFilename))
	if err == nil {
		err = d.head.change(func(h *head) { h.Manifest = sum })
	}
	// Badger's arenas are most of the daemon's memory while it is open.
	debug.FreeOSMemory()
	return err
}

// closeIdle closes the database unless somebody uses it.
func (d *database) closeIdle(ctx context.Context) error {
	select {
	case d.gate <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-d.gate }()
	d.mu.Lock()
	if d.db == nil || d.users > 0 {
		d.due.idle = time.Time{} // the next release sets it
		d.mu.Unlock()
		return nil
	}
	d.mu.Unlock()
	return d.closeDatabase(false)
}
