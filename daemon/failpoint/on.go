//go:build failpoints

package failpoint

import (
	"os"
	"syscall"
)

// Hit kills the process if XRAT_FAIL_AT names this moment.
func Hit(name string) {
	if os.Getenv("XRAT_FAIL_AT") == name {
		p, _ := os.FindProcess(os.Getpid())
		p.Signal(syscall.SIGKILL)
		select {}
	}
}
