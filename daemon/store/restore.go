package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// keepDamaged is how many damaged databases are kept.
const keepDamaged = 3

// Recovery describes a repair: the database was moved aside and made anew.
type Recovery struct {
	Time     time.Time
	Reason   string // why, for people
	Damaged  string // where the damaged database is now; "" if there was none
	Exported time.Time
	Configs  int // restored
	Sessions int // restored
	// Missing is the number of newest changes that may be lost; counters and probe history count as
	// changes too. 0: nothing is lost.
	Missing uint64
}

// restore moves the damaged database aside and makes one from the export and from what could be
// read. The caller holds the gate and the database is closed. Each step can be interrupted: the
// next Open starts over.
func (d *database) restore(damage *damageError) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("repairing the store (%s): %w", damage.reason, err)
		}
	}()
	d.log.Error().Str("reason", damage.reason).Msg("the database is damaged, restoring it")
	exported, err := readExport(filepath.Join(d.dir, exportName))
	if _, newer := errors.AsType[*newerError](err); newer {
		return err
	}
	if err != nil {
		d.log.Error().Err(err).Msg("the export cannot be used")
	}
	snap := merge(exported, damage.readable)
	r := Recovery{Time: time.Now(), Reason: damage.reason, Exported: snap.time}
	if known := d.mustKnow().Seq; known > snap.meta.Seq {
		r.Missing = known - snap.meta.Seq
	}
	// Above all that is known: an interruption after the last step but one leaves a database that
	// is as good as any.
	snap.meta.Seq = max(snap.meta.Seq, d.mustKnow().Seq) + 1

	size := uint64(0)
	for _, rec := range snap.records {
		size += uint64(len(rec.key) + len(rec.value))
	}
	if err := d.checkSpace(3 * size); err != nil {
		return err
	}
	build := filepath.Join(d.dir, buildName)
	if err := os.RemoveAll(build); err != nil {
		return err
	}
	if err := d.opener.build(build, snap); err != nil {
		return err
	}
	if r.Damaged, err = d.putAside(); err != nil {
		return err
	}
	if err := os.Rename(build, filepath.Join(d.dir, databaseName)); err != nil {
		return err
	}
	if err := syncDir(d.dir); err != nil {
		return err
	}
	if err := d.head.change(func(h *head) {
		*h = head{Schema: schemaVersion, Seq: snap.meta.Seq, Digest: snap.meta.Digest}
	}); err != nil {
		return err
	}
	d.crashes.clear()
	r.Configs, r.Sessions = snap.count(prefixConfig), snap.count(prefixSession)
	d.log.Warn().Int("configs", r.Configs).Int("sessions", r.Sessions).Uint64("missing_changes", r.Missing).
		Str("damaged", r.Damaged).Msg("the database was restored")
	d.mu.Lock()
	defer d.mu.Unlock()
	d.recovery, d.meta, d.suspect = &r, snap.meta, true
	return nil
}

// mustKnow returns the newest change that is known to have been acknowledged.
func (d *database) mustKnow() head {
	h := d.head.get()
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.meta.Seq > h.Seq {
		h.Seq, h.Digest = d.meta.Seq, d.meta.Digest
	}
	return h
}

// readable collects what a damaged but open database still gives.
func readable(db *badger.DB) *snapshot {
	snap := &snapshot{}
	for _, prefix := range []byte{prefixConfig, prefixSubscription, keyDesired[0], prefixOutcome, prefixSession} {
		// What comes before the first unreadable record is kept.
		_ = protect(func() error {
			txn := db.NewTransaction(false)
			defer txn.Discard()
			return txnReader{txn}.scan([]byte{prefix}, false, func(key, value []byte) error {
				value = append([]byte{}, value...)
				if prefix != prefixConfig {
					snap.add(append([]byte{}, key...), value)
					return nil
				}
				var r configRecord
				if err := decode(value, &r); err != nil {
					return err
				}
				snap.addConfig(r, value)
				return nil
			})
		})
	}
	_ = protect(func() error {
		txn := db.NewTransaction(false)
		defer txn.Discard()
		m, err := readMeta(txnReader{txn})
		if err == nil {
			snap.meta = m
		}
		return err
	})
	snap.sort()
	return snap
}

