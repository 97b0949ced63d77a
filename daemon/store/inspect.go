package store

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"
	"github.com/dgraph-io/badger/v4/table"
	"github.com/dgraph-io/ristretto/v2/z"
)

// errBlank: the database has just been created and has nothing in it.
var errBlank = errors.New("the database is new")

// discardName and discardSize are those of Badger's statistics of the value log, which the store
// does not use. At another size it crashes Badger.
const (
	discardName = "DISCARD"
	discardSize = 1 << 20
)

// checkSchema refuses data of a newer version before anything is written. The head file decides;
// without it, the version in the MANIFEST does.
func (d *database) checkSchema(dir string) error {
	found := d.head.get().Schema
	if found == 0 {
		f, err := os.Open(filepath.Join(dir, badger.ManifestFilename))
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		defer f.Close()
		var magic [8]byte // "Bdgr", our version, Badger's version
		if _, err := f.ReadAt(magic[:], 0); err != nil || string(magic[:4]) != "Bdgr" {
			return nil // preflight deals with damage
		}
		found = int(binary.BigEndian.Uint16(magic[4:]))
	}
	if found > schemaVersion {
		return &newerError{Path: d.dir, Found: found, Support: schemaVersion}
	}
	return nil
}

// preflight looks for damage in the files, before Badger does: there it would crash the process,
// hide the damage or delete the tables that it misses. changed: the MANIFEST is not the one of the
// last close, because of damage or because the head file is older than it; only a full inspection
// can tell.
func (d *database) preflight(dir string) (changed bool, err error) {
	h := d.head.get()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if len(entries) == 0 {
		_, err := os.Stat(filepath.Join(d.dir, exportName))
		if h.Seq > 0 || err == nil {
			return false, damagef("it is missing")
		}
		return false, nil
	}
	for _, e := range entries {
		if !e.Type().IsRegular() {
			return false, damagef("%s is no file", e.Name())
		}
	}
	path := filepath.Join(dir, badger.ManifestFilename)
	sum, err := fileDigest(path)
	switch {
	case err != nil:
		return false, err
	case sum == "":
		return false, damagef("its MANIFEST is missing")
	}
	changed = h.Manifest != "" && h.Manifest != sum
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	var manifest badger.Manifest
	err = protect(func() (err error) {
		manifest, _, err = badger.ReplayManifestFile(f, schemaVersion, badgerOptions(dir, d.log))
		return err
	})
	if err != nil {
		return false, damagef("reading its MANIFEST: %v", err)
	}
	for id := range manifest.Tables {
		path := table.NewFilename(id, dir)
		if err := checkTable(path); err != nil {
			return false, damagef("table %s: %v", filepath.Base(path), err)
		}
	}
	discard := filepath.Join(dir, discardName)
	if info, err := os.Stat(discard); err == nil && info.Size() != discardSize {
		return changed, os.Remove(discard)
	}
	return changed, nil
}

// checkTable reads one table in full and verifies its checksums.
func checkTable(path string) error {
	return protect(func() error {
		mf, err := z.OpenMmapFile(path, os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		t, err := table.OpenTable(mf, table.Options{
			ReadOnly:    true,
			Compression: options.None,
			ChkMode:     options.OnTableRead,
		})
		if err != nil {
			return err
		}
		return t.Close(-1)
	})
}

// inspect returns the meta record after checking that the database is not older than what is known
// of it and, if full is set, that all its records are there and as they were written.
func inspect(db *badger.DB, known meta, h head, full bool) (meta, error) {
	txn := db.NewTransaction(false)
	defer txn.Discard()
	r := txnReader{txn}
	m, err := readMeta(r)
	if errors.Is(err, ErrNotFound) && h.Seq == 0 && known.Seq == 0 {
		empty := true
		if err := r.scan(nil, false, func(_, _ []byte) error { empty = false; return errStop }); err != nil {
			return meta{}, err
		}
		if empty {
			return meta{}, errBlank
		}
	}
	if errors.Is(err, ErrNotFound) {
		return meta{}, damagef("its meta record is missing")
	}
	if err != nil {
		return meta{}, err
	}
	for _, floor := range []meta{known, {Seq: h.Seq, Digest: h.Digest}} {
		if m.Seq < floor.Seq {
			return meta{}, damagef("it ends with change %d, but %d was acknowledged", m.Seq, floor.Seq)
		}
		if m.Seq == floor.Seq && m.Digest != floor.Digest {
			return meta{}, damagef("its digest is not that of change %d", m.Seq)
		}
	}
	if !full {
		return m, nil
	}
	var digest uint64
	err = r.scan(nil, false, func(key, value []byte) error {
		if string(key) != string(keyMeta) {
			digest += recordHash(key, value)
		}
		return nil
	})
	if err != nil {
		return meta{}, err
	}
	if digest != m.Digest {
		return meta{}, damagef("records are missing or changed")
	}
	return m, nil
}

func readMeta(r reader) (m meta, err error) {
	value, err := r.get(keyMeta)
	if err != nil {
		return meta{}, err
	}
	return m, decode(value, &m)
}

// initialise writes the first meta record.
func (d *database) initialise(db *badger.DB) (meta, error) {
	m := meta{Schema: schemaVersion, Seq: 1}
	value, err := encode(m)
	if err != nil {
		return meta{}, err
	}
	if err := protect(func() error {
		return db.Update(func(txn *badger.Txn) error { return txn.Set(keyMeta, value) })
	}); err != nil {
		return meta{}, fmt.Errorf("writing the first record: %w", err)
	}
	return m, d.head.change(func(h *head) { h.Seq, h.Digest = m.Seq, m.Digest })
}

// blame returns why the opening failed: what the file system answers when it is tried, or else
// damage.
func (d *database) blame(dir string, cause error) error {
	probe := filepath.Join(d.dir, "probe")
	if err := os.WriteFile(probe, []byte("x"), 0o600); err != nil {
		return err
	}
	if err := os.Remove(probe); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range entries {
		f, err := os.OpenFile(filepath.Join(dir, e.Name()), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		f.Close()
	}
	line, _, _ := strings.Cut(cause.Error(), "\n")
	return damagef("opening it: %.200s", line)
}
