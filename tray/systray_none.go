//go:build darwin && !cgo

package tray

import (
	"context"
	"errors"
)

// Run only says why it cannot: the menu bar of macOS is reached through cgo.
func Run(context.Context, Options) error {
	return errors.New("this xrat-tray was built without cgo, which the menu bar of macOS needs: build it on a Mac with CGO_ENABLED=1")
}
