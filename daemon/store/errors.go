package store

import (
	"errors"
	"fmt"
	"time"
)

var (
	// ErrNotFound: there is no record with that id.
	ErrNotFound = errors.New("not found")
	// errClosed: the store has been closed.
	errClosed = errors.New("the store is closed")
	// errNoSpace is wrapped by every *spaceError.
	errNoSpace = errors.New("not enough disk space")
)

// spaceError: a change was refused because the file system is nearly full. Nothing was written; the
// change can be tried again once space is free.
type spaceError struct {
	Path       string
	Free, Need uint64 // bytes
}

func (e *spaceError) Error() string {
	return fmt.Sprintf("not enough disk space at %s: %d KiB free, %d KiB needed; free some space and try again",
		e.Path, e.Free>>10, (e.Need+1023)>>10)
}

// Unwrap makes errors.Is(err, errNoSpace) true.
func (e *spaceError) Unwrap() error { return errNoSpace }

// lockedError: another process uses the store.
type lockedError struct {
	Path string // the lock file
	PID  int    // the holder, 0 when it is not known
}

func (e *lockedError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("the store is in use by another process (lock %s); stop it first", e.Path)
	}
	return fmt.Sprintf("the store is in use by process %d (lock %s); stop it first", e.PID, e.Path)
}

// newerError: the data was written by a newer xrat. It is left untouched.
type newerError struct {
	Path           string
	Found, Support int // schema versions
}

func (e *newerError) Error() string {
	return fmt.Sprintf("%s was written by a newer version of xrat (schema %d, this one knows up to %d); "+
		"update xrat, or move the folder away to start afresh", e.Path, e.Found, e.Support)
}

// timeoutError: Badger takes very long to open the database and is still at it. Nothing is known to
// be wrong with the data; later calls wait for the same opening.
type timeoutError struct {
	Path  string // the database
	After time.Duration
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("the database %s has not opened within %v, the disk may be slow or failing; try again later, "+
		"and if that does not help stop xrat and move that folder away, to have it restored from the export", e.Path, e.After)
}

// damageError: what is in the database cannot be right. It starts a recovery and never reaches a
// caller unless the recovery fails as well.
type damageError struct {
	reason   string
	readable *snapshot // what the damaged database still gave, may be nil
}

func (e *damageError) Error() string { return "the database is damaged: " + e.reason }

func damagef(format string, args ...any) error {
	return &damageError{reason: fmt.Sprintf(format, args...)}
}
