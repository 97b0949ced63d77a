//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
)

// planes are the pids of the box's data planes.
func (b *box) planes() (pids []int) {
	b.t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(b.t, err)
	for _, path := range all {
		text, _ := os.ReadFile(path) // empty for one that has just ended
		if strings.Contains(string(text), "run-front") && strings.Contains(string(text), b.path("run")+"/") {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			must(b.t, err)
			pids = append(pids, pid)
		}
	}
	return pids
}

// killAllButCore kills the daemon and the data plane at the same moment, so that neither starts the
// other again.
func (b *box) killAllButCore(before ipc.StatusPayload) {
	b.t.Helper()
	all := append(b.planes(), before.Daemon.PID)
	for _, pid := range all {
		must(b.t, syscall.Kill(pid, syscall.SIGSTOP))
	}
	for _, pid := range all {
		b.kill9(pid)
	}
}

// follows waits until another daemon than that of before answers, and checks that it has the same
// session, core and counters.
func (b *box) follows(before ipc.StatusPayload) ipc.StatusPayload {
	b.t.Helper()
	var now ipc.StatusPayload
	b.eventually("another daemon has the session", func() (there bool) {
		p, err := b.client().Status(b.t.Context())
		now, there = p, err == nil && p.Daemon.PID != before.Daemon.PID && p.Session != nil
		return there
	})
	if now.Session.ID != before.Session.ID || now.Session.PID != before.Session.PID || now.Traffic.Connections < before.Traffic.Connections ||
		now.Traffic.DownBytes < before.Traffic.DownBytes {
		b.t.Errorf("before %+v %+v, after %+v %+v", before.Session, before.Traffic, now.Session, now.Traffic)
	}
	return now
}

// dies kills the daemon and waits for the next one, which nobody here starts.
func (b *box) dies() {
	b.t.Helper()
	before := b.await("the session", 20*time.Second, connected)
	b.kill9(before.Daemon.PID)
	b.follows(before)
}

func (b *box) restarts() {
	b.t.Helper()
	before := b.await("the session", 20*time.Second, connected)
	b.ok("daemon", "restart")
	b.follows(before)
}

// Whatever happens to the daemon, applications notice nothing.
func TestApplicationsDoNotNoticeTheDaemon(t *testing.T) {
	for name, happens := range map[string]func(*box){
		"killed":    (*box).dies,
		"restarted": (*box).restarts,
		"upgraded": func(b *box) {
			b.program = map[string]string{programs.xrat: programs.failing, programs.failing: programs.xrat}[b.program]
			b.restarts()
		},
		"replaced while it hangs": func(b *box) {
			before := b.await("the session", 20*time.Second, connected)
			must(b.t, syscall.Kill(before.Daemon.PID, syscall.SIGSTOP))
			b.ok("daemon", "restart")
			b.follows(before)
		},
		"stopped for a while": func(b *box) {
			before := b.status()
			must(b.t, syscall.Kill(before.Daemon.PID, syscall.SIGSTOP))
			time.Sleep(2 * time.Second)
			must(b.t, syscall.Kill(before.Daemon.PID, syscall.SIGCONT))
			b.await("the session", 20*time.Second, connected)
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "")
			b.serve(lab.VLESS, lab.VLESS)
			b.ok("connect")
			b.exit()
			datagrams := b.associate()
			exit := datagrams.exit()
			load := b.startLoad(50, 5)
			for range 2 { // the third death in a row would have to wait
				time.Sleep(300 * time.Millisecond)
				happens(b)
				if got := datagrams.exit(); got != exit {
					t.Errorf("datagrams left through %q, and now through %q", exit, got)
				}
			}
			time.Sleep(300 * time.Millisecond)
			load.stop()
			load.check(t)
			if load.sent.Load() < 50 {
				t.Errorf("%d requests show nothing", load.sent.Load())
			}
		})
	}
}

