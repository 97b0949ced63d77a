//go:build !linux && !windows

package front

import "syscall"

const acceptKeepAlive = 0 // the net package's default

func controlListener(_, _ string, _ syscall.RawConn) error { return nil }
