package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/xrat-tray/xrat/daemon/settings"
)

// launchTime bounds a start of the daemon; it includes the time in which the
// daemon takes over what an earlier one left.
const launchTime = 30 * time.Second

var errAnotherTray = errors.New("another one runs in this session already: look for its icon in the panel")

// lockSession takes the lock that only one tray of a desktop session has. Two
// sessions of a user have a bus each, and may have a tray each.
func lockSession(dir string) (*flock.Flock, error) {
	bus, _, _ := strings.Cut(os.Getenv("DBUS_SESSION_BUS_ADDRESS"), ",guid=") // of the same bus, and not always told
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

// launchDaemon has xrat start the daemon, and returns when it answers.
func launchDaemon(ctx context.Context) error {
	program, err := findXrat()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, launchTime)
	defer cancel()
	said, err := exec.CommandContext(ctx, program, "daemon", "start").CombinedOutput()
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("starting the daemon: no end within %s", launchTime)
	}
	if text := strings.TrimSpace(strings.TrimPrefix(string(said), "xrat: ")); text != "" {
		return errors.New(text)
	}
	return fmt.Errorf("starting the daemon: %w", err)
}

// findXrat looks for xrat beside this program, then in PATH.
func findXrat() (string, error) {
	name := "xrat"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	own, err := executable()
	if err == nil {
		beside := filepath.Join(filepath.Dir(own), name)
		if info, err := os.Stat(beside); err == nil && info.Mode().IsRegular() {
			return beside, nil
		}
	}
	program, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("starting the daemon: the program xrat is neither beside xrat-tray (%s) nor in PATH: install it there", filepath.Dir(own))
	}
	return program, nil
}

// executable is this program's file, and not a link to it.
func executable() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(own)
}

func prefsFile(paths settings.Paths) string { return filepath.Join(paths.StateDir, "tray.json") }

// loginEntry is the file that starts the tray at login, and the program that it
// starts; empty where desktops do not work like that.
func loginEntry(paths settings.Paths) (file, program string) {
	own, err := executable()
	if err != nil || runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return "", ""
	}
	config := filepath.Dir(filepath.Dir(paths.ConfigFile))
	return filepath.Join(config, "autostart", "xrat-tray.desktop"), own
}
