package xray

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
)

const (
	// MaxLog is the size in bytes that Start lets a core's log file have before
	// the spawn, and a good value for CapLog.
	MaxLog = 1 << 20
	// maxTail bounds what is read of a log's end.
	maxTail = 64 << 10
)

// CapLog keeps a core's log file small: a file of more than max bytes is cut
// down, in place, to the last half of max, at a line's start. Cores that are
// writing to it go on, as they append; a line they write at that very moment
// may be lost. A missing file is fine.
func CapLog(path string, max int64) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("capping the core's log: %w", err)
	case !info.Mode().IsRegular():
		return fmt.Errorf("capping the core's log: %s is not a regular file: remove it", path)
	case info.Size() <= max:
		return nil
	}
	file, err := openLog(path, os.O_RDWR)
	if err != nil {
		return fmt.Errorf("capping the core's log: %w", err)
	}
	defer file.Close()
	tail := make([]byte, max/2)
	n, err := file.ReadAt(tail, info.Size()-int64(len(tail)))
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("capping the core's log: %w", err)
	}
	tail = tail[:n]
	if i := bytes.IndexByte(tail, '\n'); i >= 0 {
		tail = tail[i+1:]
	}
	if _, err := file.WriteAt(tail, 0); err != nil {
		return fmt.Errorf("capping the core's log: %w", err)
	}
	if err := file.Truncate(int64(len(tail))); err != nil {
		return fmt.Errorf("capping the core's log: %w", err)
	}
	return nil
}

// coreLog is the file that one core writes to. Others may append to the same
// file; from tells where this core's time began.
type coreLog struct {
	path string
	from int64
}

// lastLine gives the last line that was written since the core's start, clean.
func (l coreLog) lastLine(secrets []string) string {
	file, err := openLog(l.path, os.O_RDONLY)
	if err != nil {
		return ""
	}
	defer file.Close()
	text, _ := l.tail(file)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return clean(lines[len(lines)-1], secrets)
}

// mask overwrites the secrets in what was written since the core's start, byte
// for byte, so that it disturbs nobody who appends meanwhile. A core repeats
// parts of its configuration when it cannot read it.
func (l coreLog) mask(secrets []string) error {
	file, err := openLog(l.path, os.O_RDWR)
	if err != nil {
		return err
	}
	defer file.Close()
	text, offset := l.tail(file)
	for _, secret := range secrets {
		if len(secret) < minSecret {
			continue
		}
		stars := bytes.Repeat([]byte{'*'}, len(secret))
		for at := 0; ; at += len(secret) {
			i := bytes.Index(text[at:], []byte(secret))
			if i < 0 {
				break
			}
			at += i
			if _, err := file.WriteAt(stars, offset+int64(at)); err != nil {
				return err
			}
		}
	}
	return nil
}

// tail reads what was written since the core's start, at most maxTail bytes,
// and tells where in the file that begins.
func (l coreLog) tail(file *os.File) (text []byte, offset int64) {
	info, err := file.Stat()
	if err != nil {
		return nil, 0
	}
	offset = l.from
	if offset > info.Size() { // the file was capped meanwhile
		offset = 0
	}
	offset = max(offset, info.Size()-maxTail)
	text = make([]byte, info.Size()-offset)
	n, _ := file.ReadAt(text, offset)
	return text[:n], offset
}
