package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func TestEveryKindOfErrorHasItsExitCode(t *testing.T) {
	for want, err := range map[int]error{
		exitFailure:      errors.New("something"),
		exitUsage:        fmt.Errorf("a: %w", &exitError{exitUsage, errors.New("b")}),
		exitNotRunning:   fmt.Errorf("asking: %w", ipc.ErrNotRunning),
		exitNotFound:     fmt.Errorf("a: %w", ipc.Errorf(ipc.CodeNotFound, "b")),
		exitBusy:         ipc.Errorf(ipc.CodeBusy, "b"),
		exitInvalidState: ipc.Errorf(ipc.CodeInvalidState, "b"),
	} {
		if got := exitCode(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
	if got := exitCode(ipc.Errorf(ipc.CodeInternalError, "b")); got != exitFailure {
		t.Errorf("internal error: %d", got)
	}
}
