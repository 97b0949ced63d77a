//go:build !linux

package xray

import (
	"context"
	"syscall"
)

// handle holds one process, which need not be a child.
type handle struct {
	pid   int
	start uint64
}

// openHandle returns a handle of whichever process has pid now.
func openHandle(pid int) (*handle, error) {
	id, err := identify(pid)
	if err != nil {
		return nil, err
	}
	return &handle{pid: pid, start: id.StartTime}, nil
}

// wait returns nil when the process has exited; it does not reap it.
func (h *handle) wait(ctx context.Context) error { return pollExit(ctx, h.pid, h.start) }

// signalGroup sends sig to the group that this process leads, if the number is still its own. If
// there is no such process, that is no error.
func (h *handle) signalGroup(sig syscall.Signal) error {
	if id, err := identify(h.pid); err != nil || id.StartTime != h.start {
		return nil
	}
	return signalGroup(h.pid, sig)
}

func (h *handle) close() {}
