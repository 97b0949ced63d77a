package xray

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/runtime/link"
)

const (
	// defaultReady is used for a Spec.ReadyTimeout of 0. A core is ready after some 20 ms; on a
	// busy machine it may take a hundred times as long.
	defaultReady = 5 * time.Second
	// portTries is how many ports are tried when others take them first.
	portTries = 3
)

// Spec is what Start needs to know.
type Spec struct {
	Executable   string        // absolute, from Locate
	Version      Version       // of that; zero: not known, and everything is tried
	Link         link.Link     // the server that the core goes out through
	Nonce        string        // put into the core's environment, for FindByNonce
	Dir          string        // working directory, created if missing; for the core alone
	LogFile      string        // gets the core's output; several cores may share it; see CapLog
	ReadyTimeout time.Duration // from the spawn until the core serves; 0: 5 s

	batch []member // from StartBatch, instead of Link
}

// Start starts a core and returns once it serves: its inbound has answered a handshake and its
// sockets are exactly the planned ones. started, if not nil, is called right after the spawn, so
// that the caller can record the process before anything else happens. It is called again, with a
// new process, if another program took the port meanwhile. An error from it ends the start.
//
// On any error, and when ctx ends, the process is gone before Start returns. If the core exited by
// itself, the error wraps an *ExitError; code 23 means that the core refuses the configuration.
func Start(ctx context.Context, log zerolog.Logger, spec Spec, started func(Identity, Inbound) error) (*Core, error) {
	if lacks := spec.Version.Lacks(spec.Link); lacks != "" {
		return nil, errors.New(lacks)
	}
	return start(ctx, log, spec, started, newInbound)
}

func start(ctx context.Context, log zerolog.Logger, spec Spec, started func(Identity, Inbound) error, pick func() (Inbound, error)) (*Core, error) {
	if spec.ReadyTimeout <= 0 {
		spec.ReadyTimeout = defaultReady
	}
	if err := os.MkdirAll(spec.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("preparing the core's working directory: %w", err)
	}
	if err := CapLog(spec.LogFile, maxLog); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("starting the core: %w", err)
		}
		in, err := pick()
		if err != nil {
			return nil, err
		}
		c, err := startOnce(ctx, log, spec, in, started)
		if err == nil {
			return c, nil
		}
		if !portTaken(err) || try == portTries {
			return nil, err
		}
		log.Warn().Err(err).Int("try", try).Msg("the core's port was taken, trying another")
	}
}

func startOnce(ctx context.Context, log zerolog.Logger, spec Spec, in Inbound, started func(Identity, Inbound) error) (*Core, error) {
	begin := time.Now()
	c, err := spawn(log, spec, in)
	if err != nil {
		return nil, err
	}
	if started != nil {
		err = started(c.identity, in)
	}
	if err == nil {
		err = c.ready(ctx, spec.ReadyTimeout)
	}
	if err != nil {
		// It has served nobody and needs no grace.
		if stopErr := c.Stop(ctx, 0); stopErr != nil {
			err = errors.Join(err, stopErr)
		}
		return nil, fmt.Errorf("starting the core: %w", err)
	}
	log.Info().Int("pid", c.identity.PID).Stringer("inbound", in).Dur("after", time.Since(begin)).Msg("core ready")
	return c, nil
}

