package store

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// lenient keeps one name in a strange encoding from failing a whole import.
var lenient = jsontext.AllowInvalidUTF8(true)

// schemaVersion is the version of the records this package reads and writes.
const schemaVersion = 1

// maxRecord bounds one record in bytes. It keeps every value out of Badger's value log, which then
// never needs garbage collection.
const maxRecord = 128 << 10

// Keys: a one-letter prefix and, for numbered records, the id in big endian, so that the order of
// keys is the order of ids. The letters of what changes often (d to s) are not mixed with those of
// configs (a to c): compaction then leaves the tables of configs alone.
const (
	prefixConfig       = 'a'
	prefixIdentity     = 'b' // b<identity> -> id of the config, 8 bytes
	prefixSubscription = 'c'
	prefixOutcome      = 'o'
	prefixSession      = 's'
)

var (
	keyDesired = []byte("d")
	keyMeta    = []byte("m")
)

func idKey(prefix byte, id int64) []byte {
	return binary.BigEndian.AppendUint64([]byte{prefix}, uint64(id))
}

func keyID(key []byte) (int64, error) {
	if len(key) != 9 {
		return 0, damagef("a key of %d bytes where 9 belong", len(key))
	}
	return int64(binary.BigEndian.Uint64(key[1:])), nil
}

func identityKey(identity string) []byte {
	return append([]byte{prefixIdentity}, identity...)
}

// meta is written with every change, in the same transaction.
type meta struct {
	Schema           int    `json:"schema"`
	Seq              uint64 `json:"seq"` // of the newest change; the first is 1
	LastConfig       int64  `json:"last_config"`
	LastSession      int64  `json:"last_session"`
	LastSubscription int64  `json:"last_subscription,omitempty"`
	Sessions         int    `json:"sessions"`
	Digest           uint64 `json:"digest"` // sum of recordHash over all records but this one
}

// recordHash contributes one record to the digest. The digest is a sum, so that it does not depend
// on an order and a change adjusts it in constant time.
func recordHash(key, value []byte) uint64 {
	h := sha256.New()
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(key)))
	h.Write(n[:])
	h.Write(key)
	h.Write(value)
	var sum [sha256.Size]byte
	return binary.BigEndian.Uint64(h.Sum(sum[:0]))
}

func encode(v any) ([]byte, error) {
	b, err := json.Marshal(v, lenient)
	if err != nil {
		return nil, fmt.Errorf("encoding a record: %w", err)
	}
	if len(b) > maxRecord {
		return nil, fmt.Errorf("a record of %d bytes is too large, the limit is %d", len(b), maxRecord)
	}
	return b, nil
}

// decode never quotes the value in its error: it may hold secrets.
func decode(value []byte, v any) error {
	if err := json.Unmarshal(value, v, lenient); err != nil {
		return damagef("a record of type %T does not decode", v)
	}
	return nil
}
