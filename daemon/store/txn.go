package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"
)

// errStop ends a scan early without an error.
var errStop = errors.New("stop")

// reader reads records from the database or, while that cannot be opened, from the export.
type reader interface {
	get(key []byte) ([]byte, error) // ErrNotFound; valid until the reader ends
	// scan calls fn for each record whose key has the prefix, in order of keys. Key and value are
	// valid until fn returns.
	scan(prefix []byte, reverse bool, fn func(key, value []byte) error) error
}

type txnReader struct{ txn *badger.Txn }

func (r txnReader) get(key []byte) ([]byte, error) {
	item, err := r.txn.Get(key)
	if errors.Is(err, badger.ErrKeyNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, damagef("reading a record: %v", err)
	}
	return item.ValueCopy(nil)
}

func (r txnReader) scan(prefix []byte, reverse bool, fn func(key, value []byte) error) error {
	o := badger.DefaultIteratorOptions
	o.PrefetchValues = false // the values are beside the keys
	o.Reverse = reverse
	o.Prefix = prefix
	it := r.txn.NewIterator(o)
	defer it.Close()
	start := prefix
	if reverse {
		start = append(append([]byte{}, prefix...), 0xff) // above every key with the prefix
	}
	for it.Seek(start); it.Valid(); it.Next() {
		item := it.Item()
		err := item.Value(func(value []byte) error { return fn(item.Key(), value) })
		if errors.Is(err, errStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// view lets fn read a consistent state.
func (d *database) view(ctx context.Context, fn func(reader) error) error {
	err := d.tryView(ctx, fn)
	if _, ok := errors.AsType[*damageError](err); ok {
		// The next opening verifies and repairs; then the answer is right.
		d.suspected(err)
		err = d.tryView(ctx, fn)
	}
	if errors.Is(err, errNoSpace) {
		var snap *snapshot
		if snap, err = d.readOnly(err); err == nil {
			err = fn(snap)
		}
	}
	return err
}

func (d *database) tryView(ctx context.Context, fn func(reader) error) error {
	db, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer d.release()
	return protect(func() error {
		txn := db.NewTransaction(false)
		defer txn.Discard()
		return fn(interruptible{ctx, txnReader{txn}})
	})
}

// interruptible ends long scans when its context ends.
type interruptible struct {
	ctx context.Context
	reader
}

func (r interruptible) scan(prefix []byte, reverse bool, fn func(key, value []byte) error) error {
	n := 0
	return r.reader.scan(prefix, reverse, func(key, value []byte) error {
		if n++; n%256 == 0 && r.ctx.Err() != nil {
			return r.ctx.Err()
		}
		return fn(key, value)
	})
}

func (d *database) suspected(err error) {
	d.log.Error().Err(err).Msg("the database will be verified")
	d.mu.Lock()
	defer d.mu.Unlock()
	d.suspect = true
}

// change is a transaction in progress. It keeps the meta record in step.
type change struct {
	txnReader
	meta  meta
	bytes int  // written so far
	dirty bool // worth a new export soon
}

func (c *change) put(key, value []byte) error {
	switch old, err := c.get(key); {
	case err == nil:
		c.meta.Digest -= recordHash(key, old)
	case !errors.Is(err, ErrNotFound):
		return err
	}
	c.meta.Digest += recordHash(key, value)
	c.bytes += len(key) + len(value) + 64
	return c.txn.Set(key, value)
}

// remove reports whether there was such a record.
func (c *change) remove(key []byte) (bool, error) {
	old, err := c.get(key)
	if errors.Is(err, ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	c.meta.Digest -= recordHash(key, old)
	c.bytes += len(key) + 64
	// The transaction keeps the key until it is committed.
	return true, c.txn.Delete(append([]byte{}, key...))
}

// update commits what fn does, or nothing if it returns an error. When update returns nil, the
// change is on disk.
func (d *database) update(ctx context.Context, fn func(*change) error) error {
	// A change may have to wait for a full table to be written, to a new file.
	defer d.spare.BorrowIfShort()()
	select {
	case d.writer <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-d.writer }()
	err := d.tryUpdate(ctx, fn)
	if _, ok := errors.AsType[*damageError](err); ok {
		d.suspected(err)
		if errors.Is(err, errCommit) {
			return err // it may have been made: trying again could make it twice
		}
		err = d.tryUpdate(ctx, fn)
	}
	return err
}

// errCommit: it is not known whether the change was made.
var errCommit = errors.New("committing a change")

func (d *database) tryUpdate(ctx context.Context, fn func(*change) error) error {
	db, err := d.acquire(ctx)
	if err != nil {
		return err
	}
	defer d.release()
	d.mu.Lock()
	before, resident := d.meta, d.resident
	d.mu.Unlock()

	c := &change{meta: before}
	err = protect(func() error {
		c.txn = db.NewTransaction(true)
		defer c.txn.Discard()
		if err := fn(c); err != nil {
			return err
		}
		if c.bytes == 0 {
			return nil
		}
		c.meta.Seq++
		value, err := encode(c.meta)
		if err != nil {
			return err
		}
		if err := c.txn.Set(keyMeta, value); err != nil {
			return err
		}
		// Once for the log, once for the table it becomes.
		if err := d.checkSpace(resident + 2*uint64(c.bytes)); err != nil {
			return err
		}
		if err := c.txn.Commit(); err != nil {
			return fmt.Errorf("%w: %w", errCommit, damagef("%v", err))
		}
		return nil
	})
	if err != nil || c.bytes == 0 {
		return err
	}
	d.acknowledge(c)
	return nil
}

// acknowledge takes note of a change that is on disk.
func (d *database) acknowledge(c *change) {
	if err := d.head.change(func(h *head) { h.Seq, h.Digest = c.meta.Seq, c.meta.Digest }); err != nil {
		// The change is made; only noticing its loss has become harder.
		d.log.Warn().Err(err).Msg("recording a change")
	}
	d.mu.Lock()
	d.meta = c.meta
	d.resident += 2 * uint64(c.bytes)
	d.unmeasured += uint64(c.bytes)
	measure := d.unmeasured > 2*memTableSize
	arm := c.dirty && d.due.export.IsZero()
	if arm {
		d.due.export = time.Now().Add(exportDelay)
	}
	d.mu.Unlock()
	if arm {
		signal(d.kick)
	}
	if measure {
		d.measure()
	}
}
