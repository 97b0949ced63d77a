package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// daemonResult is what the daemon commands print as JSON.
type daemonResult struct {
	Running bool   `json:"running"`
	PID     int    `json:"pid"`
	Version string `json:"version"`
	// Started reports whether this command started it.
	Started bool `json:"started"`
}

func daemonCommand(a *app) *cobra.Command {
	daemon := group("daemon", "The background daemon: start, stop, restart, reload, status",
		&cobra.Command{
			Use: "start", Short: "Start the daemon in the background", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return startCommand(c.Context(), &a.launcher, &a.printer) },
		},
		&cobra.Command{
			Use: "stop", Short: "Stop the daemon and the core; the next start connects again if it was connected", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				stopped, err := a.stopDaemon(c.Context())
				if err != nil {
					return err
				}
				return a.print(stopped, func(w io.Writer) { fmt.Fprintln(w, "Daemon stopped") })
			},
		},
		&cobra.Command{
			Use: "restart", Short: "Replace the daemon by a new one, without a break for applications", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				if err := a.replaceDaemon(c.Context()); err != nil && !errors.Is(err, ipc.ErrNotRunning) {
					return err
				}
				return startCommand(c.Context(), &a.launcher, &a.printer)
			},
		},
		&cobra.Command{
			Use: "reload", Short: "Make changed settings effective, without a break for applications", Args: cobra.NoArgs,
			Long: `Make changed settings effective, without a break for applications. With a mistake in
the file nothing changes. Listeners move to other addresses by opening the new one before
the old one closes. SIGHUP to the daemon does the same.`,
			RunE: func(c *cobra.Command, _ []string) error {
				if err := a.replaceDaemon(c.Context()); err != nil {
					return err
				}
				ping, _, err := a.startDaemon(c.Context())
				if err != nil {
					return err
				}
				return a.print(daemonResult{Running: true, PID: ping.PID, Version: ping.Version, Started: true}, func(w io.Writer) {
					fmt.Fprintln(w, "Settings loaded")
				})
			},
		},
		&cobra.Command{
			Use: "status", Short: "Tell whether the daemon runs", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error { return daemonStatus(c.Context(), a.client, &a.printer) },
		},
		&cobra.Command{
			Use: "run-server", Short: "Be the daemon, in the foreground", Args: cobra.NoArgs,
			Long: `Be the daemon, in the foreground, until SIGTERM, SIGINT or "xrat daemon stop". This
is what "xrat daemon start" runs in the background; a service manager runs it itself.`,
			RunE: func(c *cobra.Command, _ []string) error { return a.runServer(c.Context()) },
		},
	)
	if c := runFrontCommand(a); c != nil {
		daemon.AddCommand(c)
	}
	return daemon
}

// replaceDaemon ends the daemon, and nothing else, so that the next one has the settings as they
// are now. With a mistake in them it does nothing.
func (a *app) replaceDaemon(ctx context.Context) error {
	if _, err := a.loadSettings(); err != nil {
		return err
	}
	return a.leaveDaemon(ctx)
}

func startCommand(ctx context.Context, l *launcher, p *printer) error {
	ping, started, err := l.startDaemon(ctx)
	if err != nil {
		return err
	}
	data := daemonResult{Running: true, PID: ping.PID, Version: ping.Version, Started: started}
	return p.print(data, func(w io.Writer) {
		if started {
			fmt.Fprintf(w, "Daemon started (pid: %d)\n", ping.PID)
			return
		}
		fmt.Fprintf(w, "Daemon already running (pid: %d)\n", ping.PID)
	})
}

func daemonStatus(ctx context.Context, client *ipc.Client, p *printer) error {
	ping, err := client.Ping(ctx)
	if errors.Is(err, ipc.ErrNotRunning) && p.asJSON {
		if err := p.print(daemonResult{}, nil); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	data := daemonResult{Running: true, PID: ping.PID, Version: ping.Version}
	return p.print(data, func(w io.Writer) { fmt.Fprintf(w, "Daemon running (pid: %d, version %s)\n", ping.PID, ping.Version) })
}
