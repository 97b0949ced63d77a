//go:build unix

package xray

import "syscall"

// batchNiceness is the niceness of a batch: everything else comes first.
const batchNiceness = 10

// yieldPriority lowers the priority of the process. It names the group that the process leads: on
// Linux, a single pid would mean its first thread only. A failure is not worth an error.
func yieldPriority(pid int) { _ = syscall.Setpriority(syscall.PRIO_PGRP, pid, batchNiceness) }
