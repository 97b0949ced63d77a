package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// daemonResult is what the daemon commands print as JSON.
type daemonResult struct {
	Running bool   `json:"running"`
	PID     int    `json:"pid"`
	Version string `json:"version"`
	// Started tells whether this command started it.
	Started bool `json:"started"`
}

func (a *app) daemonCommand() *cobra.Command {
	return group("daemon", "The background daemon: start, stop, restart, status",
		&cobra.Command{
			Use: "start", Short: "Start the daemon in the background", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				ping, started, err := a.startDaemon(c.Context())
				if err != nil {
					return err
				}
				return a.printDaemon(ping, started)
			},
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
			Use: "restart", Short: "Stop the daemon if it runs, and start it", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				// Before anything is stopped.
				if _, err := a.loadSettings(); err != nil {
					return err
				}
				if _, err := a.stopDaemon(c.Context()); err != nil && !errors.Is(err, ipc.ErrNotRunning) {
					return err
				}
				ping, started, err := a.startDaemon(c.Context())
				if err != nil {
					return err
				}
				return a.printDaemon(ping, started)
			},
		},
		&cobra.Command{
			Use: "status", Short: "Tell whether the daemon runs", Args: cobra.NoArgs,
			RunE: func(c *cobra.Command, _ []string) error {
				ping, err := a.client.Ping(c.Context())
				if errors.Is(err, ipc.ErrNotRunning) && a.asJSON {
					if err := a.print(daemonResult{}, nil); err != nil {
						return err
					}
				}
				if err != nil {
					return err
				}
				data := daemonResult{Running: true, PID: ping.PID, Version: ping.Version}
				return a.print(data, func(w io.Writer) { fmt.Fprintf(w, "Daemon running (pid: %d, version %s)\n", ping.PID, ping.Version) })
			},
		},
		&cobra.Command{
			Use: "run-server", Short: "Be the daemon, in the foreground", Args: cobra.NoArgs,
			Long: `Be the daemon, in the foreground, until SIGTERM, SIGINT or "xrat daemon stop". This
is what "xrat daemon start" runs in the background; a service manager runs it itself.`,
			RunE: func(c *cobra.Command, _ []string) error { return a.runServer(c.Context()) },
		},
	)
}

func (a *app) printDaemon(ping ipc.PingPayload, started bool) error {
	data := daemonResult{Running: true, PID: ping.PID, Version: ping.Version, Started: started}
	return a.print(data, func(w io.Writer) {
		if started {
			fmt.Fprintf(w, "Daemon started (pid: %d)\n", ping.PID)
			return
		}
		fmt.Fprintf(w, "Daemon already running (pid: %d)\n", ping.PID)
	})
}

// stopTime bounds how long a stop waits for the daemon's end.
const stopTime = 20 * time.Second