// A server that dies while nobody watches it is replaced by the standby for whoever connects.
func TestRescueNeedsNoDaemon(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS, lab.VLESS)
	b.ok("connect", "s1")
	b.await("a standby", 30*time.Second, func(p ipc.StatusPayload) bool { return p.Standby != nil })
	b.exit()
	daemon := b.status().Daemon.PID
	must(t, syscall.Kill(daemon, syscall.SIGSTOP))
	must(t, b.servers[0].Kill())
	for range 10 {
		if got := b.exit(); got != "s2" {
			t.Errorf("traffic leaves through %s", got)
		}
	}
	must(t, syscall.Kill(daemon, syscall.SIGCONT))
	b.await("the rotation", 30*time.Second, func(p ipc.StatusPayload) bool { return connected(p) && p.Session.ConfigName == "s2" })
}

// A data plane that is killed is there again at once; nobody is refused meanwhile, and nobody else
// gets its port.
func TestDataPlaneKilled(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	b.exit()
	before := b.status()
	var knocking sync.WaitGroup
	var refused, taken, tries atomic.Int64
	stop := make(chan struct{})
	knocking.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			tries.Add(1)
			conn, err := net.Dial("tcp", b.socks)
			if errors.Is(err, syscall.ECONNREFUSED) {
				refused.Add(1)
			}
			if err == nil {
				conn.Close()
			}
			if l, err := net.Listen("tcp", b.socks); err == nil {
				taken.Add(1)
				l.Close()
			}
		}
	})
	for range 3 {
		old := b.planes()
		if len(old) != 1 {
			t.Fatalf("data planes %v", old)
		}
		b.kill9(old[0])
		b.exit()
	}
	close(stop)
	knocking.Wait()
	if refused.Load() > 0 || tries.Load() == 0 {
		t.Errorf("%d of %d connections were refused", refused.Load(), tries.Load())
	}
	if n := taken.Load(); n > 0 {
		t.Errorf("somebody else could take the port %d times", n)
	}
	if now := b.status(); now.Session.ID != before.Session.ID || now.Session.PID != before.Session.PID || now.Traffic.Connections < 1 {
		t.Errorf("before %+v, after %+v %+v", before.Session, now.Session, now.Traffic)
	}
}

// All but the core is killed at once: a start brings everything back, with the same session.
func TestEverythingButTheCoreKilled(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	b.exit()
	before := b.status()
	b.killAllButCore(before)
	b.ok("daemon", "start")
	b.exit()
	b.await("the session", 20*time.Second, connected)
	if now := b.status(); now.Session.ID != before.Session.ID || now.Session.PID != before.Session.PID {
		t.Errorf("before %+v, after %+v", before.Session, now.Session)
	}
	b.ok("disconnect")
	b.eventually("no data plane is left", func() bool { return len(b.planes()) == 0 })
}

// After a stop nothing runs and nothing comes back, also when the daemon had just been killed.
func TestStopAfterACrash(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	for range 2 {
		b.ok("daemon", "start")
		before := b.await("the session", 20*time.Second, connected)
		b.kill9(before.Daemon.PID)
		b.ok("daemon", "stop")
		if left := b.planes(); len(left) > 0 {
			t.Errorf("data planes %v are left", left)
		}
		if b.fails(3, "not running", "status"); syscall.Kill(before.Session.PID, 0) == nil {
			b.gone(before.Session.PID)
		}
		time.Sleep(300 * time.Millisecond)
		b.fails(3, "not running", "status")
	}
	// One that hangs so that it has to be killed.
	b.ok("daemon", "start")
	b.await("the session", 20*time.Second, connected)
	hangs := b.status()
	must(t, syscall.Kill(hangs.Daemon.PID, syscall.SIGSTOP))
	time.AfterFunc(100*time.Millisecond, func() { syscall.Kill(hangs.Daemon.PID, syscall.SIGKILL) })
	b.ok("daemon", "stop")
	time.Sleep(300 * time.Millisecond)
	if b.fails(3, "not running", "status"); len(b.planes()) > 0 {
		t.Errorf("data planes %v are left", b.planes())
	}
}