// merge combines an export with what a damaged database still gave; either may be nil. The export
// is whole, so nothing in it is dropped. Ids are never reused: a record with a higher id than the
// export knows is newer than the export. Everything else is taken from the side with the newer
// state.
func merge(exported, readable *snapshot) *snapshot {
	out := &snapshot{}
	if exported != nil {
		out.meta, out.time = exported.meta, exported.time
	}
	values := make(map[string][]byte)
	if exported != nil {
		for _, r := range exported.records {
			values[string(r.key)] = r.value
		}
	}
	if readable != nil {
		last := map[byte]int64{
			prefixConfig: out.meta.LastConfig, prefixSubscription: out.meta.LastSubscription, prefixSession: out.meta.LastSession,
		}
		out.meta.LastConfig = max(out.meta.LastConfig, readable.meta.LastConfig)
		out.meta.LastSubscription = max(out.meta.LastSubscription, readable.meta.LastSubscription)
		out.meta.LastSession = max(out.meta.LastSession, readable.meta.LastSession)
		newer := exported == nil || readable.meta.Seq > exported.meta.Seq
		for _, r := range readable.records {
			_, both := values[string(r.key)]
			var isNew bool
			switch r.key[0] {
			case prefixConfig, prefixSubscription, prefixSession:
				id, err := keyID(r.key)
				isNew = exported == nil || err == nil && id > last[r.key[0]]
			case prefixIdentity:
				// Follows its config: see below.
				continue
			default:
				isNew = newer
			}
			if isNew || both && newer {
				values[string(r.key)] = r.value
			}
		}
	}
	for key, value := range values {
		if key[0] != prefixIdentity {
			out.add([]byte(key), value)
		}
	}
	out.sort()
	out.complete()
	return out
}

// complete derives the index and the meta record from the records.
func (s *snapshot) complete() {
	s.meta.Schema, s.meta.Sessions, s.meta.Digest = schemaVersion, 0, 0
	kept := s.records[:0:0]
	seen := make(map[string]bool)
	for _, r := range s.records {
		id, err := keyID(r.key)
		switch r.key[0] {
		case prefixConfig:
			var c configRecord
			if err != nil || decode(r.value, &c) != nil || seen[c.Identity] {
				continue
			}
			seen[c.Identity] = true
			s.meta.LastConfig = max(s.meta.LastConfig, id)
			kept = append(kept, record{identityKey(c.Identity), idKey(prefixIdentity, id)[1:]})
		case prefixSubscription:
			var rec subscriptionRecord
			if err != nil || decode(r.value, &rec) != nil {
				continue
			}
			s.meta.LastSubscription = max(s.meta.LastSubscription, id)
		case prefixSession:
			var rec sessionRecord
			if err != nil || decode(r.value, &rec) != nil {
				continue
			}
			s.meta.LastSession = max(s.meta.LastSession, id)
			s.meta.Sessions++
		}
		kept = append(kept, r)
	}
	s.records = kept
	s.sort()
	for _, r := range s.records {
		s.meta.Digest += recordHash(r.key, r.value)
	}
}

// build makes a database with the records of snap in a new directory.
func (o *opener) build(dir string, snap *snapshot) (err error) {
	db, err := o.open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, protect(db.Close)) }()
	batch := db.NewWriteBatch()
	defer batch.Cancel()
	for _, r := range snap.records {
		if err := batch.Set(r.key, r.value); err != nil {
			return err
		}
	}
	value, err := encode(snap.meta)
	if err != nil {
		return err
	}
	if err := batch.Set(keyMeta, value); err != nil {
		return err
	}
	return batch.Flush()
}

// stamped ends a name with the time, so that names are in order of age.
func stamped(name string) string { return name + time.Now().UTC().Format("20060102-150405.000000") }

// putAside renames the database, if there is one, and removes the oldest of those put aside
// earlier.
func (d *database) putAside() (string, error) {
	from := filepath.Join(d.dir, databaseName)
	if _, err := os.Lstat(from); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	to := filepath.Join(d.dir, stamped(damagedName))
	if err := os.Rename(from, to); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(d.dir) // in order of names, so of age
	if err != nil {
		return "", err
	}
	var old []string
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), damagedName) {
			old = append(old, e.Name())
		}
	}
	for len(old) > keepDamaged {
		if err := os.RemoveAll(filepath.Join(d.dir, old[0])); err != nil {
			return "", err
		}
		old = old[1:]
	}
	return to, nil
}
