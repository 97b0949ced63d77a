//go:build unix

package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/rs/zerolog"
)

// followHangups reloads the settings at each SIGHUP, until the function that it returns is called.
func (a *app) followHangups(ctx context.Context, log zerolog.Logger) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangups:
			}
			if err := a.reloadFromOutside(); err != nil {
				log.Error().Err(err).Msg("reloading the settings; those before stay in force")
			}
		}
	})
	return func() {
		signal.Stop(hangups)
		cancel()
		following.Wait()
	}
}

// reloadFromOutside has another process replace this one.
func (a *app) reloadFromOutside() error {
	if _, err := a.loadSettings(); err != nil {
		return err
	}
	cmd, err := ourselves(a.paths.StateDir, "daemon", "reload")
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go cmd.Wait() // or it stays as a zombie
	return nil
}
