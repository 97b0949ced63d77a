//go:build unix

package settings

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// shortTemp is a directory whose path leaves room for a socket; that of t.TempDir need not.
func shortTemp(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "xs")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// foreignDir is a directory of another user: one given away, or for those who cannot give anything
// away the root directory.
func foreignDir(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		return "/"
	}
	dir := filepath.Join(shortTemp(t), "foreign")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(dir, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	return dir
}

func mkdir(t *testing.T, mode os.FileMode, parts ...string) string {
	t.Helper()
	dir := filepath.Join(parts...)
	if err := os.MkdirAll(dir, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, mode); err != nil { // whatever the umask is
		t.Fatal(err)
	}
	return dir
}

func TestFindPaths(t *testing.T) {
	root := shortTemp(t)
	run := mkdir(t, 0o700, root, "run")
	t.Setenv("HOME", filepath.Join(root, "home"))
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(root, "config"))
	t.Setenv("XDG_DATA_HOME", filepath.Join(root, "data"))
	t.Setenv("XDG_STATE_HOME", "relative/is/ignored")
	t.Setenv("XDG_RUNTIME_DIR", run)

	got, err := FindPaths()
	if err != nil {
		t.Fatal(err)
	}
	data, state, runtime := "data/xrat", "home/.local/state/xrat", "run/xrat"
	if subfolder("x") != "" { // macOS
		data, state, runtime = data+"/data", "home/Library/Application Support/xrat/state", runtime+"/run"
	}
	want := Paths{
		ConfigFile: filepath.Join(root, "config/xrat/settings.toml"),
		DataDir:    filepath.Join(root, data),
		StateDir:   filepath.Join(root, state),
		RuntimeDir: filepath.Join(root, runtime),
		Socket:     filepath.Join(root, runtime, "xrat.sock"),
		Lock:       filepath.Join(root, runtime, "xrat.lock"),
		DaemonLog:  filepath.Join(root, state, "daemon.log"),
		CoreLog:    filepath.Join(root, state, "core.log"),
		FrontLog:   filepath.Join(root, state, "front.log"),
	}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if _, err := os.Lstat(got.RuntimeDir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("FindPaths made something: %v", err)
	}
}

func TestFindPathsWithoutHome(t *testing.T) {
	t.Setenv("HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("XDG_DATA_HOME", "/somewhere/data")
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("XDG_RUNTIME_DIR", mkdir(t, 0o700, shortTemp(t), "run"))
	got, err := FindPaths()
	if err != nil {
		if strings.Contains(err.Error(), "HOME") {
			return // an account that is in no user database: the way out is named
		}
		t.Fatal(err)
	}
	if dir := filepath.Dir(filepath.Dir(got.ConfigFile)); !strings.HasSuffix(dir, "/.config") || dir == "/.config" {
		t.Errorf("settings at %s, want them below the home of the user database", got.ConfigFile)
	}
	if got.DataDir != filepath.Join("/somewhere/data/xrat", subfolder("data")) {
		t.Errorf("data at %s: the variable is not used", got.DataDir)
	}
}

func TestFindPathsConcurrently(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", mkdir(t, 0o700, shortTemp(t), "run"))
	want, err := FindPaths()
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if got, err := FindPaths(); got != want || err != nil {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	group.Wait()
}

// TestFallbackIgnoresTMPDIR: a terminal and a service may have different ones.
func TestFallbackIgnoresTMPDIR(t *testing.T) {
	want := fallbackRuntimeDir()
	t.Setenv("TMPDIR", t.TempDir())
	if got := fallbackRuntimeDir(); got != want || !strings.HasSuffix(got, "-"+strconv.Itoa(os.Geteuid())) {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestRuntimeDir(t *testing.T) {
	root := shortTemp(t)
	ours := mkdir(t, 0o700, root, "ours")
	standard := mkdir(t, 0o700, root, "standard")
	missing := filepath.Join(root, "missing")
	fallback := filepath.Join(root, "fallback")
	room := maxSocketPath - len(filepath.Join(root, "/", appName, subfolder("run"), socketName)) - len("/")
	long := mkdir(t, 0o700, root, strings.Repeat("x", room+1))
	longest := mkdir(t, 0o700, root, strings.Repeat("y", room))
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ownFallback := fallback + "-*"

	tests := []struct{ name, env, standard, want string }{
		{"set", ours, standard, ours + "/xrat"},
		{"set, with a slash", ours + "/", standard, ours + "/xrat"},
		{"as long as can be", longest, standard, longest + "/xrat"},
		{"unset", "", standard, standard + "/xrat"},
		{"relative", "ours", standard, standard + "/xrat"},
		{"of another user", foreignDir(t), standard, standard + "/xrat"},
		{"unset, no standard", "", missing, fallback},
		{"set to a standard that is not there", missing, missing, fallback},
		{"of another user, no standard", foreignDir(t), missing, fallback},
		{"unset, standard of another user", "", foreignDir(t), fallback},
		{"too long", long, standard, ownFallback},
		{"missing", missing, standard, ownFallback},
		{"a file", file, standard, ownFallback},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := runtimeDir(test.env, test.standard, fallback)
			if err != nil {
				t.Fatal(err)
			}
			if matched, _ := filepath.Match(test.want, strings.TrimSuffix(got, "/run")); !matched {
				t.Errorf("got %s, want %s", got, test.want)
			}
			again, _ := runtimeDir(test.env, test.standard, fallback)
			if again != got {
				t.Errorf("got %s, then %s", got, again)
			}
		})
	}

	a, _ := runtimeDir(missing+"a", standard, fallback)
	b, _ := runtimeDir(missing+"b", standard, fallback)
	if a == b {
		t.Errorf("two places share %s", a)
	}
	if _, err := runtimeDir(long, standard, filepath.Join(root, strings.Repeat("z", 100))); err == nil ||
		!strings.Contains(err.Error(), "XDG_RUNTIME_DIR") || strings.Contains(err.Error(), "\n") {
		t.Errorf("a fallback that is too long: %v", err)
	}
}

// TestRuntimeDirRefuses: a client must not talk to a socket in such a place.
func TestRuntimeDirRefuses(t *testing.T) {
	root := shortTemp(t)
	link := filepath.Join(root, "link")
	if err := os.Symlink(mkdir(t, 0o700, root, "target"), link); err != nil {
		t.Fatal(err)
	}
	for fallback, want := range map[string]string{link: "symbolic link", foreignDir(t): "another user"} {
		_, err := runtimeDir("", filepath.Join(root, "missing"), fallback)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), fallback) {
			t.Errorf("%s: got %v, want it to name the place and say %q", fallback, err, want)
		}
	}
}

