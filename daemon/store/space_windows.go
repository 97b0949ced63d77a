package store

import (
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// freeSpace returns the bytes that this user may still write below path.
func freeSpace(path string) (uint64, error) {
	p, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, fmt.Errorf("reading the free space of %s: %w", path, err)
	}
	var free uint64
	if err := windows.GetDiskFreeSpaceEx(p, &free, nil, nil); err != nil {
		return 0, fmt.Errorf("reading the free space of %s: %w", path, err)
	}
	return free, nil
}

// syncDir does nothing: Windows has no such call for directories.
func syncDir(string) error { return nil }

// allocated returns the size of a file; what it takes on disk may be less.
func allocated(info os.FileInfo) uint64 { return uint64(info.Size()) }
