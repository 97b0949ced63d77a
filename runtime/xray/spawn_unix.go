//go:build unix

package xray

import (
	"os"
	"os/exec"
	"syscall"
)

// The steps of the stop ladder. A stopped process sees TERM only after CONT.
const (
	signalAsk   = syscall.SIGTERM
	signalWake  = syscall.SIGCONT
	signalForce = syscall.SIGKILL
)

// detach gives the child a session, and so a process group, of its own: the end
// of a terminal or of the program that started it does not reach it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}

// systemEnvironment lists what of our environment a core needs: where the
// system's certificates are, on systems that keep them elsewhere.
var systemEnvironment = []string{"SSL_CERT_FILE", "SSL_CERT_DIR"}

// openLog opens the file for a core's output; it follows no link.
func openLog(path string, flags int) (*os.File, error) {
	return os.OpenFile(path, flags|syscall.O_NOFOLLOW, 0o600)
}
