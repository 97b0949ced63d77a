package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// launchTime bounds a start of the daemon, which includes taking over what an earlier daemon left.
const launchTime = 30 * time.Second

// launchDaemon has xrat start the daemon, and returns when the daemon answers.
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

// executable returns this program's file, not a link to it.
func executable() (string, error) {
	own, err := os.Executable()
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(own)
}
