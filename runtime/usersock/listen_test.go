package usersock

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// makeStale leaves a socket behind as a killed daemon does.
func makeStale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	must(t, err)
	l.SetUnlinkOnClose(false)
	l.Close()
}

func TestListenReplacesOnlyAStaleSocket(t *testing.T) {
	for name, test := range map[string]struct {
		make func(t *testing.T, path string)
		want string // "" when it is replaced
	}{
		"nothing":      {func(*testing.T, string) {}, ""},
		"stale socket": {makeStale, ""},
		"file":         {func(t *testing.T, p string) { must(t, os.WriteFile(p, []byte("precious"), 0o600)) }, "another kind"},
		"directory":    {func(t *testing.T, p string) { must(t, os.Mkdir(p, 0o700)) }, "directory"},
		"symlink": {func(t *testing.T, p string) {
			makeStale(t, p+".target")
			must(t, os.Symlink(p+".target", p))
		}, "symbolic link"},
		"live socket": {func(t *testing.T, p string) {
			l, err := net.Listen("unix", p)
			must(t, err)
			t.Cleanup(func() { l.Close() })
		}, "another program"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(socketDir(t), "s")
			test.make(t, path)
			before, _ := os.Lstat(path)
			l, err := Listen(path)
			if test.want == "" {
				must(t, err)
				defer l.Close()
				info, err := os.Lstat(path)
				must(t, err)
				if info.Mode().Perm() != 0o600 {
					t.Errorf("mode %v", info.Mode())
				}
				return
			}
			if err == nil {
				l.Close()
				t.Fatal("replaced")
			}
			if !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %q does not name %q and the path", err, test.want)
			}
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("the target was touched: %v", err)
			}
			if test.want == "another program" {
				return
			}
			if err := CheckFile(path, before); err == nil {
				t.Error("a client would take it for a socket of ours")
			}
		})
	}
}

// socketDir is like t.TempDir, whose path can be too long for a socket.
func socketDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sock")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
