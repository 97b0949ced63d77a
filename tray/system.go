package tray

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/atotto/clipboard"
)

// clipboardTime bounds how long the clipboard may take: another program owns it, and may hang.
const clipboardTime = 5 * time.Second

var errNoClipboard = errors.New("no program for the clipboard was found: install wl-clipboard (Wayland) or xclip (X11)")

func readClipboard(ctx context.Context) (string, error) {
	var text string
	err := bounded(ctx, clipboardTime, func() (err error) {
		text, err = clipboard.ReadAll()
		return err
	})
	switch {
	case clipboard.Unsupported:
		return "", errNoClipboard
	case err != nil:
		// What these programs say when the clipboard is empty differs; all fail.
		return "", fmt.Errorf("reading the clipboard, which may be empty: %w", err)
	}
	return text, nil
}

func writeClipboard(ctx context.Context, text string) error {
	if clipboard.Unsupported {
		return errNoClipboard
	}
	if err := bounded(ctx, clipboardTime, func() error { return clipboard.WriteAll(text) }); err != nil {
		return fmt.Errorf("writing to the clipboard: %w", err)
	}
	return nil
}

// bounded gives up waiting for f after the limit; f itself goes on.
func bounded(ctx context.Context, limit time.Duration, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(limit):
		return fmt.Errorf("no answer within %s", limit)
	}
}

// pause waits, and reports whether it did so to the end.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// openLogs shows the directory of the logs in the desktop's file manager.
func (t *tray) openLogs(ctx context.Context) {
	opener := map[string]string{"windows": "explorer", "darwin": "open"}[runtime.GOOS]
	if opener == "" {
		opener = "xdg-open"
	}
	t.worker(ctx, func(ctx context.Context) func() {
		// It may run for as long as the file manager does, so only its start is waited for.
		ctx, cancel := context.WithTimeout(ctx, clipboardTime)
		defer cancel()
		said, err := exec.CommandContext(ctx, opener, t.LogDir).CombinedOutput()
		if ctx.Err() != nil || runtime.GOOS == "windows" {
			err = nil // it runs on, or is explorer, which never says 0
		}
		if err != nil {
			err = fmt.Errorf("opening %s: %w %s", t.LogDir, err, strings.TrimSpace(string(said)))
		}
		return func() { t.failed(err) }
	})
}
