package xray

import (
	"os"
	"os/exec"
	"syscall"
)

// Windows cannot ask a program without a window to end: the first step of the ladder of Stop kills
// it, and the others find nothing left to do.
const (
	signalAsk   = syscall.SIGKILL
	signalWake  = syscall.SIGKILL
	signalForce = syscall.SIGKILL
)

// detach gives the child a process group of its own.
func detach(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: syscall.CREATE_NEW_PROCESS_GROUP, HideWindow: true}
}

// systemEnvironment names the variables that a program needs to start.
var systemEnvironment = []string{"SystemRoot", "TEMP", "TMP"}

// openLog opens the file for a core's output.
func openLog(path string, flags int) (*os.File, error) {
	return os.OpenFile(path, flags, 0o600)
}

// signalGroup can only end the process itself.
func signalGroup(pid int, _ syscall.Signal) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return nil
	}
	defer p.Release()
	_ = p.Kill() // an error means that it is exiting already
	return nil
}
