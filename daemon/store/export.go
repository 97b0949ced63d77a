package store

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"time"
)

// exportFormat is the first thing in an export.
const exportFormat = "xrat store export"

// exportFile is an export as it is read. It is written piece by piece; the records are the very
// bytes of the database. The last line has the SHA-256 of all lines before it.
type exportFile struct {
	Format        string            `json:"format"`
	Time          time.Time         `json:"time"`
	Meta          meta              `json:"meta"`
	Desired       []json.RawMessage `json:"desired"` // one, or none while nothing was ever asked for
	Configs       []json.RawMessage `json:"configs"`
	Subscriptions []json.RawMessage `json:"subscriptions"` // not there in exports of early versions
	Sessions      []json.RawMessage `json:"sessions"`
	Outcomes      []json.RawMessage `json:"outcomes"`
	SHA256        string            `json:"sha256"`
}

// export replaces the export by one of the current state.
func (s *Store) export(ctx context.Context) error {
	s.mu.Lock()
	s.due.export = time.Time{} // changes from here on ask for the next one
	s.mu.Unlock()
	db, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer s.release()
	s.mu.Lock()
	resident := s.resident
	s.mu.Unlock()
	// The export must not take what Badger needs.
	if err := s.checkSpace(2 * resident); err != nil {
		return err
	}
	txn := db.NewTransaction(false)
	defer txn.Discard()
	var m meta
	err = replaceFile(filepath.Join(s.dir, exportName), func(w io.Writer) error {
		return protect(func() (err error) {
			m, err = writeExport(w, interruptible{ctx, txnReader{txn}})
			return err
		})
	})
	if _, ok := errors.AsType[*damageError](err); ok {
		s.suspected(err)
	}
	if err != nil {
		return err
	}
	return s.head.change(func(h *head) { h.Exported = m.Seq })
}

func writeExport(w io.Writer, r reader) (meta, error) {
	m, err := readMeta(r)
	if err != nil {
		return meta{}, err
	}
	h := sha256.New()
	out := bufio.NewWriter(io.MultiWriter(w, h))
	first, err := json.Marshal(struct {
		Format string    `json:"format"`
		Time   time.Time `json:"time"`
		Meta   meta      `json:"meta"`
	}{exportFormat, time.Now().UTC(), m})
	if err != nil {
		return meta{}, err
	}
	out.Write(bytes.TrimSuffix(first, []byte("}")))
	var digest uint64
	for _, part := range []struct {
		name   string
		prefix []byte
	}{
		{"desired", keyDesired},
		{"configs", []byte{prefixConfig}},
		{"subscriptions", []byte{prefixSubscription}},
		{"sessions", []byte{prefixSession}},
		{"outcomes", []byte{prefixOutcome}},
		{"", []byte{prefixIdentity}}, // follows from the configs; read for the digest
	} {
		if part.name != "" {
			fmt.Fprintf(out, ",\n%q:[", part.name)
		}
		separator := "\n"
		err := r.scan(part.prefix, false, func(key, value []byte) error {
			digest += recordHash(key, value)
			if part.name == "" {
				return nil
			}
			out.WriteString(separator)
			separator = ",\n"
			_, err := out.Write(value)
			return err
		})
		if err != nil {
			return meta{}, err
		}
		if part.name != "" {
			out.WriteString("]")
		}
	}
	if digest != m.Digest {
		return meta{}, damagef("records are missing or changed")
	}
	out.WriteString(",\n")
	if err := out.Flush(); err != nil {
		return meta{}, err
	}
	_, err = fmt.Fprintf(w, "\"sha256\":%q}\n", hex.EncodeToString(h.Sum(nil)))
	return m, err
}

