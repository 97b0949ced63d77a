package store

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const (
	// MaxBody bounds the body that is kept of a subscription, in bytes.
	MaxBody = 8 << 20

	deviceName = "device"
)

// KeepBody keeps what a subscription's provider has answered, in the place of what was kept before.
// It replaces all of it or nothing.
func (s *Store) KeepBody(ctx context.Context, id int64, body []byte) error {
	if len(body) > MaxBody {
		return fmt.Errorf("keeping the answer of subscription %d: %d bytes are too many, the limit is %d", id, len(body), MaxBody)
	}
	err := s.inFiles(ctx, true, func(root *os.Root) error { return s.replace(root, bodyName(id), body) })
	if err != nil {
		return fmt.Errorf("keeping the answer of subscription %d: %w", id, err)
	}
	return nil
}

// Body returns the body that is kept of a subscription, or ErrNotFound.
func (s *Store) Body(ctx context.Context, id int64) (body []byte, err error) {
	err = s.inFiles(ctx, false, func(root *os.Root) (err error) {
		body, err = readBounded(root, bodyName(id), MaxBody)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the answer that is kept of subscription %d: %w", id, err)
	}
	return body, nil
}

// DeviceID returns a random text that stands for this installation: the same one at every call,
// made and stored by the first.
func (s *Store) DeviceID(ctx context.Context) (device string, err error) {
	err = s.inFiles(ctx, true, func(root *os.Root) error {
		known, err := readBounded(root, deviceName, 256)
		switch device = strings.TrimSpace(string(known)); {
		case err != nil && !errors.Is(err, ErrNotFound):
			return err
		case isDeviceID(device):
			return nil
		}
		random := make([]byte, deviceBytes)
		rand.Read(random) // never fails
		device = hex.EncodeToString(random)
		return s.replace(root, deviceName, []byte(device+"\n"))
	})
	if err != nil {
		return "", fmt.Errorf("storing the id of this device: %w", err)
	}
	return device, nil
}

const deviceBytes = 16

func isDeviceID(text string) bool {
	b, err := hex.DecodeString(text)
	return err == nil && len(b) == deviceBytes
}

// dropBody removes the body that is kept of a subscription. That it cannot is logged: it is found
// nowhere any more, and overwritten if there is ever another subscription with the id.
func (s *Store) dropBody(id int64) {
	err := s.inFiles(context.Background(), false, func(root *os.Root) error { return root.Remove(bodyName(id)) })
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn().Err(err).Int64("subscription", id).Msg("removing the answer that is kept of a subscription")
	}
}

func bodyName(id int64) string { return strconv.FormatInt(id, 10) + ".body" }

// inFiles calls f with the directory of the files of subscriptions. Nothing that is opened in it
// leads out of it. If there is none it is made, or else the error is ErrNotFound.
func (s *Store) inFiles(ctx context.Context, create bool, f func(*os.Root) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.files.Lock()
	defer s.files.Unlock()
	s.mu.Lock()
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return errClosed
	}
	dir, err := os.OpenRoot(s.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	info, err := dir.Lstat(bodiesName)
	switch {
	case errors.Is(err, fs.ErrNotExist) && create:
		err = dir.Mkdir(bodiesName, 0o700)
	case errors.Is(err, fs.ErrNotExist):
		err = ErrNotFound
	case err == nil && !info.IsDir(): // a link would lead elsewhere in the directory
		err = fmt.Errorf("%s is not a directory; move it away", filepath.Join(s.dir, bodiesName))
	}
	if err != nil {
		return err
	}
	root, err := dir.OpenRoot(bodiesName)
	if err != nil {
		return err
	}
	defer root.Close()
	return f(root)
}

// readBounded reads a regular file, or returns ErrNotFound.
func readBounded(root *os.Root, name string, most int64) ([]byte, error) {
	// Opening a pipe would wait for its writer, and a link leads to another file.
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, ErrNotFound
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file; move it away", name)
	case info.Size() > most:
		return nil, fmt.Errorf("%s has %d bytes, more than anything that was written there", name, info.Size())
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, most))
}

// replace writes a file in full beside the one that is replaced, and puts it into its place.
func (s *Store) replace(root *os.Root, name string, content []byte) (err error) {
	s.mu.Lock()
	resident := s.resident
	s.mu.Unlock()
	// It must not take what Badger needs.
	if err := s.checkSpace(2*resident + uint64(len(content))); err != nil {
		return err
	}
	tmp := name + ".tmp" // one writer at a time, so a fixed name leaves no litter
	if err := root.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			_ = root.Remove(tmp)
		}
	}()
	if _, err := f.Write(content); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := root.Rename(tmp, name); err != nil {
		return err
	}
	return syncDir(filepath.Join(s.dir, bodiesName))
}
