//go:build unix

package settings

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
)

// standardRuntimeDir is where the system makes a runtime directory for this user: programs that
// lack the variable (from cron, or in a bare ssh session) find the daemon there. xdg knows it only
// where the variable does not hide it.
func standardRuntimeDir(fromXDG string) string {
	if runtime.GOOS == "darwin" {
		return fromXDG
	}
	return filepath.Join("/run/user", strconv.Itoa(os.Geteuid()))
}

// fallbackRuntimeDir is a private directory for systems that make none.
func fallbackRuntimeDir() string {
	return "/tmp/" + appName + "-" + strconv.Itoa(os.Geteuid())
}

// isOurs reports whether the file of info belongs to this user.
func isOurs(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// tighten takes all access to the directory path from others. It works on the opened directory, so
// that nothing can be put in its place meanwhile.
func tighten(path string) error {
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	info, err := dir.Stat()
	if err != nil {
		return err
	}
	if !isOurs(info) {
		return fmt.Errorf("it changed hands while being prepared")
	}
	if info.Mode().Perm() == 0o700 {
		return nil
	}
	if err := dir.Chmod(0o700); err != nil {
		return err
	}
	// Some file systems accept any mode and keep their own.
	if info, err = dir.Stat(); err != nil {
		return err
	}
	if perm := info.Mode().Perm(); perm&0o077 != 0 {
		return fmt.Errorf("others have access to it (mode %#o) and its file system does not let that be changed; use a directory on another one", perm)
	}
	return nil
}
