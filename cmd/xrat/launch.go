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

// parentPIDVariable names the variable with the pid of the process that started the daemon.
const parentPIDVariable = "XRAT_DAEMON_PARENT_PID"

// startTime bounds how long a start waits for the daemon to answer.
const startTime = 20 * time.Second

// launcher finds, starts and stops the one daemon of the user.
type launcher struct {
	paths  settings.Paths
	client *ipc.Client
}

// absent reports whether a ping found no daemon, or one that was about to end.
func absent(ping ipc.PingPayload, err error) bool {
	return err == nil && !ping.DaemonReady || errors.Is(err, ipc.ErrNotRunning) || errors.Is(err, ipc.ErrNoReply)
}

// loadSettings reads the settings; a mistake in them has an exit code of its own.
func (l *launcher) loadSettings() (settings.Settings, error) {
	config, err := settings.Load(l.paths.ConfigFile)
	if err != nil {
		return config, &exitError{exitInvalidState, fmt.Errorf("the settings have errors:\n%w", err)}
	}
	return config, nil
}

// startDaemon makes sure that a daemon answers, and reports whether this call started it. Many
// calls may run at once, in many processes: the daemon's lock lets one daemon live, and each call
// waits for whichever answers.
func (l *launcher) startDaemon(ctx context.Context) (ping ipc.PingPayload, started bool, err error) {
	ping, err = l.client.Ping(ctx)
	if !absent(ping, err) {
		return ping, false, err
	}
	if err := l.paths.Prepare(); err != nil {
		return ping, false, fmt.Errorf("preparing the directories: %w", err)
	}
	if err := l.validate(); err != nil {
		return ping, false, err
	}
	child, err := l.spawnDaemon()
	if err != nil {
		return ping, false, fmt.Errorf("starting the daemon: %w", err)
	}
	return l.awaitDaemon(ctx, child)
}

// validate checks, before a daemon is started, what would keep it from its work.
func (l *launcher) validate() error {
	config, err := l.loadSettings()
	if err != nil {
		return err
	}
	if l.daemonLocked() || l.frontRuns() {
		return nil // the ports are another start's, or those of the front that the daemon will find
	}
	taken := errors.Join(ports.CheckFree(config.Front.SOCKS), ports.CheckFree(config.Front.HTTP))
	if taken != nil && !l.daemonLocked() && !l.frontRuns() {
		return &exitError{exitInvalidState, fmt.Errorf("the front's ports are not free (settings, section [front]):\n%w", taken)}
	}
	return nil
}

// daemonLocked reports whether a daemon runs or is about to.
func (l *launcher) daemonLocked() bool {
	if _, err := os.Stat(l.paths.Lock); err != nil {
		return false
	}
	lock := flock.New(l.paths.Lock, flock.SetFlag(os.O_RDWR))
	defer lock.Close()
	locked, err := lock.TryRLock()
	return err == nil && !locked
}

// child is a daemon that was spawned and does not answer yet.
type child struct {
	pid    int
	exited chan error // is sent to when it has ended
	errors string     // the file with what it said before it had a log
}

// spawnDaemon starts "daemon run-server" detached from this terminal and session.
func (l *launcher) spawnDaemon() (*child, error) {
	cmd, err := ourselves(l.paths.StateDir, "daemon", "run-server")
	if err != nil {
		return nil, err
	}
	// A file, since a pipe would kill the daemon after the end of this process; one for each start,
	// since two at once must not mix.
	said, err := os.CreateTemp(l.paths.StateDir, "start-*.err")
	if err != nil {
		return nil, err
	}
	defer said.Close()
	cmd.Env = append(os.Environ(), parentPIDVariable+"="+strconv.Itoa(os.Getpid()))
	cmd.Stderr = said
	closeForChildren()
	if err := cmd.Start(); err != nil {
		os.Remove(said.Name())
		return nil, err
	}
	c := &child{pid: cmd.Process.Pid, exited: make(chan error, 1), errors: said.Name()}
	go func() { c.exited <- cmd.Wait() }()
	return c, nil
}

// ourselves is this program with other arguments, in a directory and detached from this terminal
// and session.
func ourselves(dir string, args ...string) (*exec.Cmd, error) {
	executable, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program's file: %w", err)
	}
	cmd := exec.Command(executable, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = detached()
	return cmd, nil
}

// awaitDaemon polls until a daemon answers.
func (l *launcher) awaitDaemon(ctx context.Context, c *child) (ping ipc.PingPayload, started bool, err error) {
	defer os.Remove(c.errors)
	ctx, cancel := context.WithTimeoutCause(ctx, startTime, fmt.Errorf(
		"no daemon answers within %s on %s: see %s; `xrat daemon stop` ends one that hangs", startTime, l.paths.Socket, l.paths.DaemonLog))
	defer cancel()
	exited := c.exited
	for wait := 5 * time.Millisecond; ; wait = min(2*wait, 100*time.Millisecond) {
		ping, err = l.client.Ping(ctx)
		if err == nil && ping.DaemonReady {
			if ping.PID != c.pid && exited != nil {
				// Ours is about to find out that it was too late. It must not outlive this command,
				// or it would take the place of the other if that is stopped now.
				select {
				case <-exited:
				case <-ctx.Done():
				}
			}
			return ping, ping.PID == c.pid, nil
		}
		if !absent(ping, err) && ctx.Err() == nil {
			return ping, false, err
		}
		if exited == nil && !l.daemonLocked() {
			// Our daemon has ended, and nobody starts another one.
			if ping, err = l.client.Ping(ctx); err == nil {
				return ping, false, nil
			}
			return ping, false, c.failure(l.paths.DaemonLog)
		}
		select {
		case <-exited:
			exited = nil // perhaps because another daemon was faster
		case <-ctx.Done():
			return ping, false, context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}

// failure returns what a daemon that ended at once had to say.
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

// removeOldStarts deletes the files of starts that were killed.
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
