//go:build unix

package xray

import "syscall"

// batchNiceness is how far a batch stands back behind everything else.
const batchNiceness = 10

// yieldPriority has the process stand back when others want the processor. It
// names its group, of which it is the leader: on Linux a single process would be
// its first thread only. That it cannot be done is not worth an error.
func yieldPriority(pid int) { _ = syscall.Setpriority(syscall.PRIO_PGRP, pid, batchNiceness) }
