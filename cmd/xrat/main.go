// Command xrat is the command line of xrat, and with "xrat daemon run-server" the
// daemon itself. It owns the words on the terminal, the exit codes and the wiring
// of the daemon's parts; all that it does to a running daemon goes through the
// daemon's socket.
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
	// The first signal asks for an orderly end; the second one ends the program.
	context.AfterFunc(ctx, stop)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}
