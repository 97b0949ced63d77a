//go:build !linux && !freebsd && !openbsd && !netbsd

package tray

import (
	"context"

	"github.com/rs/zerolog"
)

// desktop is what a session bus offers, where there is one.
type desktop struct{ actions chan string }

func openDesktop(context.Context, bool, zerolog.Logger) (*desktop, error) {
	return &desktop{actions: make(chan string)}, nil
}

// keep has nothing to keep here.
func (d *desktop) keep(context.Context, func(context.Context)) {}

func (d *desktop) notify(context.Context, notification) error { return errNoServer }