// replaceFile writes a private file so that path has either the old or the whole new content,
// whatever happens.
func replaceFile(path string, write func(io.Writer) error) (err error) {
	tmp := path + ".tmp" // one writer at a time, so a fixed name leaves no litter
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(tmp)
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// readExport reads an export in full. It returns nil without an error when there is none, a
// *newerError when it is of a newer version, and another error when it is not whole.
func readExport(path string) (*snapshot, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var e exportFile
	// Its own error is not passed on: it may quote a secret.
	if json.Unmarshal(text, &e) != nil || e.Format != exportFormat {
		return nil, fmt.Errorf("%s is damaged: it is not an export", path)
	}
	if e.Meta.Schema > schemaVersion {
		return nil, &newerError{Path: path, Found: e.Meta.Schema, Support: schemaVersion}
	}
	body := text[:bytes.LastIndexByte(bytes.TrimSuffix(text, []byte("\n")), '\n')+1]
	if sum := sha256.Sum256(body); hex.EncodeToString(sum[:]) != e.SHA256 {
		return nil, fmt.Errorf("%s is damaged: its checksum is wrong", path)
	}
	snap := &snapshot{meta: e.Meta, time: e.Time}
	for _, value := range e.Desired {
		snap.add(keyDesired, value)
	}
	for _, value := range e.Configs {
		var r configRecord
		if err := decode(value, &r); err != nil {
			return nil, err
		}
		snap.addConfig(r, value)
	}
	for _, value := range e.Subscriptions {
		var r subscriptionRecord
		if err := decode(value, &r); err != nil {
			return nil, err
		}
		snap.add(idKey(prefixSubscription, r.ID), value)
	}
	for _, value := range e.Sessions {
		var r sessionRecord
		if err := decode(value, &r); err != nil {
			return nil, err
		}
		snap.add(idKey(prefixSession, r.ID), value)
	}
	for _, value := range e.Outcomes {
		var r Outcome
		if err := decode(value, &r); err != nil {
			return nil, err
		}
		snap.add(idKey(prefixOutcome, r.ConfigID), value)
	}
	snap.sort()
	return snap, nil
}

// snapshot is all records in memory, sorted by key, without the meta record.
type snapshot struct {
	meta    meta
	time    time.Time
	records []record
}

type record struct{ key, value []byte }

func (s *snapshot) add(key, value []byte) { s.records = append(s.records, record{key, value}) }

func (s *snapshot) addConfig(r configRecord, value []byte) {
	s.add(idKey(prefixConfig, r.ID), value)
	s.add(identityKey(r.Identity), idKey(prefixIdentity, r.ID)[1:])
}

// count returns how many records have keys with the prefix.
func (s *snapshot) count(prefix byte) (n int) {
	for _, r := range s.records {
		if r.key[0] == prefix {
			n++
		}
	}
	return n
}

func (s *snapshot) sort() {
	sort.Slice(s.records, func(i, j int) bool { return bytes.Compare(s.records[i].key, s.records[j].key) < 0 })
}

// from returns the index of the first record whose key is not below key.
func (s *snapshot) from(key []byte) int {
	return sort.Search(len(s.records), func(i int) bool { return bytes.Compare(s.records[i].key, key) >= 0 })
}

func (s *snapshot) get(key []byte) ([]byte, error) {
	if i := s.from(key); i < len(s.records) && bytes.Equal(s.records[i].key, key) {
		return s.records[i].value, nil
	}
	return nil, ErrNotFound
}

func (s *snapshot) scan(prefix []byte, reverse bool, fn func(key, value []byte) error) error {
	first := s.from(prefix)
	end := first
	for end < len(s.records) && bytes.HasPrefix(s.records[end].key, prefix) {
		end++
	}
	for i := range end - first {
		r := s.records[first+i]
		if reverse {
			r = s.records[end-1-i]
		}
		if err := fn(r.key, r.value); errors.Is(err, errStop) {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// readOnly returns the export, for reads while there is no space to open the database. Without an
// export it returns cause rather than nothing, which would look like an empty store.
func (d *database) readOnly(cause error) (*snapshot, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fallback == nil {
		snap, err := readExport(filepath.Join(d.dir, exportName))
		if err != nil {
			return nil, err
		}
		if snap == nil && d.head.get().Seq > 0 {
			return nil, cause
		}
		if snap == nil {
			snap = &snapshot{}
		}
		d.fallback = snap
	}
	return d.fallback, nil
}
