package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/runtime/ports"
)

// parentPIDVariable tells the daemon which process started it.
const parentPIDVariable = "XRAT_DAEMON_PARENT_PID"

// startTime bounds how long a start waits until the daemon answers.
const startTime = 20 * time.Second

// ensureDaemon starts the daemon unless one answers.
func (a *app) ensureDaemon(ctx context.Context) error {
	_, _, err := a.startDaemon(ctx)
	return err
}

// absent tells whether a ping found no daemon, or one that was about to end.
func absent(ping ipc.PingPayload, err error) bool {
	return err == nil && !ping.DaemonReady || errors.Is(err, ipc.ErrNotRunning) || errors.Is(err, ipc.ErrNoReply)
}

// loadSettings reads the settings; a mistake in them has an exit code of its own.
func (a *app) loadSettings() (settings.Settings, error) {
	config, err := settings.Load(a.paths.ConfigFile)
	if err != nil {
		return config, &exitError{exitInvalidState, fmt.Errorf("the settings have errors:\n%w", err)}
	}
	return config, nil
}

// startDaemon makes sure that a daemon answers, and tells whether this call
// started it. Many may run at once: the daemon's lock lets one daemon live, and
// every caller waits for whichever answers.
func (a *app) startDaemon(ctx context.Context) (ping ipc.PingPayload, started bool, err error) {
	ping, err = a.client.Ping(ctx)
	if !absent(ping, err) {
		return ping, false, err
	}
	if err := a.paths.Prepare(); err != nil {
		return ping, false, fmt.Errorf("preparing the directories: %w", err)
	}
	if err := a.validate(); err != nil {
		return ping, false, err
	}
	child, err := a.spawnDaemon()
	if err != nil {
		return ping, false, fmt.Errorf("starting the daemon: %w", err)
	}
	return a.awaitDaemon(ctx, child)
}

// validate finds every reason why a daemon could not do its work, before there is one.
func (a *app) validate() error {
	config, err := a.loadSettings()
	if err != nil {
		return err
	}
	check := func() error {
		return errors.Join(ports.CheckFree(config.Front.SOCKS), ports.CheckFree(config.Front.HTTP))
	}
	if a.daemonLocked() {
		return nil // another start is under way: its daemon may have the ports already
	}
	if taken := check(); taken != nil && !a.daemonLocked() {
		return &exitError{exitInvalidState, fmt.Errorf("the front's ports are not free (settings, section [front]):\n%w", taken)}
	}
	return nil
}

// daemonLocked tells whether a daemon lives or is about to.
func (a *app) daemonLocked() bool {
	if _, err := os.Stat(a.paths.Lock); err != nil {
		return false
	}
	lock := flock.New(a.paths.Lock, flock.SetFlag(os.O_RDWR))
	defer lock.Close()
	locked, err := lock.TryRLock()
	return err == nil && !locked
}

// child is a daemon that was spawned, until it answers.
type child struct {
	pid    int
	exited chan error // closed or sent to when it is gone
	errors string     // the file that holds what it said before it could log
}

// spawnDaemon starts "daemon run-server" detached from this terminal and session.
func (a *app) spawnDaemon() (*child, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program's file: %w", err)
	}
	// A file of its own: a pipe would end the daemon with this process, and two
	// starts at once must not mix what they say.
	said, err := os.CreateTemp(a.paths.StateDir, "start-*.err")
	if err != nil {
		return nil, err
	}
	defer said.Close()
	cmd := exec.Command(executable, "daemon", "run-server")
	cmd.Env = append(os.Environ(), parentPIDVariable+"="+strconv.Itoa(os.Getpid()))
	cmd.Dir = a.paths.StateDir
	cmd.Stderr = said
	cmd.SysProcAttr = detached()
	closeForChildren()
	if err := cmd.Start(); err != nil {
		os.Remove(said.Name())
		return nil, err
	}
	c := &child{pid: cmd.Process.Pid, exited: make(chan error, 1), errors: said.Name()}
	go func() { c.exited <- cmd.Wait() }()
	return c, nil
}

