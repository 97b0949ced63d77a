package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// stopTime bounds how long a stop waits until the daemon has stopped.
const stopTime = 20 * time.Second

// stopDaemon asks the daemon to stop and waits until it has. If it was killed for that, or has
// died, and the front goes on, it is started to stop that as well.
func (l *launcher) stopDaemon(ctx context.Context) (payload ipc.ShutdownPayload, err error) {
	payload, err = l.endDaemon(ctx, l.client.Shutdown, softSignals)
	if err != nil && !errors.Is(err, ipc.ErrNotRunning) || l.frontGone(ctx) {
		return payload, err
	}
	if _, _, err := l.startDaemon(ctx); err != nil {
		return payload, fmt.Errorf("starting the daemon, to stop what it has left: %w", err)
	}
	return l.endDaemon(ctx, l.client.Shutdown, softSignals)
}

// frontGone reports whether no data plane runs; one that was told to end may take a moment.
func (l *launcher) frontGone(ctx context.Context) bool {
	for end := time.Now().Add(time.Second); l.frontRuns(); {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(10 * time.Millisecond):
		}
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// leaveDaemon asks the daemon to end and nothing else. An older one cannot do that, and stops. One
// that does not answer is killed, which the front outlives.
func (l *launcher) leaveDaemon(ctx context.Context) error {
	_, err := l.endDaemon(ctx, func(ctx context.Context) (ipc.ShutdownPayload, error) {
		payload, err := l.client.Leave(ctx)
		if ipc.CodeOf(err) == ipc.CodeInvalidState {
			return l.client.Shutdown(ctx)
		}
		return payload, err
	}, nil)
	return err
}

// endDaemon asks the daemon to end and waits until it has. One that does not answer gets the
// signals and, if it is still there then, is killed.
func (l *launcher) endDaemon(ctx context.Context, ask func(context.Context) (ipc.ShutdownPayload, error), signals []os.Signal) (payload ipc.ShutdownPayload, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, stopTime, fmt.Errorf("the daemon did not end within %s: see %s", stopTime, l.paths.DaemonLog))
	defer cancel()
	_, err = l.client.Ping(ctx)
	switch {
	case err == nil:
		if payload, err = ask(ctx); err != nil && !errors.Is(err, ipc.ErrNoReply) {
			return payload, fmt.Errorf("stopping the daemon: %w", err)
		}
	case errors.Is(err, ipc.ErrNotRunning) && !l.daemonLocked():
		return payload, err
	case errors.Is(err, ipc.ErrNotRunning), errors.Is(err, ipc.ErrNoReply), errors.Is(err, ipc.ErrNoAnswer):
		if err := l.killDaemon(ctx, signals); err != nil {
			return payload, fmt.Errorf("ending the daemon that does not answer: %w", err)
		}
	default:
		return payload, err // the socket is not one of ours
	}
	return payload, l.awaitStop(ctx)
}

// awaitStop waits until no daemon has the lock.
func (l *launcher) awaitStop(ctx context.Context) error {
	for l.daemonLocked() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// killDaemon stops the process that holds the daemon's lock. It wrote its pid there and lives for
// as long as the lock is held. The handle is opened before the lock is read again, so that it
// cannot be that of another process which was given the same pid in between.
func (l *launcher) killDaemon(ctx context.Context, signals []os.Signal) error {
	pid, err := lockHolder(l.paths.Lock)
	if err != nil {
		return err
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer process.Release()
	if again, err := lockHolder(l.paths.Lock); err != nil || again != pid || !l.daemonLocked() {
		return nil // it has stopped by itself
	}
	for _, ask := range signals {
		if err := process.Signal(ask); err != nil {
			return ignoreGone(err)
		}
	}
	if len(signals) > 0 {
		soft, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		if l.awaitStop(soft) == nil {
			return nil
		}
	}
	return ignoreGone(process.Kill())
}

func ignoreGone(err error) error {
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// lockHolder reads the pid of the daemon that has, or had, the lock.
func lockHolder(path string) (int, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("reading the lock: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("%s names no process", path)
	}
	return pid, nil
}
