package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/atotto/clipboard"
)

var errNoClipboard = errors.New("no program for the clipboard was found: install wl-clipboard (Wayland), or xclip or xsel (X11)")

// readClipboard returns the text in the desktop's clipboard, which it gets from one of the usual
// programs.
func readClipboard(ctx context.Context) (string, error) {
	if clipboard.Unsupported {
		return "", errNoClipboard
	}
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() { // goes on until the program ends if the owner of the clipboard hangs
		text, err := clipboard.ReadAll()
		done <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", errors.New("interrupted")
	case r := <-done:
		switch {
		case r.err != nil:
			// What these programs say of an empty clipboard differs, but all of them fail.
			return "", fmt.Errorf("reading the clipboard, which may be empty: %w", r.err)
		case strings.TrimSpace(r.text) == "":
			return "", errors.New("the clipboard holds no text")
		case len(r.text) > maxImport:
			return "", fmt.Errorf("the clipboard holds more than %s", size(maxImport))
		}
		return r.text, nil
	}
}
