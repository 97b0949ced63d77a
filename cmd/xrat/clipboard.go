package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/atotto/clipboard"
)

var errNoClipboard = errors.New("no program for the clipboard was found: install wl-clipboard (Wayland), or xclip or xsel (X11)")

// readClipboard asks the desktop's clipboard, by one of the usual programs, for text.
func readClipboard(ctx context.Context) (string, error) {
	if clipboard.Unsupported {
		return "", errNoClipboard
	}
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() { // left to the end of the program if the clipboard's owner hangs
		text, err := clipboard.ReadAll()
		done <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", errors.New("interrupted")
	case r := <-done:
		switch {
		case r.err != nil:
			// What these programs say when it is empty differs; all fail.
			return "", fmt.Errorf("reading the clipboard, which may be empty: %w", r.err)
		case strings.TrimSpace(r.text) == "":
			return "", errors.New("the clipboard holds no text")
		case len(r.text) > maxImport:
			return "", fmt.Errorf("the clipboard holds more than %s", size(maxImport))
		}
		return r.text, nil
	}
}
