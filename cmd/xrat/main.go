// Command xrat is the command line of xrat and, with "xrat daemon run-server", the daemon itself.
// It owns what the terminal shows, the exit codes and the wiring of the daemon. It reaches a
// running daemon through the daemon's socket only.
//
// Each group of commands has a file of its own. A command is a function that takes the [app]; what
// it calls takes a client and a printer.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// version is set by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal asks for an orderly end; the second one kills the program.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
