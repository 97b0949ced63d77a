//go:build unix && !linux

package xray

import (
	"errors"
	"syscall"
)

// signalGroup sends sig to the group that the process leads. If there is none, that is no error.
func signalGroup(pid int, sig syscall.Signal) error {
	if err := syscall.Kill(-pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
