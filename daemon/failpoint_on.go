//go:build failpoints

package daemon

import (
	"os"
	"syscall"
)

// failpoint kills the process if XRAT_FAIL_AT names this moment: only test
// builds have it.
func failpoint(name string) {
	if os.Getenv("XRAT_FAIL_AT") == name {
		p, _ := os.FindProcess(os.Getpid())
		p.Signal(syscall.SIGKILL)
		select {}
	}
}
