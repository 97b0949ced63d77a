// Command xrat-tray shows xrat in the panel of a desktop. It owns the command line, finding the
// tray's files, that there is one tray in a desktop session, and how the daemon is launched;
// package tray does the rest.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	stdlog "log"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/tray"
)

// version is set by the linker.
var version = "dev"

// The exit codes are those of xrat ("xrat help exit-codes"), and one more.
const (
	exitDone    = 0
	exitFailure = 1
	exitUsage   = 2
	exitNoTray  = 7
)

const usage = `xrat-tray shows xrat in the panel of the desktop: the state of the proxy, a menu
to connect, rotate and stop, and notifications. It starts the daemon if needed.

  --wait-for-tray   wait for a panel with a tray instead of failing (starts at login)
  --verbose         say more on standard error
  --version         print the version
  --help            print this

Exit codes: 0 done, or another tray runs in this session; 1 failure; 2 usage;
7 there is no tray to show the icon in.
`

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(args []string, out, stderr io.Writer) int {
	flags := flag.NewFlagSet("xrat-tray", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	wait := flags.Bool("wait-for-tray", false, "")
	verbose := flags.Bool("verbose", false, "")
	printVersion := flags.Bool("version", false, "")
	err := flags.Parse(args)
	if err == nil && flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(out, usage)
		return exitDone
	case err != nil:
		fmt.Fprintf(stderr, "xrat-tray: %v\nSee `xrat-tray --help`.\n", err)
		return exitUsage
	case *printVersion:
		fmt.Fprintln(out, "xrat-tray", version)
		return exitDone
	}
	level := zerolog.WarnLevel
	if *verbose {
		level = zerolog.DebugLevel
	}
	log := zerolog.New(zerolog.ConsoleWriter{Out: stderr, NoColor: true}).Level(level).With().Timestamp().Logger()
	// What the tray's libraries write to the standard logger is of no use to users.
	stdlog.SetFlags(0)
	stdlog.SetOutput(debugWriter{log})

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err = show(ctx, *wait, log)
	switch {
	case errors.Is(err, errAnotherTray):
		fmt.Fprintln(out, "xrat-tray:", err)
		return exitDone
	case errors.Is(err, tray.ErrNoTray):
		fmt.Fprintln(stderr, "xrat-tray:", err)
		return exitNoTray
	case err != nil:
		fmt.Fprintln(stderr, "xrat-tray:", err)
		return exitFailure
	}
	return exitDone
}

// show finds everything and runs the tray.
func show(ctx context.Context, wait bool, log zerolog.Logger) error {
	paths, err := settings.FindPaths()
	if err != nil {
		return err
	}
	if err := paths.Prepare(); err != nil {
		return fmt.Errorf("preparing the directories: %w", err)
	}
	lock, err := lockTray(paths.RuntimeDir)
	if err != nil {
		return err
	}
	defer lock.Close()
	options := tray.Options{
		Client: &ipc.Client{Socket: paths.Socket}, Launch: launchDaemon, WaitForTray: wait,
		PrefsFile: prefsFile(paths), LogDir: paths.StateDir, Log: log,
	}
	options.LoginFile, options.LoginExec = loginEntry(paths)
	return tray.Run(ctx, options)
}

func prefsFile(paths settings.Paths) string { return filepath.Join(paths.StateDir, "tray.json") }

// loginEntry returns the file that starts the tray at login, and the program that it starts. Both
// are empty on systems without such files.
func loginEntry(paths settings.Paths) (file, program string) {
	own, err := executable()
	if err != nil || runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		return "", ""
	}
	config := filepath.Dir(filepath.Dir(paths.ConfigFile))
	return filepath.Join(config, "autostart", "xrat-tray.desktop"), own
}

// debugWriter makes lines of the standard logger debug messages.
type debugWriter struct{ log zerolog.Logger }

func (w debugWriter) Write(line []byte) (int, error) {
	w.log.Debug().Msg(string(line))
	return len(line), nil
}
