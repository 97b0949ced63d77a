package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/rs/zerolog"
	"gopkg.in/natefinch/lumberjack.v2"

	"github.com/xrat-tray/xrat/daemon"
	"github.com/xrat-tray/xrat/daemon/bulktest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/supervisor"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/mark"
	"github.com/xrat-tray/xrat/runtime/ports"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/route"
	"github.com/xrat-tray/xrat/runtime/subscription"
	"github.com/xrat-tray/xrat/runtime/xray"
)

const (
	// replyGrace is how long requests in flight may be answered after the end.
	replyGrace = time.Second
	// lockPatience is how long a daemon waits for the lock while the one that has it does not
	// answer: it may be about to end.
	lockPatience = 15 * time.Second
	// lockSpacing is how often it looks.
	lockSpacing = 20 * time.Millisecond
	// closeTime bounds what comes after the supervisor's end.
	closeTime = 10 * time.Second
	// coreLogSize bounds the file that the cores write to, in bytes.
	coreLogSize = 4 << 20
	// probeStagger is when a probe asks the next URL while the one before is silent.
	probeStagger = 300 * time.Millisecond
)

// runServer is the daemon: lock, settings, log, store, the cores of an earlier daemon, and then the
// socket, so that whoever gets an answer gets a true one.
func (a *app) runServer(ctx context.Context) (err error) {
	privateFiles()
	if err := a.paths.Prepare(); err != nil {
		return fmt.Errorf("preparing the directories: %w", err)
	}
	lock, err := a.takeLock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	if a.unwanted() {
		return nil
	}
	config, err := a.loadSettings()
	if err != nil {
		return err
	}
	crashes, err := openCrashLog(a.paths.StateDir)
	if err != nil {
		return err
	}
	defer crashes.Close()
	file := &lumberjack.Logger{Filename: a.paths.DaemonLog, MaxSize: 5, MaxBackups: 3}
	defer file.Close()
	log, err := newLogger(file, config.Log.Level)
	if err != nil {
		return err
	}
	log.Info().Str("version", version).Int("pid", os.Getpid()).Str("parent", os.Getenv(parentPIDVariable)).Msg("daemon starts")
	defer func() { log.Info().AnErr("error", err).Msg("daemon ends") }()
	removeOldStarts(a.paths.StateDir)

	records, err := store.Open(ctx, a.paths.DataDir, store.Options{Log: log.With().Str("part", "store").Logger(), CrashOutput: crashes})
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	defer func() {
		if cerr := records.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("closing the store: %w", cerr)
		}
	}()
	versions := new(xray.Versions)
	deps := a.dependencies(config, records, versions, log)
	returned, err := a.addFront(ctx, &deps.Deps, config, log.With().Str("part", "front").Logger())
	if err != nil {
		return fmt.Errorf("looking for the data plane: %w", err)
	}
	markCrashLog(crashes)
	addProbes(&deps, config, versions, returned, log.With().Str("part", "core").Logger())
	d := daemon.New(deps)
	if err := d.Restore(ctx); err != nil {
		return fmt.Errorf("restoring the last state: %w", err)
	}
	hangups := a.followHangups(ctx, log)
	defer hangups()
	listener, err := ipc.Listen(a.paths.Socket)
	if err != nil {
		return err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	// The socket outlives the signal, so that whoever waits for an answer gets it.
	serving, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	var served error
	var server sync.WaitGroup
	server.Go(func() {
		s := ipc.Server{Handler: d, Test: d.Test, Log: log.With().Str("part", "socket").Logger()}
		served = s.Serve(serving, listener, replyGrace)
		stop() // without the socket the daemon is of no use
	})
	d.Run(running)
	// Closing the store can wait for a disk that does not answer; the process must end all the
	// same. What was acknowledged is on the disk.
	time.AfterFunc(closeTime, func() {
		log.Error().Msg("the end takes too long and is cut short")
		os.Exit(exitFailure)
	})
	hangUp()
	server.Wait()
	return served
}

