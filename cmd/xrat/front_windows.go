package main

import (
	"context"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/supervisor"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/mark"
)

// addFront gives the supervisor a front in this process: Windows cannot hand listening sockets over
// a Unix socket. returned reports whether a connection with this mark has come back to it.
func (a *app) addFront(_ context.Context, deps *supervisor.Deps, config settings.Settings, log zerolog.Logger) (returned func(mark.Mark) bool, err error) {
	f := front.New(frontOptions(config, log))
	deps.Front = f
	return f.Returned, nil
}

// runFrontCommand is not there.
func runFrontCommand(*app) *cobra.Command { return nil }

func (l *launcher) frontRuns() bool { return false }

func (a *app) unwanted() bool { return false }
