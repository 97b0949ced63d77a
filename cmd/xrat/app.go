package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
)

// The exit codes; "xrat help exit-codes" explains them.
const (
	exitDone = iota
	exitFailure
	exitUsage
	exitNotRunning
	exitNotFound
	exitBusy
	exitInvalidState
	exitInterrupted = 130 // as a shell counts SIGINT
)

const exitCodesHelp = `Every command ends with one of these codes:

  0  done
  1  failure: the message says what was being done and why it did not work
  2  usage: unknown command or flag, or wrong arguments
  3  the daemon is not running, and the command does not start it
  4  not found: no config matches the given id, name or prefix
  5  busy: another connect, rotation or disconnect is being carried out
  6  invalid state: the request makes no sense now (for example a rotation
     while disconnected), or a port is taken, or the settings have errors
  7  xrat-tray only: there is no panel to put the icon into
130  test only: it was interrupted; what was measured until then is kept
`

// app is one run of the program, from which the commands take what they need.
type app struct {
	printer
	launcher
	in    io.Reader
	err   io.Writer
	began bool // a command was found and its arguments are right
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, in io.Reader, out, stderr io.Writer) int {
	a := &app{printer: printer{out: out}, in: in, err: stderr}
	root := rootCommand(a)
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	if text := err.Error(); text != "" {
		fmt.Fprintln(stderr, "xrat:", text)
	}
	if !a.began {
		fmt.Fprintln(stderr, "See `xrat help` for the commands and their arguments.")
		return exitUsage
	}
	return exitCode(err)
}

// exitError gives an error a code of its own.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }
func (e *exitError) Unwrap() error { return e.err }

func exitCode(err error) int {
	var own *exitError
	if errors.As(err, &own) {
		return own.code
	}
	if errors.Is(err, ipc.ErrNotRunning) {
		return exitNotRunning
	}
	switch ipc.CodeOf(err) {
	case ipc.CodeNotFound:
		return exitNotFound
	case ipc.CodeBusy:
		return exitBusy
	case ipc.CodeInvalidState:
		return exitInvalidState
	default:
		return exitFailure
	}
}

func rootCommand(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:   "xrat",
		Short: "Keeps one of many proxy servers working",
		Long: `xrat runs Xray-core in the background, watches whether its server still works,
and moves to another one when it does not. Applications use one address that never
changes: SOCKS5 and HTTP on 127.0.0.1:10808, HTTP on 127.0.0.1:10809.

Start with:
  xrat import LINK...     add servers by their share links
  xrat connect            connect to the best one
  xrat status             see how it is`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			a.began = true
			paths, err := settings.FindPaths()
			if err != nil {
				return err
			}
			a.launcher = launcher{paths: paths, client: &ipc.Client{Socket: paths.Socket}}
			return nil
		},
	}
	root.SetVersionTemplate("xrat {{.Version}}\n")
	root.PersistentFlags().BoolVar(&a.asJSON, "json", false, "print data as JSON")
	root.AddCommand(
		importCommand(a), listCommand(a), showCommand(a), removeCommand(a), testCommand(a), parseCommand(a), subscriptionCommand(a),
		connectCommand(a), disconnectCommand(a), rotateCommand(a),
		statusCommand(a), sessionsCommand(a), whyCommand(a),
		proxyCommand(a), daemonCommand(a), demoCommand(a), versionCommand(a),
		&cobra.Command{Use: "exit-codes", Short: "What the exit codes mean", Long: exitCodesHelp},
	)
	root.AddCommand(editCommands(a)...)
	return root
}

// group returns a command that only holds others. Alone it prints its help; an unknown word after
// it is a usage error.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	g := &cobra.Command{Use: use, Short: short, Args: cobra.NoArgs, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	g.AddCommand(commands...)
	return g
}

// withDaemon returns the action of a command that needs the daemon, which it starts if need be.
func (a *app) withDaemon(action func(ctx context.Context, client *ipc.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if _, _, err := a.startDaemon(c.Context()); err != nil {
			return err
		}
		return action(c.Context(), a.client, args)
	}
}

func versionCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			data := struct {
				Version         string `json:"version"`
				ProtocolVersion int    `json:"protocol_version"`
			}{version, ipc.ProtocolVersion}
			return a.print(data, func(w io.Writer) { fmt.Fprintln(w, "xrat", version) })
		},
	}
}