// dependencies wires the supervisor to the real world.
func (a *app) dependencies(config settings.Settings, records *store.Store, versions *xray.Versions, log zerolog.Logger) daemon.Deps {
	part := func(name string) zerolog.Logger { return log.With().Str("part", name).Logger() }
	loop := supervisor.Deps{
		Settings:  config,
		Cores:     session.XrayCores{Log: part("core"), Versions: versions},
		Online:    route.Exists,
		Own:       route.Own,
		Slept:     rotation.Slept,
		Handshake: probe.Handshake,
		HTTPInbound: func(ctx context.Context, p probe.Proxy) error {
			return probe.HTTPInbound(ctx, p.Address, p.User, p.Password)
		},
		Locate:    func() (string, error) { return xray.Locate(config.Core.Path) },
		CheckFree: ports.CheckFree,
		CapLog: func() {
			capLog(a.paths.CoreLog, log)
			capLog(a.paths.FrontLog, log)
		},
		CoreDir:  filepath.Join(a.paths.RuntimeDir, "core"),
		CoreLog:  a.paths.CoreLog,
		Warnings: warnings(records),
		Log:      part("supervisor"),
	}
	return daemon.Deps{
		Deps:    loop,
		Store:   records,
		Fetch:   subscription.Fetcher{UserAgent: "xrat/" + version}.Fetch,
		Network: route.Network,
		Version: version,
		Hung: func() {
			// A panic writes the stacks of all goroutines to the crash log, and whoever brings the
			// daemon back sees that it did not end of its own will.
			debug.SetTraceback("all")
			panic("the supervisor's loop hangs")
		},
	}
}

// addProbes adds what measures through cores; returned is that of addFront.
func addProbes(deps *daemon.Deps, config settings.Settings, versions *xray.Versions, returned func(mark.Mark) bool, log zerolog.Logger) {
	deps.Probe = func(ctx context.Context, core probe.Proxy, first int) probe.Result {
		return probe.Get(ctx, core, probe.Question{
			URLs: turned(config.Health.URLs, first), Statuses: config.Health.Statuses,
			Timeout: config.Health.Timeout.Std(), Stagger: probeStagger,
		}, returned)
	}
	deps.Work = func(ctx context.Context, core probe.Proxy, first int) probe.Work {
		pages := config.Health.WorkURLs
		return probe.DoWork(ctx, core, pages[first%len(pages)], returned)
	}
	deps.Tools = bulktest.RealTools(log, versions, probeStagger, route.Own, returned)
}

func frontOptions(config settings.Settings, log zerolog.Logger) front.Options {
	return front.Options{
		SOCKS: config.Front.SOCKS, HTTP: config.Front.HTTP,
		Username: config.Front.Username, Password: config.Front.Password,
		Wait:   config.Front.Wait.Std(),
		Rescue: front.Rescue{Off: !config.Rescue.Enabled, Floor: config.Rescue.Floor.Std(), Ceiling: config.Rescue.Ceiling.Std()},
		Log:    log,
	}
}

// turned returns the URLs from the first one on, counted around.
func turned(urls []string, first int) []string {
	if len(urls) == 0 {
		return nil
	}
	first %= len(urls)
	return slices.Concat(urls[first:], urls[:first])
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

// takeLock makes this the one daemon of the user, or says which one is. It waits while the one that
// has the lock does not answer; a program that looks whether the lock is taken holds it itself for
// a moment, too.
func (a *app) takeLock(ctx context.Context) (*flock.Flock, error) {
	path := a.paths.Lock
	lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
	for end := time.Now().Add(lockPatience); ; {
		locked, err := lock.TryLock()
		if locked {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		ping, err := a.client.Ping(ctx)
		switch {
		case err == nil && ping.DaemonReady:
			return nil, &exitError{exitBusy, fmt.Errorf("another daemon is running (pid: %d)", ping.PID)}
		case time.Now().After(end):
			return nil, &exitError{exitBusy, fmt.Errorf("another daemon holds %s and does not answer: `xrat daemon stop` ends it", path)}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockSpacing):
		}
	}
	// For people, and for "xrat daemon stop" when the socket is silent; the lock is what counts.
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
