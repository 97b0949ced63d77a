//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/supervisor"
	"github.com/xrat-tray/xrat/runtime/front/plane"
	"github.com/xrat-tray/xrat/runtime/mark"
)

// The environment of a data plane.
const (
	frontNonceVariable = "XRAT_FRONT_NONCE" // tells it its name
	// revivedVariable marks a daemon that a data plane has started.
	revivedVariable = "XRAT_REVIVED"
	// firstDescriptor is the connection to the daemon that has started it.
	firstDescriptor = 3
)

// addFront gives the supervisor its front: the data plane that an earlier daemon has left, or one
// that starts when it is opened. returned reports whether a connection with this mark has come back
// to it.
func (a *app) addFront(ctx context.Context, deps *supervisor.Deps, config settings.Settings, log zerolog.Logger) (returned func(mark.Mark) bool, err error) {
	client := plane.NewClient(plane.ClientDeps{
		Front: frontOptions(config, log), DrainTime: config.Front.Drain.Std(), Revive: !managed(), Dir: a.paths.RuntimeDir, Version: version, Log: log,
		Start: func(first *os.File, socket, nonce string) (int, error) {
			return a.startFront(config.Log.Level, first, socket, nonce)
		},
	})
	deps.Front = client
	found, err := client.Find(ctx)
	if err != nil || found == nil {
		return client.Returned, err
	}
	deps.FrontOpen = true
	if found.Lost > 0 {
		crashLog := filepath.Join(a.paths.StateDir, crashLogName)
		deps.Losses, deps.LossReason = found.Lost, lastWord(crashLog)
		deps.Warnings = append(deps.Warnings, lossWarning(deps.Losses, deps.LossReason, crashLog))
	}
	if found.Version != version {
		if err := client.Renew(ctx); err != nil {
			log.Error().Err(err).Str("old", found.Version).Msg("the data plane of another version serves on")
		}
	}
	if err := client.Configure(ctx, frontOptions(config, log)); err != nil {
		log.Error().Err(err).Msg("the front stays at its old addresses")
		deps.Warnings = append(deps.Warnings, "the front stays at its old addresses: "+err.Error())
	}
	return client.Returned, nil
}

// managed reports whether a service manager has started this process and sees to it that there is a
// daemon. systemd tells it to its own child (systemd.exec(5)); whatever runs below that child has
// the variable, too, with another pid.
func managed() bool { return os.Getenv("SYSTEMD_EXEC_PID") == strconv.Itoa(os.Getpid()) }

// startFront starts the process of a data plane. What it says goes to a file, as with the core: a
// pipe would end it once the daemon is gone.
func (a *app) startFront(level string, first *os.File, socket, nonce string) (pid int, err error) {
	cmd, err := ourselves(a.paths.RuntimeDir, "daemon", "run-front", "--socket", socket, "--log-level", level)
	if err != nil {
		return 0, err
	}
	log, err := os.OpenFile(a.paths.FrontLog, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, fmt.Errorf("opening the data plane's log: %w", err)
	}
	defer log.Close()
	cmd.Env = append(os.Environ(), frontNonceVariable+"="+nonce)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{first}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go cmd.Wait() // or it stays as a zombie
	return cmd.Process.Pid, nil
}

// runFrontCommand is the data plane. Only the daemon starts it.
func runFrontCommand(a *app) *cobra.Command {
	var socket, level string
	c := &cobra.Command{
		Use: "run-front", Short: "Be the data plane of a daemon", Args: cobra.NoArgs, Hidden: true,
		RunE: func(c *cobra.Command, _ []string) error { return a.runFront(c.Context(), socket, level) },
	}
	c.Flags().StringVar(&socket, "socket", "", "where the next daemon finds it")
	c.Flags().StringVar(&level, "log-level", "info", "what it logs")
	return c
}

func (a *app) runFront(ctx context.Context, socket, level string) error {
	privateFiles()
	file := os.NewFile(firstDescriptor, "daemon")
	conn, err := net.FileConn(file)
	file.Close()
	first, ok := conn.(*net.UnixConn)
	if err != nil || !ok || filepath.Dir(socket) != a.paths.RuntimeDir {
		return errors.New("a data plane is started by the daemon: use `xrat connect`")
	}
	executable, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program's file: %w", err)
	}
	log, err := newLogger(os.Stderr, level)
	if err != nil {
		return err
	}
	log = log.With().Int("pid", os.Getpid()).Logger() // an old one and a new one may share the file
	log.Info().Str("version", version).Msg("data plane starts")
	revive := func(context.Context) error { return errors.New("there is no shell that could") }
	if k, err := startKeeper(executable, a.paths.StateDir); err == nil {
		revive = k.revive
	} else {
		log.Error().Err(err).Msg("starting a shell, which would start the daemon if that dies")
	}
	err = plane.Run(ctx, plane.Process{
		Socket: socket, First: first, Version: version, Nonce: os.Getenv(frontNonceVariable), Log: log, Revive: revive,
		Confine: func() { plane.Confine(log) },
	})
	log.Info().AnErr("error", err).Msg("data plane ends")
	return err
}

// unwanted reports whether this daemon was started for a data plane that has ended meanwhile, as
// when the user has stopped everything.
func (a *app) unwanted() bool {
	revived := os.Getenv(revivedVariable) != ""
	os.Unsetenv(revivedVariable) // what this daemon starts was not
	return revived && !a.frontRuns()
}

// frontRuns reports whether a data plane serves, with a daemon or without.
func (l *launcher) frontRuns() bool { return plane.Running(l.paths.RuntimeDir) }
