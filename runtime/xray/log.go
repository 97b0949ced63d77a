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
	// maxLog is the size that a core's log file may have when a core is started, in bytes.
	maxLog = 1 << 20
	// maxTail bounds what is read from the end of a log, in bytes.
	maxTail = 64 << 10
)

// CapLog keeps a core's log file small: of a file with more than max bytes it keeps, in place, the
// last max/2, from the beginning of a line. Cores may go on writing to it, as they append; a line
// written at that very moment may be lost. A missing file is no error. It may be called at any
// time.
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

// coreLog is the file that a core writes to. Others may append to it, too.
type coreLog struct {
	path string
	from int64 // its size in bytes when the core was started
}

// lastLine returns the last line written since the core's start, fit to show.
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

// mask overwrites the secrets in what was written since the core's start: a core quotes its
// configuration when it cannot read it. The length stays the same, so that nobody who appends
// meanwhile is disturbed.
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

// tail returns what was written since the core's start, at most the last maxTail bytes, and the
// offset in the file at which that begins.
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
