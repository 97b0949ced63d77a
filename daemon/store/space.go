package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// checkSpace returns a *spaceError unless there is room for extra bytes and what Badger may need at
// any time to write its logs and to merge its tables. It writes through mapped files, where a full
// disk is not an error but the end of the process; so changes stop long before.
func (d *database) checkSpace(extra uint64) error {
	const reserve = 1 << 20
	free, err := d.o.freeSpace(d.dir)
	if err != nil {
		return err
	}
	if need := reserve + extra; free < need {
		return &spaceError{Path: d.dir, Free: free, Need: need}
	}
	return nil
}

// databaseSize returns the bytes on disk of the files in dir, 0 if there is no such directory.
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

// measure replaces the estimate of the size of the database, which only grows, by the real one.
func (d *database) measure() {
	size, err := databaseSize(filepath.Join(d.dir, databaseName))
	if err != nil {
		// Tables come and go meanwhile; the estimate is on the safe side.
		d.log.Debug().Err(err).Msg("measuring the database")
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.resident, d.unmeasured = size, 0
}
