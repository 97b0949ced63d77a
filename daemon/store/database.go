package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/rs/zerolog"
)

const memTableSize = 8 << 20

// badgerOptions keep Badger small: no caches, no compression, and at 8 MiB of
// changes a flush. Two compactors are the fewest that keep writes flowing.
func badgerOptions(dir string, log zerolog.Logger) badger.Options {
	return badger.DefaultOptions(dir).
		WithLogger(badgerLog{log}).
		WithExternalMagic(schemaVersion).
		WithSyncWrites(true).
		WithMemTableSize(memTableSize).
		WithNumMemtables(2).
		WithValueThreshold(2 * maxRecord).
		WithValueLogFileSize(1 << 20).
		WithNumCompactors(2).
		WithCompactL0OnClose(true).
		WithCompression(options.None).
		WithBlockCacheSize(0).
		WithIndexCacheSize(0).
		WithMetricsEnabled(false).
		WithDetectConflicts(false).                        // changes come one at a time
		WithChecksumVerificationMode(options.OnBlockRead). // preflight reads whole tables
		WithBypassLockGuard(true)                          // the store's own lock covers it, also while closed
}

// protect turns a panic of fn into a damage error, and likewise the fault of
// reading a mapped file that has become too short.
func protect(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			// The value may quote what Badger was reading; its first line
			// never does.
			line, _, _ := strings.Cut(fmt.Sprint(r), "\n")
			err = damagef("reading it panicked: %.200s", line)
		}
	}()
	return fn()
}

// reopen makes s.db usable. The caller holds the gate.
func (s *Store) reopen(ctx context.Context) error {
	s.mu.Lock()
	closed, ready, stale := s.closed, s.db != nil && !s.suspect, s.db != nil
	s.mu.Unlock()
	if closed {
		return errClosed
	}
	if ready {
		return nil
	}
	if stale {
		if err := s.waitVacant(ctx); err != nil {
			return err
		}
		if err := s.closeDatabase(false); err != nil {
			return err
		}
	}
	err := s.openDatabase()
	if damage, ok := errors.AsType[*damageError](err); ok {
		if err = s.restore(damage); err == nil {
			err = s.openDatabase()
		}
	}
	return err
}

// openDatabase opens the database and, when it is suspect or its MANIFEST is
// not the known one, verifies it.
// The caller holds the gate.
func (s *Store) openDatabase() error {
	dir := filepath.Join(s.dir, databaseName)
	if s.opening != nil && s.opening.dir != dir {
		if err := s.discardOpening(); err != nil {
			return err
		}
	}
	size, err := databaseSize(dir)
	if err != nil {
		return err
	}
	s.mu.Lock()
	suspect, known := s.suspect, s.meta
	s.mu.Unlock()
	changed := false
	if s.opening == nil {
		if changed, err = s.prepare(dir, size, suspect); err != nil {
			return err
		}
	}
	db, err := s.openBadger(dir)
	if _, late := errors.AsType[*timeoutError](err); late {
		// The watch for crashes goes on, but this is no sign of damage.
		s.opened()
		s.mu.Lock()
		s.suspect = true // so that changed need not be remembered
		s.mu.Unlock()
		return err
	}
	if err != nil {
		s.endCrashWatch()
		return s.blame(dir, err)
	}
	var m meta
	err = protect(func() (err error) {
		m, err = inspect(db, known, s.head.get(), suspect || changed)
		return err
	})
	if errors.Is(err, errBlank) {
		m, err = s.initialise(db)
	}
	if err != nil {
		if damage, ok := errors.AsType[*damageError](err); ok {
			// What can be read now may be newer than the export.
			damage.readable = readable(db)
		}
		closeErr := protect(db.Close)
		s.endCrashWatch()
		return errors.Join(err, closeErr)
	}
	if err := tighten(dir); err != nil {
		s.log.Warn().Err(err).Msg("restricting the permissions of the database")
	}
	s.opened()

	s.mu.Lock()
	defer s.mu.Unlock()
	s.db, s.meta, s.suspect, s.resident, s.fallback = db, m, false, size, nil
	s.unmeasured = 0
	if suspect && s.head.exported() != m.Seq {
		s.due.export = time.Now().Add(exportDelay)
	}
	return nil
}