// spawn starts the process and the goroutine that watches it.
func spawn(log zerolog.Logger, spec Spec, in Inbound) (*Core, error) {
	config, secrets, p, err := spec.configure(in)
	if err != nil {
		return nil, fmt.Errorf("starting the core: %w", err)
	}
	// A file, never a pipe: once whoever reads a pipe is gone, the core would die of SIGPIPE.
	output, err := openLog(spec.LogFile, os.O_WRONLY|os.O_APPEND|os.O_CREATE)
	if err != nil {
		return nil, fmt.Errorf("opening the core's log: %w", err)
	}
	defer output.Close()
	info, err := output.Stat()
	if err != nil {
		return nil, fmt.Errorf("opening the core's log: %w", err)
	}

	command := exec.Command(spec.Executable, "run", "-c", "stdin:")
	command.Dir = spec.Dir
	command.Env = environment(spec)
	command.Stdin = bytes.NewReader(config) // no secrets in files or arguments
	command.Stdout, command.Stderr = output, output
	command.WaitDelay = killWait // for the copying of stdin
	detach(command)
	if err := command.Start(); err != nil {
		return nil, explainSpawn(spec.Executable, err)
	}
	pid := command.Process.Pid
	if spec.batch != nil {
		yieldPriority(pid)
	}
	id, err := identify(pid)
	var h *handle
	switch {
	case err == nil:
		h, err = openHandle(pid)
	case errors.Is(err, ErrPIDMissing):
		// It has exited already. The pid stays its own until it is waited for, so a handle can be
		// opened all the same, and the watch will find out the reason.
		id = Identity{PID: pid, BootID: bootID(), Executable: spec.Executable}
		h, err = openHandle(pid)
	}
	if err != nil {
		_ = command.Process.Kill()
		_ = command.Wait()
		return nil, fmt.Errorf("starting the core: %w", err)
	}
	if id.Executable == "" {
		id.Executable = spec.Executable
	}
	c := &Core{
		log: log, identity: id, inbound: in, plan: p, handle: h, command: command, secrets: secrets,
		output: coreLog{path: spec.LogFile, from: info.Size()},
	}
	c.watch()
	return c, nil
}

// configure makes the configuration, the secrets in it, and the plan of what is to be listened on.
func (s Spec) configure(in Inbound) (config []byte, secrets []string, p plan, err error) {
	if s.batch != nil {
		config, secrets, err = configureBatch(s.batch, in)
	} else {
		config, secrets, err = configure(s.Link, in)
	}
	if err != nil {
		return nil, nil, nil, err
	}
	p, err = newPlan(in)
	return config, secrets, p, err
}

// environment returns the whole environment of the core. Nothing else is passed on: XRAY_ variables
// could add whole directories of configuration.
func environment(spec Spec) []string {
	env := []string{
		envNonce + "=" + spec.Nonce,
		"XRAY_LOCATION_ASSET=" + spec.Dir,
	}
	for _, name := range systemEnvironment {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// explainSpawn adds to an error from starting the executable what to do about it.
func explainSpawn(executable string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("starting the core: %s is not there any more; install Xray again or set core.path: %w", executable, err)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("starting the core: %s may not be executed; chmod +x it or set core.path: %w", executable, err)
	case errors.Is(err, syscall.ENOEXEC):
		return fmt.Errorf("starting the core: %s is not a program for this machine (%s/%s), or it is damaged; install the Xray for it or set core.path: %w",
			executable, runtime.GOOS, runtime.GOARCH, err)
	}
	return fmt.Errorf("starting the core: %w", err)
}

// ready waits until the core serves.
func (c *Core) ready(ctx context.Context, timeout time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("it did not serve within %v", timeout))
	defer cancel()
	begin := time.Now()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var last error
	for {
		select {
		case <-c.done:
			return &c.exit
		case <-ctx.Done():
			if last != nil {
				return fmt.Errorf("%w (%w)", context.Cause(ctx), last)
			}
			return context.Cause(ctx)
		case <-timer.C:
		}
		err := handshake(ctx, c.inbound)
		if err == nil {
			err = checkSockets(c.identity.PID, c.plan, true)
		}
		switch {
		case err == nil:
			return nil
		case errors.Is(err, errForeign), errors.Is(err, errUnplanned):
			return err
		case ctx.Err() == nil:
			last = err
		}
		// A refused connection costs some 50 µs. So the steps are short at first, when each
		// millisecond counts, and longer once the start is slow anyway.
		timer.Reset(min(max(time.Since(begin)/16, time.Millisecond), 50*time.Millisecond))
	}
}

// portTaken reports whether a start failed because somebody else has the port.
func portTaken(err error) bool {
	if errors.Is(err, errForeign) {
		return true
	}
	var exit *ExitError
	return errors.As(err, &exit) &&
		(strings.Contains(exit.Reason, "address already in use") || strings.Contains(exit.Reason, "Only one usage of each socket address"))
}
