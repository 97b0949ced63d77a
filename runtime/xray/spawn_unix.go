//go:build unix

package xray

import (
	"os"
	"os/exec"
	"syscall"
)

// The steps of the ladder of Stop. A stopped process sees TERM only after CONT.
const (
	signalAsk   = syscall.SIGTERM
	signalWake  = syscall.SIGCONT
	signalForce = syscall.SIGKILL
)

// detach gives the child a session of its own, and so a process group: it survives the end of the
// terminal and of the program that started it.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}

// systemEnvironment names the variables that a core needs: they say where the system's certificates
// are.
var systemEnvironment = []string{"SSL_CERT_FILE", "SSL_CERT_DIR"}

// openLog opens the file for a core's output. It follows no symbolic link.
func openLog(path string, flags int) (*os.File, error) {
	return os.OpenFile(path, flags|syscall.O_NOFOLLOW, 0o600)
}