// prepare checks all that can be checked without Badger and begins the watch
// for crashes; changed is that of preflight. The caller holds the gate.
func (s *Store) prepare(dir string, size uint64, suspect bool) (changed bool, err error) {
	if err := s.checkSchema(dir); err != nil {
		return false, err
	}
	if err := s.checkSpace(size); err != nil {
		return false, err
	}
	if suspect {
		if err := s.checkCrashes(); err != nil {
			return false, err
		}
	}
	changed, err = s.preflight(dir)
	if err != nil {
		return false, err
	}
	if err := s.beginCrashWatch(); err != nil {
		return false, err
	}
	// From here on the MANIFEST changes.
	if err := s.head.change(func(h *head) { h.Schema, h.Manifest = schemaVersion, "" }); err != nil {
		s.endCrashWatch()
		return false, err
	}
	return changed, nil
}

// closeDatabase closes the database if it is open and nobody uses it. The caller
// holds the gate.
//
// Closing writes what is in memory to a new table, through a mapped file: with
// the disk full that would end the process. The database then stays open or,
// if this is final, is abandoned: all of it is in the log that the next
// opening replays.
func (s *Store) closeDatabase(final bool) error {
	s.mu.Lock()
	db, resident := s.db, s.resident
	s.mu.Unlock()
	if db == nil {
		return nil
	}
	spaceErr := s.checkSpace(resident)
	if spaceErr != nil && !final {
		return spaceErr
	}
	s.mu.Lock()
	s.due.idle = time.Time{} // the next release sets it
	busy := s.users > 0      // looked at together with taking it away
	if !busy {
		s.db = nil
	}
	s.mu.Unlock()
	if busy {
		return nil
	}
	if spaceErr != nil {
		s.log.Warn().Err(spaceErr).Msg("leaving the database without closing it")
		s.endCrashWatch()
		return nil
	}
	dir := filepath.Join(s.dir, databaseName)
	if err := protect(db.Close); err != nil {
		s.endCrashWatch()
		s.mu.Lock()
		s.suspect = true
		s.mu.Unlock()
		return fmt.Errorf("closing the database: %w", err)
	}
	s.endCrashWatch()
	s.clearCrashes()
	if err := tighten(dir); err != nil {
		s.log.Warn().Err(err).Msg("restricting the permissions of the database")
	}
	sum, err := fileDigest(filepath.Join(dir, badger.ManifestFilename))
	if err == nil {
		err = s.head.change(func(h *head) { h.Manifest = sum })
	}
	// Badger's arenas are most of the daemon's memory while it is open.
	debug.FreeOSMemory()
	return err
}

// checkSpace returns a *spaceError unless there is room for extra bytes and
// what Badger may need at any time to write its logs and to merge its tables.
// It writes through mapped files, where a full disk is not an error but the
// end of the process; so changes stop long before.
func (s *Store) checkSpace(extra uint64) error {
	const reserve = 1 << 20
	free, err := s.o.freeSpace(s.dir)
	if err != nil {
		return err
	}
	if need := reserve + extra; free < need {
		return &spaceError{Path: s.dir, Free: free, Need: need}
	}
	return nil
}

// databaseSize returns the bytes on disk of the files in dir, 0 if there is no
// such directory.
func databaseSize(dir string) (size uint64, err error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // an opening in progress tidies up
		}
		if err != nil {
			return 0, err
		}
		size += allocated(info)
	}
	return size, nil
}

// badgerLog passes Badger's messages on, all of them at debug level: what
// matters comes back as an error.
type badgerLog struct{ log zerolog.Logger }

func (l badgerLog) Errorf(format string, args ...any)   { l.print("error", format, args) }
func (l badgerLog) Warningf(format string, args ...any) { l.print("warning", format, args) }
func (l badgerLog) Infof(format string, args ...any)    { l.print("info", format, args) }

// Debugf drops the message: at that level Badger prints keys.
func (l badgerLog) Debugf(string, ...any) {}

func (l badgerLog) print(level, format string, args []any) {
	if e := l.log.Debug(); e.Enabled() {
		e.Str("badger", level).Msg(strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}
