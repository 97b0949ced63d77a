//go:build unix

package descriptors

import "golang.org/x/sys/unix"

// Limit returns how many descriptors this process may have at a time.
func Limit() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return unknown
	}
	return int(min(uint64(limit.Cur), unlimited))
}

const (
	unknown   = 256 // the least that a usual system allows
	unlimited = 1 << 20
)
