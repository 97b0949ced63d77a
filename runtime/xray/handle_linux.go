package xray

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// handle holds one process, which need not be a child.
type handle struct {
	pid int
	// pidfd is watched by the runtime's poller, so that a wait costs neither a thread nor a timer.
	// nil before Linux 5.10: then the exit is polled.
	pidfd *os.File
	start uint64 // only without pidfd
}

// openHandle returns a handle of whichever process has pid now.
func openHandle(pid int) (*handle, error) {
	if pid <= 0 {
		return nil, fmt.Errorf("%w: %d is no pid", ErrPIDMissing, pid)
	}
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	switch {
	case err == nil:
		return &handle{pid: pid, pidfd: os.NewFile(uintptr(fd), fmt.Sprintf("pidfd of %d", pid))}, nil
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPERM):
		id, err := identify(pid)
		if err != nil {
			return nil, err
		}
		return &handle{pid: pid, start: id.StartTime}, nil
	case errors.Is(err, unix.ESRCH):
		return nil, fmt.Errorf("%w: no process has pid %d", ErrPIDMissing, pid)
	}
	return nil, fmt.Errorf("holding the process %d: %w", pid, err)
}

// wait returns nil when the process has exited; it does not reap it.
func (h *handle) wait(ctx context.Context) error {
	if h.pidfd == nil {
		return pollExit(ctx, h.pid, h.start)
	}
	conn, err := h.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = h.pidfd.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	err = conn.Read(func(fd uintptr) bool { return hasExited(int(fd)) })
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// hasExited reports at once whether the process has exited: its pidfd is readable from then on.
func hasExited(fd int) bool {
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		n, err := unix.Poll(polled, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err == nil && n > 0
	}
}

// signalGroup sends sig to every process of the group that this process leads, also when only its
// children are left. If there is none, that is no error.
func (h *handle) signalGroup(sig syscall.Signal) error {
	if h.pidfd == nil {
		return h.killGroup(sig)
	}
	conn, err := h.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = conn.Control(func(fd uintptr) {
		// Since Linux 6.9 the pidfd can name the group, so no number has to.
		sent = unix.PidfdSendSignal(int(fd), sig, nil, unix.PIDFD_SIGNAL_PROCESS_GROUP)
		if errors.Is(sent, unix.EINVAL) {
			sent = h.killGroup(sig)
		}
	})
	switch {
	case errors.Is(err, os.ErrClosed), errors.Is(sent, unix.ESRCH):
		return nil
	case err != nil:
		return err
	}
	return sent
}

// killGroup sends sig by number. The number belongs to the process as long as /proc shows it, alive
// or not yet waited for.
func (h *handle) killGroup(sig syscall.Signal) error {
	stat, err := readStat(h.pid)
	if err != nil || h.start != 0 && stat.start != h.start {
		return nil
	}
	if err := syscall.Kill(-h.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// close releases the handle; call it once no other method runs.
func (h *handle) close() {
	if h.pidfd != nil {
		_ = h.pidfd.Close()
	}
}
