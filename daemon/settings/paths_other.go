//go:build !unix

package settings

import (
	"io/fs"
	"os"
	"path/filepath"
)

// standardRuntimeDir is the directory that xdg names.
func standardRuntimeDir(fromXDG string) string { return fromXDG }

// fallbackRuntimeDir is a directory in the user's own temporary directory.
func fallbackRuntimeDir() string { return filepath.Join(os.TempDir(), appName) }

// isOurs is true: the directories lie in the user's profile, whose access lists keep others out.
func isOurs(fs.FileInfo) bool { return true }

// tighten does nothing: access lists are inherited from the user's profile.
func tighten(string) error { return nil }
