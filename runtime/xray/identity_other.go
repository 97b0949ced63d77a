//go:build !linux

package xray

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/shirou/gopsutil/v4/process"
)

// bootID returns nothing: start times in milliseconds since 1970 do not repeat after a boot.
func bootID() string { return "" }

// identify returns the identity of the process that has pid now. An exited process that nobody has
// waited for counts as missing.
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
	executable, _ := p.Exe() // unknown for some processes: then the start time has to do
	return Identity{PID: pid, StartTime: uint64(started), Executable: executable}, nil
}

// FindNonces returns the processes of this user that have a wanted nonce in their environment, as
// far as the system shows them.
func FindNonces(wanted func(nonce string) bool) ([]Identity, error) {
	processes, err := process.Processes()
	if err != nil {
		return nil, fmt.Errorf("listing the processes: %w", err)
	}
	var found []Identity
	for _, p := range processes {
		if int(p.Pid) == os.Getpid() {
			continue
		}
		environment, err := p.Environ() // other users' are denied
		if err != nil {
			continue
		}
		for _, variable := range environment {
			nonce, has := strings.CutPrefix(variable, envNonce+"=")
			if !has || !wanted(nonce) {
				continue
			}
			if id, err := identify(int(p.Pid)); err == nil {
				found = append(found, id)
			}
		}
	}
	return found, nil
}
