package xray

import (
	"errors"
	"fmt"
	"strings"
)

// envNonce names the variable in a core's environment that holds Spec.Nonce.
const envNonce = "XRAT_SESSION_NONCE"

// Why a process could not be adopted or found. Errors wrap them; compare with errors.Is.
var (
	ErrPIDMissing       = errors.New("the core's process is gone")
	ErrIdentityMismatch = errors.New("the process with the core's pid is another program")
	ErrUnhealthy        = errors.New("the core's process does not serve")
)

// Identity is enough to recognize a process for certain, also after the program that started it is
// gone.
type Identity struct {
	PID int
	// StartTime is when the process started: in clock ticks since boot on Linux, which no change of
	// the wall clock affects, in milliseconds since 1970 elsewhere.
	StartTime  uint64
	BootID     string // changes with every boot; empty where the system has none
	Executable string // absolute path of the running program, as the system names it
}

// deletedMark is what Linux appends to the path of a running program whose file has been removed or
// replaced.
const deletedMark = " (deleted)"

// verify reports whether the process that now has id's pid is the one that id describes. Open a
// handle first, so that the answer stays true.
func verify(id Identity) error {
	if boot := bootID(); boot != id.BootID {
		return fmt.Errorf("%w: pid %d was recorded before the machine's last start", ErrPIDMissing, id.PID)
	}
	now, err := identify(id.PID)
	switch {
	case err != nil:
		return err
	case now.StartTime != id.StartTime:
		return fmt.Errorf("%w: pid %d started at another time than recorded", ErrIdentityMismatch, id.PID)
	case now.Executable != "" && id.Executable != "" &&
		strings.TrimSuffix(now.Executable, deletedMark) != strings.TrimSuffix(id.Executable, deletedMark):
		return fmt.Errorf("%w: pid %d runs %s, recorded was %s", ErrIdentityMismatch, id.PID, now.Executable, id.Executable)
	}
	return nil
}

// FindByNonce looks for a process of this user that has nonce in its environment: a core whose
// start was recorded but whose pid was not. Of several (a core and what it forked) it prefers the
// leader of the group. The error wraps ErrPIDMissing when there is none, or when the system does
// not show it.
func FindByNonce(nonce string) (Identity, error) {
	if nonce == "" {
		return Identity{}, fmt.Errorf("%w: the record holds no nonce", ErrPIDMissing)
	}
	found, err := FindNonces(func(other string) bool { return other == nonce })
	if err != nil {
		return Identity{}, err
	}
	if len(found) == 0 {
		return Identity{}, fmt.Errorf("%w: no process has the session's nonce", ErrPIDMissing)
	}
	return found[0], nil
}