// Changed settings become effective without a break, the addresses included; a mistake changes
// nothing.
func TestReload(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	b.exit()
	before := b.status()
	health := fmt.Sprintf("urls = [%q]\n", b.lab.Origin().URL("/generate_204"))
	load := b.startLoad(50, 5)
	b.settings(health+"threshold = \"many\"\n", "")
	b.fails(6, "threshold", "daemon", "reload")
	must(t, syscall.Kill(before.Daemon.PID, syscall.SIGHUP))
	time.Sleep(300 * time.Millisecond)
	if now := b.status(); now.Daemon.PID != before.Daemon.PID {
		t.Error("a mistake in the settings replaced the daemon")
	}
	b.settings(health, "[rotation]\nenabled = false\n")
	b.ok("daemon", "reload")
	if now := b.follows(before); now.Rotation.RotationEnabled {
		t.Error("the new settings are not in force")
	}
	// By the signal.
	before = b.status()
	b.settings(health, "")
	must(t, syscall.Kill(before.Daemon.PID, syscall.SIGHUP))
	if now := b.follows(before); !now.Rotation.RotationEnabled {
		t.Error("the signal does not bring the new settings")
	}
	load.stop()
	load.check(t)
	// The listeners move, and what came through the old ones stays.
	conn, err := b.dial(b.lab.Origin().HTTPAddress())
	must(t, err)
	defer conn.Close()
	old := b.socks
	b.socks = freeAddress(t)
	b.settings(health, "")
	b.ok("daemon", "reload")
	b.exit()
	if _, err := fmt.Fprintf(conn, "GET /exit HTTP/1.0\r\n\r\n"); err != nil {
		t.Error(err)
	}
	conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if text, err := io.ReadAll(conn); err != nil || !strings.Contains(string(text), "s1") {
		t.Errorf("the connection through the old address: %q, %v", text, err)
	}
	if c, err := net.Dial("tcp", old); err == nil {
		c.Close()
		t.Error("the old address is still open")
	}
	if now := b.status(); now.Session.ID != before.Session.ID || now.Inbounds[0].Address != b.socks {
		t.Errorf("session %+v, inbounds %+v", now.Session, now.Inbounds)
	}
}

// With its runtime directory removed, as at the end of a login session, a data plane that has lost
// its daemon cannot be found: it gives the ports back for the next one.
func TestRuntimeDirectoryRemoved(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	before := b.status()
	must(t, os.RemoveAll(b.path("run/xrat")))
	b.kill9(before.Daemon.PID)
	b.eventually("no data plane holds the ports", func() bool { return len(b.planes()) == 0 })
	b.ok("daemon", "start")
	if after := b.await("the session", 20*time.Second, connected); after.Session.PID != before.Session.PID {
		t.Error("the core was not taken over")
	}
	b.exit()
}

// Why a daemon has ended is in the status of the next one.
func TestReasonOfALossIsTold(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	before := b.await("the session", 20*time.Second, connected)
	must(t, syscall.Kill(before.Daemon.PID, syscall.SIGQUIT)) // the runtime's own crash
	after := b.follows(before)
	if d := after.Daemon; d.Losses != 1 || d.LossReason != "SIGQUIT: quit" {
		t.Errorf("%+v", d)
	}
	if len(after.Warnings) != 1 || !strings.Contains(after.Warnings[0], "ended unexpectedly and was started again: SIGQUIT: quit") {
		t.Errorf("%q", after.Warnings)
	}
	b.kill9(after.Daemon.PID) // without a word
	again := b.follows(after)
	if d := again.Daemon; d.Losses != 2 || d.LossReason != "" || !strings.Contains(again.Warnings[0], "2 times in a row") {
		t.Errorf("%+v, %q", d, again.Warnings)
	}
}
