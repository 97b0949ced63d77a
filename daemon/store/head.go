package store

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"sync"
)

// headSize is the fixed size of the head file, one disk sector: it is rewritten in place after
// every change.
const headSize = 512

// head is what is known of the database without opening it. It is written after a change is on disk
// and without waiting for the disk: it survives a killed process, and after a power loss it can
// only be older than the database, never newer.
type head struct {
	Schema   int    `json:"schema"`
	Seq      uint64 `json:"seq"` // the database must not be older
	Digest   uint64 `json:"digest"`
	Exported uint64 `json:"exported"` // seq of the newest export
	// Manifest is the digest of Badger's MANIFEST after a clean close, "" while the database is
	// open. After a power loss it may be that of an earlier close.
	Manifest string `json:"manifest,omitempty"`
}

type headFile struct {
	mu  sync.Mutex
	f   *os.File
	now head
}

// openHead reads the head file. A missing or unreadable one counts as empty: it makes other damage
// harder to notice, but is none itself.
func openHead(path string) (*headFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	h := &headFile{f: f}
	buf := make([]byte, headSize)
	if n, _ := f.ReadAt(buf, 0); n == headSize {
		h.now = parseHead(buf)
	}
	return h, nil
}

func parseHead(buf []byte) (h head) {
	var sum uint32
	text, tail, ok := bytes.Cut(buf, []byte("\n"))
	if !ok {
		return head{}
	}
	if _, err := fmt.Sscanf(string(tail), "%08x", &sum); err != nil || sum != crc32.ChecksumIEEE(text) {
		return head{}
	}
	if json.Unmarshal(text, &h) != nil {
		return head{}
	}
	return h
}

func (h *headFile) get() head {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

func (h *headFile) exported() uint64 { return h.get().Exported }

// change edits the head and writes it.
func (h *headFile) change(edit func(*head)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	edit(&h.now)
	text, err := json.Marshal(h.now)
	if err != nil {
		return fmt.Errorf("writing the head: %w", err)
	}
	buf := bytes.Repeat([]byte(" "), headSize)
	copy(buf, fmt.Sprintf("%s\n%08x\n", text, crc32.ChecksumIEEE(text)))
	if _, err := h.f.WriteAt(buf, 0); err != nil {
		return fmt.Errorf("writing the head: %w", err)
	}
	return nil
}

func (h *headFile) close() error { return h.f.Close() }

// fileDigest returns "" for a file that does not exist.
func fileDigest(path string) (string, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}
