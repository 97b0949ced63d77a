package xray

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// EnvCore names the environment variable that can point to the core.
const EnvCore = "XRAT_XRAY"

// Locate returns the absolute path of the core's executable: configured (core.path in the settings)
// if it is set, else $XRAT_XRAY if that is set, else "xray" beside the running executable, else
// "xray" in PATH. A place that is named but holds no usable program is an error, not a reason to
// look further. Errors say what to do.
func Locate(configured string) (string, error) {
	if configured != "" {
		path, err := usable(configured)
		if err != nil {
			return "", fmt.Errorf("the Xray core in the settings (core.path) is not usable: %w; correct core.path, or remove it to have $%s, the program's own folder and PATH searched", err, EnvCore)
		}
		return path, nil
	}
	if named := os.Getenv(EnvCore); named != "" {
		path, err := usable(named)
		if err != nil {
			return "", fmt.Errorf("the Xray core in $%s is not usable: %w; correct or unset the variable", EnvCore, err)
		}
		return path, nil
	}
	name := "xray"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	beside := "the program's own folder"
	if self, err := os.Executable(); err == nil {
		candidate := filepath.Join(filepath.Dir(self), name)
		path, err := usable(candidate)
		if err == nil {
			return path, nil
		}
		beside = candidate
		if !errors.Is(err, fs.ErrNotExist) {
			beside += " (" + strings.TrimPrefix(err.Error(), candidate+" ") + ")"
		}
	}
	// What a relative entry of PATH means depends on the working directory. LookPath returns ErrDot
	// for it, so it is not used.
	if found, err := exec.LookPath(name); err == nil {
		return usable(found)
	}
	return "", fmt.Errorf("no Xray core found: core.path in the settings and $%s are not set, there is none at %s and none in PATH; "+
		"install Xray or set core.path to its executable", EnvCore, beside)
}

// usable returns the absolute form of path if it is a file that may be executed.
func usable(path string) (string, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("%s has no absolute form: %w", path, err)
	}
	info, err := os.Stat(absolute)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", &missingError{absolute}
	case err != nil:
		return "", err // names the path already
	case info.IsDir():
		return "", fmt.Errorf("%s is a folder, not a program", absolute)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is not a regular file", absolute)
	}
	// LookPath knows what executable means on this system.
	if _, err := exec.LookPath(absolute); err != nil {
		return "", fmt.Errorf("%s may not be executed (mode %v): chmod +x it", absolute, info.Mode().Perm())
	}
	return absolute, nil
}

type missingError struct{ path string }

func (e *missingError) Error() string        { return e.path + " does not exist" }
func (e *missingError) Is(target error) bool { return target == fs.ErrNotExist }