// awaitDaemon polls until a daemon answers.
func (a *app) awaitDaemon(ctx context.Context, c *child) (ping ipc.PingPayload, started bool, err error) {
	defer os.Remove(c.errors)
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf(
		"no daemon answers within %s on %s: see %s; `xrat daemon stop` ends one that hangs", startTime, a.paths.Socket, a.paths.DaemonLog))
	defer cancel()
	exited := c.exited
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		ping, err = a.client.Ping(ctx)
		if err == nil && ping.DaemonReady {
			return ping, ping.PID == c.pid, nil
		}
		if !absent(ping, err) && ctx.Err() == nil {
			return ping, false, err
		}
		if exited == nil && !a.daemonLocked() {
			// Ours is gone and nobody else's is coming.
			if ping, err = a.client.Ping(ctx); err == nil {
				return ping, false, nil
			}
			return ping, false, c.failure(a.paths.DaemonLog)
		}
		select {
		case <-exited:
			exited = nil // perhaps because another one won the race
		case <-ctx.Done():
			return ping, false, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// failure says what a daemon that ended at once said.
func (c *child) failure(log string) error {
	said, _ := os.ReadFile(c.errors)
	text := strings.TrimSpace(strings.TrimPrefix(string(said), "xrat: "))
	if text == "" {
		return fmt.Errorf("the daemon ended at once: see %s", log)
	}
	const most = 4000
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return fmt.Errorf("the daemon ended at once: %s", text)
}

// stopDaemon asks the daemon to end and waits until it has. One that does not
// answer is ended all the same; its core then goes on for the next daemon.
func (a *app) stopDaemon(ctx context.Context) (ipc.ShutdownPayload, error) {
	var payload ipc.ShutdownPayload
	ctx, cancel := context.WithTimeoutCause(ctx, stopTime, fmt.Errorf("the daemon did not end within %s: see %s", stopTime, a.paths.DaemonLog))
	defer cancel()
	_, err := a.client.Ping(ctx)
	switch {
	case err == nil:
		if _, err := a.client.Do(ctx, ipc.Request{Type: ipc.KindDaemonShutdown}, &payload); err != nil && !errors.Is(err, ipc.ErrNoReply) {
			return payload, fmt.Errorf("stopping the daemon: %w", err)
		}
	case errors.Is(err, ipc.ErrNotRunning) && !a.daemonLocked():
		return payload, err
	case errors.Is(err, ipc.ErrNotRunning), errors.Is(err, ipc.ErrNoReply), errors.Is(err, ipc.ErrNoAnswer):
		if err := a.endDaemon(ctx); err != nil {
			return payload, fmt.Errorf("ending the daemon that does not answer: %w", err)
		}
	default:
		return payload, err // a socket that is none of ours
	}
	return payload, a.awaitEnd(ctx)
}

// awaitEnd waits until no daemon has the lock.
func (a *app) awaitEnd(ctx context.Context) error {
	for a.daemonLocked() {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(10 * time.Millisecond):
		}
	}
	return nil
}

// endDaemon ends the process that has the daemon's lock: it wrote its pid there,
// and as long as the lock is held it lives. The handle is taken before the lock
// is looked at again, so that a pid that was given to another process since
// cannot be meant.
func (a *app) endDaemon(ctx context.Context) error {
	pid, err := lockHolder(a.paths.Lock)
	if err != nil {
		return err
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	defer process.Release()
	if again, err := lockHolder(a.paths.Lock); err != nil || again != pid || !a.daemonLocked() {
		return nil // it has ended by itself
	}
	for _, ask := range softSignals {
		if err := process.Signal(ask); err != nil {
			return ignoreGone(err)
		}
	}
	soft, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if a.awaitEnd(soft) == nil {
		return nil
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

// removeOldStarts deletes what starts that were killed left behind.
func removeOldStarts(dir string) {
	old, err := filepath.Glob(filepath.Join(dir, "start-*.err"))
	if err != nil {
		return
	}
	for _, name := range old {
		if info, err := os.Lstat(name); err == nil && info.Mode().Type() == fs.FileMode(0) && time.Since(info.ModTime()) > time.Hour {
			os.Remove(name)
		}
	}
}
