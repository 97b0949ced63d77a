//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
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

// A real file system is full, and stays so over the end of the daemon.
func TestApplicationsDoNotNoticeAFullDisk(t *testing.T) {
	b := newBox(t, "")
	inside := smallDisk(t, b)
	if inside == nil {
		return
	}
	inside("daemon start")
	b.serve(lab.VLESS, lab.VLESS)
	b.ok("tag", "s1", "mine")
	b.ok("connect", "s1")
	b.exit()
	// As the daemon sees it.
	folder := func() string { return fmt.Sprintf("/proc/%d/root%s/xrat", b.status().Daemon.PID, b.path("data")) }
	fill := func() {
		file, err := os.Create(filepath.Join(folder(), "junk"))
		must(t, err)
		defer file.Close()
		for err == nil {
			_, err = file.Write(make([]byte, 4096))
		}
	}
	load := b.startLoad(50, 3)
	fill()
	for range 5 {
		b.ok("rotate") // needs no disk
		b.fails(1, "not enough disk space", "tag", "s2", "lost")
	}
	must(t, os.Remove(filepath.Join(folder(), "junk")))
	b.eventually("it writes again", func() bool { return b.run("tag", "s2", "later").code == 0 })
	// The core of a session without a record would not be found again.
	var before ipc.StatusPayload
	b.eventually("a session that is recorded", func() bool {
		b.ok("rotate")
		before = b.status()
		return before.Session.ID > 0
	})
	fill()
	junk, err := os.OpenFile(filepath.Join(folder(), "junk"), os.O_WRONLY, 0)
	must(t, err)
	defer junk.Close()
	b.kill9(before.Daemon.PID)
	b.exit() // by the data plane; there is no daemon, as no store can be opened
	if said := inside("daemon start"); !strings.Contains(said, "not enough disk space") {
		t.Errorf("nobody is told: %q", said)
	}
	b.exit()
	must(t, junk.Truncate(0))
	b.follows(before)
	load.stop()
	load.check(t)
	var configs []ipc.ConfigPayload
	b.into(&configs, "list")
	if len(configs) != 2 || len(configs[0].Tags) != 1 || len(configs[1].Tags) != 1 {
		t.Errorf("%+v", configs)
	}
}

// smallDisk puts the data of a box on a file system of its own, which only processes have that are
// started inside: by the function, which returns what a command has said. It is nil where that
// cannot be.
func smallDisk(t *testing.T, b *box) (inside func(command string) (said string)) {
	t.Helper()
	const end = "(done)\n"
	shell := exec.Command("/bin/sh", "-c",
		`mount -t tmpfs -o size=8m none "$XDG_DATA_HOME" && echo "(done)" && while read -r args; do "$0" $args 2>&1; echo "(done)"; done`, b.program)
	shell.Env = b.env
	shell.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
		UidMappings: []syscall.SysProcIDMap{{HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{HostID: os.Getgid(), Size: 1}},
	}
	in, err := shell.StdinPipe()
	must(t, err)
	out, err := shell.StdoutPipe()
	must(t, err)
	answer := func() (string, error) {
		var said []byte
		for one := make([]byte, 1); !strings.HasSuffix(string(said), end); said = append(said, one...) {
			if _, err := out.Read(one); err != nil {
				return string(said), err
			}
		}
		return strings.TrimSuffix(string(said), end), nil
	}
	if err := shell.Start(); err != nil {
		t.Logf("no private file system here (%v): the store's TestFullDisk has to do", err)
		return nil
	}
	t.Cleanup(func() {
		in.Close()
		shell.Wait()
	})
	if _, err := answer(); err != nil {
		t.Log("no private file system here: the store's TestFullDisk has to do")
		return nil
	}
	return func(command string) string {
		t.Helper()
		fmt.Fprintln(in, command)
		said, err := answer()
		must(t, err)
		return said
	}
}
