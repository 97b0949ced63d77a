//go:build !linux

package xray

import (
	"fmt"
	"os"
	"slices"

	"github.com/shirou/gopsutil/v4/process"
)

// bootID is empty: the start time in milliseconds since 1970 does not repeat
// after a boot.
func bootID() string { return "" }

// identify describes the process that has pid now. An exited process that
// nobody has waited for counts as missing.
func identify(pid int) (Identity, error) {
	p, err := process.NewProcess(int32(pid))
	if err != nil {
		return Identity{}, fmt.Errorf("%w: no process has pid %d", ErrPIDMissing, pid)
	}
	if status, err := p.Status(); err == nil && slices.Contains(status, process.Zombie) {
		return Identity{}, fmt.Errorf("%w: pid %d has exited", ErrPIDMissing, pid)
	}
	started, err := p.CreateTime()
	if err != nil {
		return Identity{}, fmt.Errorf("%w: pid %d has no start time: %w", ErrPIDMissing, pid, err)
	}
	executable, _ := p.Exe() // not told for every process: then the start time has to do
	return Identity{PID: pid, StartTime: uint64(started), Executable: executable}, nil
}

// FindByNonce looks for a process of this user that has nonce in its
// environment: a core whose start was recorded but whose pid was not.
// ErrPIDMissing when there is none, or when the system does not show it.
func FindByNonce(nonce string) (Identity, error) {
	if nonce == "" {
		return Identity{}, fmt.Errorf("%w: the record holds no nonce", ErrPIDMissing)
	}
	processes, err := process.Processes()
	if err != nil {
		return Identity{}, fmt.Errorf("listing the processes: %w", err)
	}
	for _, p := range processes {
		if int(p.Pid) == os.Getpid() {
			continue
		}
		environment, err := p.Environ() // other users' are denied
		if err == nil && slices.Contains(environment, EnvNonce+"="+nonce) {
			return identify(int(p.Pid))
		}
	}
	return Identity{}, fmt.Errorf("%w: no process has the session's nonce", ErrPIDMissing)
}
