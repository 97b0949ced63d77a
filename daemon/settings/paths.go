package settings

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"github.com/adrg/xdg"
)

// Paths says where xrat keeps its files. Every program of one user in one environment gets the
// same, which is how the CLI and the tray find the daemon.
type Paths struct {
	ConfigFile string // the settings file; may be absent
	DataDir    string // the store
	StateDir   string // the logs
	RuntimeDir string // the socket and the lock
	Socket     string
	Lock       string
	DaemonLog  string
	CoreLog    string
	FrontLog   string // of data planes
}

// maxSocketPath is how long the path of a Unix socket can be in bytes, without the NUL at its end:
// 107 on Linux, 103 on macOS.
const maxSocketPath = len(syscall.RawSockaddrUnix{}.Path) - 1

const (
	appName    = "xrat"
	socketName = "xrat.sock"
)

// xdgLock guards the variables in which package xdg keeps its answers.
var xdgLock sync.Mutex

// FindPaths finds the places by the XDG Base Directory Specification. It creates nothing. It fails
// if the user has no home, and if the runtime directory belongs to someone else, whom a client must
// not trust.
func FindPaths() (Paths, error) {
	base, err := baseDirs()
	if err != nil {
		return Paths{}, err
	}
	runtimeDir, err := runtimeDir(os.Getenv("XDG_RUNTIME_DIR"), standardRuntimeDir(base.runtime), fallbackRuntimeDir())
	if err != nil {
		return Paths{}, err
	}
	state := filepath.Join(base.state, appName, subfolder("state"))
	return Paths{
		ConfigFile: filepath.Join(base.config, appName, "settings.toml"),
		DataDir:    filepath.Join(base.data, appName, subfolder("data")),
		StateDir:   state,
		RuntimeDir: runtimeDir,
		Socket:     filepath.Join(runtimeDir, socketName),
		Lock:       filepath.Join(runtimeDir, "xrat.lock"),
		DaemonLog:  filepath.Join(state, "daemon.log"),
		CoreLog:    filepath.Join(state, "core.log"),
		FrontLog:   filepath.Join(state, "front.log"),
	}, nil
}

type bases struct{ config, data, state, runtime string }

// baseDirs reads the environment as it is now. Relative values are ignored, as the specification
// asks. Without $HOME the user database says where home is.
func baseDirs() (bases, error) {
	xdgLock.Lock()
	xdg.Reload()
	home := xdg.Home
	b := bases{xdg.ConfigHome, xdg.DataHome, xdg.StateHome, xdg.RuntimeDir}
	xdgLock.Unlock()
	// Without $HOME package xdg takes the root directory, which hardly anybody means.
	if filepath.IsAbs(home) && (home != "/" || os.Getenv("HOME") == "/") {
		return b, nil
	}

	// Without a home, what the variables say can be used, but not what package xdg made up.
	var database error
	for _, dir := range []struct {
		path     *string
		variable string
		below    string
	}{
		{&b.config, "XDG_CONFIG_HOME", ".config"},
		{&b.data, "XDG_DATA_HOME", filepath.Join(".local", "share")},
		{&b.state, "XDG_STATE_HOME", filepath.Join(".local", "state")},
	} {
		if filepath.IsAbs(os.Getenv(dir.variable)) {
			continue
		}
		account, err := user.LookupId(strconv.Itoa(os.Geteuid()))
		if err == nil && !filepath.IsAbs(account.HomeDir) {
			err = fmt.Errorf("user %s has no home", account.Username)
		}
		if err != nil {
			database = err
			continue
		}
		*dir.path = filepath.Join(account.HomeDir, dir.below)
	}
	if database != nil {
		return bases{}, fmt.Errorf("finding the home directory: HOME is not set to an absolute path and the user database does not help (%w); set HOME, or XDG_CONFIG_HOME, XDG_DATA_HOME and XDG_STATE_HOME", database)
	}
	return b, nil
}

// runtimeDir chooses the directory of the socket: below env ($XDG_RUNTIME_DIR), else below standard
// (where the system makes one for this user), else the private directory fallback.
//
//   - env does not count if it is not set, is relative, or is not ours (it survives su and sudo).
//   - env that is ours but cannot be used (it does not exist, or the path of a socket in it would
//     be too long) still means "not the usual place": it gets a private directory of its own, named
//     after its value, so that a second xrat that someone keeps apart never meets the first one.
//   - fallback does not follow TMPDIR, which differs between a terminal, a service and a desktop
//     session of one user.
func runtimeDir(env, standard, fallback string) (string, error) {
	chosen := standard
	if filepath.IsAbs(env) && !foreign(env) {
		chosen = filepath.Clean(env)
	}
	dir := filepath.Join(chosen, appName, subfolder("run"))
	if !isOurDir(chosen) || len(filepath.Join(dir, socketName)) > maxSocketPath {
		dir = fallback
		if chosen != standard {
			sum := sha256.Sum256([]byte(chosen))
			dir = fmt.Sprintf("%s-%x", fallback, sum[:6])
		}
	}
	if n := len(filepath.Join(dir, socketName)); n > maxSocketPath {
		return "", fmt.Errorf("finding a place for the socket: %s is too long for the path of a socket (%d bytes, at most %d); set XDG_RUNTIME_DIR to a short directory of yours",
			filepath.Join(dir, socketName), n, maxSocketPath)
	}
	if err := checkDir(dir); err != nil {
		return "", &DirError{Purpose: "runtime", Path: dir, Err: err}
	}
	return dir, nil
}

// foreign reports whether path exists and belongs to another user.
func foreign(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !isOurs(info)
}

// isOurDir reports whether path is a directory that belongs to this user.
func isOurDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir() && isOurs(info)
}

// DirError is a directory that cannot be used.
type DirError struct {
	Purpose string // "data", "state" or "runtime"
	Path    string
	Err     error
}

// Error names the directory and the reason.
func (e *DirError) Error() string {
	return fmt.Sprintf("preparing the %s directory %s: %v", e.Purpose, e.Path, e.Err)
}

// Unwrap returns the reason.
func (e *DirError) Unwrap() error { return e.Err }

// Prepare creates the directories for data, state and runtime that are missing, and takes all
// access to them from others. It refuses directories that are symbolic links or belong to another
// user. The error joins a [*DirError] for each directory that cannot be used; the others are ready.
// Only the daemon calls it: clients need no directories.
func (p Paths) Prepare() error {
	var errs []error
	for _, dir := range []struct{ purpose, path string }{
		{"data", p.DataDir}, {"state", p.StateDir}, {"runtime", p.RuntimeDir},
	} {
		if err := prepareDir(dir.path); err != nil {
			errs = append(errs, &DirError{Purpose: dir.purpose, Path: dir.path, Err: err})
		}
	}
	return errors.Join(errs...)
}

func prepareDir(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	// Mkdir does not follow a symbolic link of that name.
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := checkDir(path); err != nil {
		return err
	}
	return tighten(path)
}

// checkDir returns why path cannot be a directory of ours, and nil if it can or does not exist yet.
func checkDir(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&os.ModeSymlink != 0:
		return errors.New("it is a symbolic link, which could lead anywhere; replace it by a real directory, or point the XDG variable at the place that it leads to")
	case !info.IsDir():
		return errors.New("it is not a directory; move that file away")
	case !isOurs(info):
		return errors.New("it belongs to another user, who could read and change everything in it; have it removed, or point the XDG variable at a directory of yours")
	}
	return nil
}
