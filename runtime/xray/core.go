package xray

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"github.com/rs/zerolog"
)

// killWait is how long a process may take to disappear after KILL. Only one that hangs in the
// kernel takes longer than milliseconds.
const killWait = 3 * time.Second

// Core is one core process. Its methods may be called at any time and by several goroutines. Each
// Core has a goroutine that watches the process and ends with it.
type Core struct {
	log      zerolog.Logger
	identity Identity
	inbound  Inbound
	plan     plan
	handle   *handle
	command  *exec.Cmd // nil: adopted, not our child
	output   coreLog   // empty: adopted
	secrets  []string

	done   chan struct{} // closed when the process has exited
	exit   ExitError     // set before done is closed
	killed bool          // likewise
}

// ExitError says that a core's process exited by itself.
type ExitError struct {
	Code   int    // exit code; -1 if a signal ended the process, or if the code is unknown
	Reason string // "exit status 23: <last log line>"; no secrets, no control characters
}

func (e *ExitError) Error() string { return "the core exited: " + e.Reason }

// Identity identifies the process, for Adopt and End.
func (c *Core) Identity() Identity { return c.identity }

// Inbound is where the core serves, with user and password.
func (c *Core) Inbound() Inbound { return c.inbound }

// Done is closed when the process has exited and nothing of its group is left.
func (c *Core) Done() <-chan struct{} { return c.done }

// ExitReason says how the process ended, for example "exit status 23: <last log line>". It is empty
// before Done is closed, and contains no secrets.
func (c *Core) ExitReason() string {
	select {
	case <-c.done:
		return c.exit.Reason
	default:
		return ""
	}
}

// Killed reports whether the process was killed by a signal rather than exited by itself: by
// somebody, or by the kernel when memory ran out. It is also true where that is unknown, as for an
// adopted process, whose exit status goes to its parent. It is false before Done is closed.
//
// Windows has no signals: there a process that was killed looks like one that exited.
func (c *Core) Killed() bool {
	select {
	case <-c.done:
		return c.killed
	default:
		return false
	}
}

// watch starts the goroutine that waits for the process.
func (c *Core) watch() {
	c.done = make(chan struct{})
	go func() {
		defer c.handle.close()
		if err := c.handle.wait(context.Background()); err != nil {
			c.log.Warn().Err(err).Int("pid", c.identity.PID).Msg("waiting for the core, polling for its exit instead")
			_ = pollExit(context.Background(), c.identity.PID, c.identity.StartTime)
		}
		c.reap()
		close(c.done)
	}()
}

// reap clears up after the process has exited.
func (c *Core) reap() {
	// What the core forked goes with it. This comes before Wait, because until then the number of
	// the group cannot belong to anybody else.
	if err := c.handle.signalGroup(signalForce); err != nil {
		c.log.Warn().Err(err).Int("pid", c.identity.PID).Msg("ending what the core left behind")
	}
	how := "ended while it was not our child" // adopted
	c.exit.Code, c.killed = -1, true
	if c.command != nil {
		var state *exec.ExitError
		if err := c.command.Wait(); err != nil && !errors.As(err, &state) {
			c.log.Warn().Err(err).Int("pid", c.identity.PID).Msg("waiting for the core")
		}
		if state := c.command.ProcessState; state != nil {
			how, c.exit.Code = state.String(), state.ExitCode()
			status, ok := state.Sys().(syscall.WaitStatus)
			c.killed = !ok || status.Signaled()
		}
	}
	c.exit.Reason = how
	// The log of an adopted core is unknown. It needs no masking: a core quotes its configuration
	// only when it cannot start with it.
	if c.output.path != "" {
		if line := c.output.lastLine(c.secrets); line != "" {
			c.exit.Reason += ": " + line
		}
		if err := c.output.mask(c.secrets); err != nil {
			c.log.Warn().Err(err).Msg("blanking out secrets in the core's log")
		}
	}
	c.log.Debug().Int("pid", c.identity.PID).Str("reason", c.exit.Reason).Msg("core exited")
}

// Stop ends the process and everything in its group: TERM, then CONT (without which a stopped
// process does not see TERM), then KILL after grace. The end of ctx shortens the grace; it does not
// spare the process. Stop returns nil once the process is gone, also if it was gone before, and an
// error if it is still there 3 s after KILL. It may be called more than once and by several
// goroutines.
//
// Windows cannot ask a process to end: there it is killed at once, and what it has started lives
// on.
func (c *Core) Stop(ctx context.Context, grace time.Duration) error {
	return stop(ctx, c.handle, c.done, c.identity.PID, grace)
}

// stop is the ladder of Stop; gone is closed once the process needs no more signals.
func stop(ctx context.Context, h *handle, gone <-chan struct{}, pid int, grace time.Duration) error {
	select {
	case <-gone:
		return nil
	default:
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	err := errors.Join(h.signalGroup(signalAsk), h.signalGroup(signalWake))
	select {
	case <-gone:
		return nil
	case <-ctx.Done():
	case <-timer.C:
	}
	err = errors.Join(err, h.signalGroup(signalForce))
	timer.Reset(killWait)
	select {
	case <-gone:
		return nil
	case <-timer.C:
		return errors.Join(fmt.Errorf("the core's process %d is still there %v after KILL", pid, killWait), err)
	}
}
