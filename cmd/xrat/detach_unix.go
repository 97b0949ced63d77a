//go:build unix

package main

import (
	"os"
	"syscall"
)

// detached puts the daemon into a session of its own, so that neither the terminal's signals nor
// its end reach it.
func detached() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// privateFiles has whatever the daemon and its libraries create closed to others.
func privateFiles() { syscall.Umask(0o077) }

// softSignals ask a process to end, also one that is stopped.
var softSignals = []os.Signal{syscall.SIGTERM, syscall.SIGCONT}

// closeForChildren keeps what the caller of this program had open, such as the lock of a cron job
// or the end of a pipeline, from the daemon, which would hold it for as long as it lives.
func closeForChildren() {
	const most = 1024
	for fd := 3; fd < most; fd++ {
		syscall.CloseOnExec(fd)
	}
}
