package main

import (
	"context"

	"github.com/rs/zerolog"
)

// followHangups does nothing: there is no SIGHUP.
func (a *app) followHangups(context.Context, zerolog.Logger) (stop func()) { return func() {} }
