package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

var errAnotherTray = errors.New("another one runs in this session already: look for its icon in the panel")

// lockTray takes the lock that only one tray of a desktop session can have. Two desktop sessions of
// a user have a bus each, and may have a tray each.
func lockTray(dir string) (*flock.Flock, error) {
	bus, _, _ := strings.Cut(os.Getenv("DBUS_SESSION_BUS_ADDRESS"), ",guid=") // the guid is not always there
	sum := sha256.Sum256([]byte(bus))
	lock := flock.New(filepath.Join(dir, fmt.Sprintf("tray-%x.lock", sum[:6])))
	locked, err := lock.TryLock()
	switch {
	case err != nil:
		return nil, fmt.Errorf("locking the session's tray: %w", err)
	case !locked:
		return nil, errAnotherTray
	}
	return lock, nil
}
