package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/rs/zerolog"
	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/xrat-tray/xrat/daemon"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/ports"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/xray"
)

const (
	// replyGrace is how long requests in flight may be answered after the end.
	replyGrace = time.Second
	// lockPatience is how long a daemon waits for the lock before it leaves the
	// field to the one that has it.
	lockPatience = time.Second
	// coreLogSize bounds the file that the cores write to, in bytes.
	coreLogSize = 4 << 20
	// storeIdle is how long the database stays open without use.
	storeIdle = 5 * time.Second
	// probeStagger is when a probe asks the next URL while the one before is silent.
	probeStagger = 300 * time.Millisecond
)

// runServer is the daemon: lock, settings, log, store, the cores of an earlier
// daemon, and then the socket, so that whoever gets an answer gets a true one.
func (a *app) runServer(ctx context.Context) (err error) {
	privateFiles()
	if err := a.paths.Prepare(); err != nil {
		return fmt.Errorf("preparing the directories: %w", err)
	}
	lock, err := takeLock(ctx, a.paths.Lock)
	if err != nil {
		return err
	}
	defer lock.Close()
	config, err := settings.Load(a.paths.ConfigFile)
	if err != nil {
		return &exitError{exitInvalidState, fmt.Errorf("the settings have errors:\n%w", err)}
	}
	file := &lumberjack.Logger{Filename: a.paths.DaemonLog, MaxSize: 5, MaxBackups: 3}
	defer file.Close()
	log, err := newLogger(file, config.Log.Level)
	if err != nil {
		return err
	}
	log.Info().Str("version", version).Int("pid", os.Getpid()).Str("parent", os.Getenv(parentPIDVariable)).Msg("daemon starts")
	defer func() { log.Info().AnErr("error", err).Msg("daemon ends") }()
	removeOldStarts(a.paths.StateDir)

	records, err := store.Open(ctx, a.paths.DataDir, store.Options{Log: log.With().Str("part", "store").Logger(), IdleClose: storeIdle})
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	defer func() {
		if cerr := records.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("closing the store: %w", cerr)
		}
	}()
	supervisor := daemon.New(a.dependencies(config, records, log))
	if err := supervisor.Restore(ctx); err != nil {
		return fmt.Errorf("restoring the last state: %w", err)
	}
	listener, err := ipc.Listen(a.paths.Socket)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var served error
	var server sync.WaitGroup
	server.Go(func() {
		s := ipc.Server{Handler: supervisor, Log: log.With().Str("part", "socket").Logger()}
		served = s.Serve(ctx, listener, replyGrace)
		cancel() // without the socket the daemon is of no use
	})
	supervisor.Run(ctx)
	cancel()
	server.Wait()
	return served
}

// dependencies wires the supervisor to the real world.
func (a *app) dependencies(config settings.Settings, records *store.Store, log zerolog.Logger) daemon.Deps {
	part := func(name string) zerolog.Logger { return log.With().Str("part", name).Logger() }
	return daemon.Deps{
		Settings: config,
		Store:    records,
		Front: front.New(front.Options{
			SOCKS: config.Front.SOCKS, HTTP: config.Front.HTTP,
			Username: config.Front.Username, Password: config.Front.Password,
			Wait: config.Front.Wait.Std(), Log: part("front"),
		}),
		Cores: daemon.XrayCores{Log: part("core")},
		Probe: func(ctx context.Context, core probe.Proxy) probe.Result {
			return probe.Get(ctx, core, config.Health.URLs, config.Health.Timeout.Std(), probeStagger)
		},
		Handshake: probe.Handshake,
		HTTPInbound: func(ctx context.Context, p probe.Proxy) error {
			return probe.HTTPInbound(ctx, p.Address, p.User, p.Password)
		},
		Locate:    func() (string, error) { return xray.Locate(config.Core.Path) },
		CheckFree: ports.CheckFree,
		CapLog:    func() { capLog(a.paths.CoreLog, log) },
		CoreDir:   filepath.Join(a.paths.RuntimeDir, "core"),
		CoreLog:   a.paths.CoreLog,
		Warnings:  warnings(records),
		Version:   version,
		Log:       part("supervisor"),
	}
}

// warnings says what the user should know of how the store was opened.
func warnings(records *store.Store) []string {
	r := records.Recovery()
	if r == nil {
		return nil
	}
	text := fmt.Sprintf("the database was damaged (%s) and restored: %d configs, %d sessions; the damaged one is kept in %s", r.Reason, r.Configs, r.Sessions, r.Damaged)
	if r.Missing > 0 {
		text += fmt.Sprintf("; the newest %d changes may be lost", r.Missing)
	}
	return []string{text}
}

func capLog(path string, log zerolog.Logger) {
	if err := xray.CapLog(path, coreLogSize); err != nil {
		log.Warn().Err(err).Msg("bounding the core's log")
	}
}

// takeLock makes this the one daemon of the user, or says which one is.
func takeLock(ctx context.Context, path string) (*flock.Flock, error) {
	lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	// A little patience: a program that looks whether the lock is taken holds it
	// for a moment itself.
	ctx, cancel := context.WithTimeout(ctx, lockPatience)
	defer cancel()
	locked, err := lock.TryLockContext(ctx, 20*time.Millisecond)
	if err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	if !locked {
		holder := ""
		if text, err := os.ReadFile(path); err == nil {
			holder = strings.TrimSpace(string(text))
		}
		if _, err := strconv.Atoi(holder); err == nil {
			holder = " (pid: " + holder + ")"
		} else {
			holder = ""
		}
		return nil, &exitError{exitBusy, errors.New("another daemon is running" + holder)}
	}
	// For people who look at the file; the lock is what counts.
	if err := os.WriteFile(path, []byte(strconv.Itoa(os.Getpid())+"\n"), 0o600); err != nil {
		lock.Close()
		return nil, fmt.Errorf("writing %s: %w", path, err)
	}
	return lock, nil
}

func newLogger(w io.Writer, level string) (zerolog.Logger, error) {
	parsed, err := zerolog.ParseLevel(level)
	if err != nil {
		return zerolog.Nop(), fmt.Errorf("log.level %q: %w", level, err)
	}
	return zerolog.New(w).Level(parsed).With().Timestamp().Logger(), nil
}
