//go:build unix

package main

import (
	"os"
	"syscall"
)

// detached puts the daemon into a session of its own, so that neither the
// terminal's signals nor its end reach it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// privateFiles has whatever the daemon and its libraries create closed to others.
func privateFiles() { syscall.Umask(0o077) }

// softSignals ask a process to end, also one that is stopped.
var softSignals = []os.Signal{syscall.SIGTERM, syscall.SIGCONT}