func TestPrepare(t *testing.T) {
	// With this umask only what the code asks for keeps others out.
	defer syscall.Umask(syscall.Umask(0))
	root := shortTemp(t)
	paths := Paths{
		DataDir:    filepath.Join(root, "a", "b", "xrat"),
		StateDir:   mkdir(t, 0o777, root, "state"),
		RuntimeDir: mkdir(t, 0o500, root, "run"),
	}
	for range 2 {
		if err := paths.Prepare(); err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{paths.DataDir, filepath.Dir(paths.DataDir), paths.StateDir, paths.RuntimeDir} {
			info, err := os.Lstat(dir)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode() != os.ModeDir|0o700 {
				t.Errorf("%s has mode %v, want 0700", dir, info.Mode())
			}
		}
	}
}

func TestPrepareRefuses(t *testing.T) {
	root := shortTemp(t)
	target := mkdir(t, 0o755, root, "target")
	link := filepath.Join(root, "link")
	if err := os.Symlink(target, link); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	state := filepath.Join(root, "state")

	tests := []struct{ name, dir, want string }{
		{"symbolic link", link, "symbolic link"},
		{"file", file, "not a directory"},
		{"below a file", filepath.Join(file, "xrat"), "not a directory"},
		{"another user's", foreignDir(t), "another user"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := Paths{DataDir: test.dir, StateDir: state, RuntimeDir: state}.Prepare()
			dirErr, ok := errors.AsType[*DirError](err)
			if !ok || dirErr.Purpose != "data" || dirErr.Path != test.dir || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("got %v, want a *DirError for data that says %q", err, test.want)
			}
			if _, err := os.Stat(state); err != nil {
				t.Errorf("the other directories are not ready: %v", err)
			}
		})
	}
	if info, err := os.Stat(target); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the target of the link was touched: %v, %v", info.Mode(), err)
	}
	if data, err := os.ReadFile(file); string(data) != "precious" {
		t.Errorf("the file was touched: %q, %v", data, err)
	}
	err := Paths{DataDir: link, StateDir: file, RuntimeDir: state}.Prepare()
	if text := fmt.Sprint(err); !strings.Contains(text, link) || !strings.Contains(text, file) {
		t.Errorf("not every problem is named: %v", err)
	}
}
