//go:build unix

package store

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// freeSpace returns the bytes that this user may still write below path.
func freeSpace(path string) (uint64, error) {
	var st unix.Statfs_t
	for {
		err := unix.Statfs(path, &st)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("reading the free space of %s: %w", path, err)
		}
		return uint64(st.Bavail) * uint64(st.Bsize), nil
	}
}

// syncDir makes a rename in the directory survive a power loss.
func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// allocated returns the bytes that a file takes on disk: Badger's logs are mostly holes.
func allocated(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Blocks) * 512
	}
	return uint64(info.Size())
}
