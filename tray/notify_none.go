//go:build !linux && !freebsd && !openbsd && !netbsd

package tray

import (
	"context"

	"github.com/rs/zerolog"
)

// desktop stands for a session bus, which this system does not have.
type desktop struct{ actions chan string }

func openDesktop(context.Context, bool, zerolog.Logger) (*desktop, error) {
	return &desktop{actions: make(chan string)}, nil
}

// keep does nothing here.
func (d *desktop) keep(context.Context, func(context.Context)) {}

func (d *desktop) notify(context.Context, notification) error { return errNoServer }
