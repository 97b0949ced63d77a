//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
)

// What becomes of the store and of the daemon is nothing to applications, and nothing is lost.
func TestApplicationsDoNotNoticeTheStore(t *testing.T) {
	for name, happens := range map[string]func(*testing.T, *box) (told string){
		// As when the machine has none left: not even the store can be opened.
		"no descriptors": func(t *testing.T, b *box) string {
			pid := b.status().Daemon.PID
			entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
			must(t, err)
			var limit unix.Rlimit
			must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit))
			must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: uint64(len(entries)) + 1, Max: limit.Max}, nil))
			for range 20 {
				b.run("rotate")
				b.run("list")
				b.run("status")
			}
			must(t, unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil))
			return ""
		},
		"a file has become a directory": func(t *testing.T, b *box) string {
			between(b, func() {
				must(t, os.Remove(b.path("data/xrat/db/MANIFEST")))
				must(t, os.Mkdir(b.path("data/xrat/db/MANIFEST"), 0o700))
			})
			return "restored"
		},
		"the database has become a file": func(t *testing.T, b *box) string {
			between(b, func() {
				must(t, os.RemoveAll(b.path("data/xrat/db")))
				must(t, os.WriteFile(b.path("data/xrat/db"), []byte("x"), 0o600))
			})
			return "restored"
		},
		"the database is gone": func(t *testing.T, b *box) string {
			between(b, func() { must(t, os.RemoveAll(b.path("data/xrat/db"))) })
			return "restored"
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "")
			b.serve(lab.VLESS, lab.VLESS)
			b.ok("tag", "s1", "mine")
			b.ok("connect", "s1")
			b.exit()
			b.eventually("an export", func() bool {
				exports, _ := filepath.Glob(b.path("data/xrat/export*"))
				return len(exports) > 0
			})
			before := b.status()
			load := b.startLoad(50, 3)
			told := happens(t, b)
			var after ipc.StatusPayload
			b.eventually("a daemon has the session", func() (there bool) {
				p, err := b.client().Status(t.Context())
				after, there = p, err == nil && p.Session != nil
				return there
			})
			b.exit()
			load.stop()
			load.check(t)
			if after.Session.PID != before.Session.PID && name != "no descriptors" {
				t.Errorf("core %d after %d", after.Session.PID, before.Session.PID)
			}
			if told != "" && !strings.Contains(strings.Join(after.Warnings, "\n"), told) {
				t.Errorf("nobody is told: %q", after.Warnings)
			}
			var configs []ipc.ConfigPayload
			b.into(&configs, "list")
			if len(configs) != 2 || configs[0].Name != "s1" || len(configs[0].Tags) != 1 {
				t.Errorf("%+v", configs)
			}
		})
	}
}

// between kills the daemon and does something before the data plane starts the next one.
func between(b *box, do func()) {
	b.t.Helper()
	daemon := b.status().Daemon.PID
	planes := b.planes()
	for _, pid := range planes {
		must(b.t, syscall.Kill(pid, syscall.SIGSTOP))
	}
	b.kill9(daemon)
	do()
	for _, pid := range planes {
		must(b.t, syscall.Kill(pid, syscall.SIGCONT))
	}
}
