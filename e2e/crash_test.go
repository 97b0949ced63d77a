//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
)

// A killed core is back with the same config before anybody gives up; requests made meanwhile wait.
func TestCoreKilled(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	for range 5 {
		before := b.status().Session
		load := b.startLoad(100, 0)
		time.Sleep(300 * time.Millisecond)
		load.stop()
		load.check(t)
		// Connections that begin after the death: none may fail.
		b.kill9(before.PID)
		began := time.Now()
		load = b.startLoad(100, 0)
		after := b.await("a new core", 10*time.Second, func(p ipc.StatusPayload) bool {
			return p.Session != nil && p.Session.PID != before.PID
		}).Session
		t.Logf("a new core after %v", time.Since(began))
		time.Sleep(300 * time.Millisecond)
		load.stop()
		load.check(t)
		if after.ConfigID != before.ConfigID || after.ReasonCode != "core_exited" {
			t.Errorf("session %+v", after)
		}
		if got := b.exit(); got != "s1" {
			t.Errorf("traffic leaves through %s", got)
		}
	}
}

// A killed daemon leaves the core alive, and the next one takes it over.
func TestDaemonKilled(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESSReality)
	b.ok("connect")
	b.exit()
	before := b.status()
	b.kill9(before.Daemon.PID)
	b.fails(3, "not running", "status")
	if err := syscall.Kill(before.Session.PID, 0); err != nil {
		t.Fatalf("the core died with the daemon: %v", err)
	}
	b.ok("daemon", "start")
	after := b.await("the session", 5*time.Second, connected)
	if after.Daemon.PID == before.Daemon.PID || after.Session.PID != before.Session.PID || after.Session.ID != before.Session.ID ||
		!after.Session.StartedAt.Equal(before.Session.StartedAt) {
		t.Errorf("before %+v, after %+v", before.Session, after.Session)
	}
	if got := b.exit(); got != "s1" {
		t.Errorf("traffic leaves through %s", got)
	}
	var sessions []ipc.SessionRecordPayload
	must(t, json.Unmarshal([]byte(b.ok("sessions", "--json")), &sessions))
	if len(sessions) != 1 || sessions[0].Status != "running" || sessions[0].Connections == 0 {
		t.Errorf("sessions %+v", sessions)
	}
	// The one taken over is watched, too.
	b.kill9(after.Session.PID)
	b.await("a new core", 10*time.Second, func(p ipc.StatusPayload) bool {
		return p.Session != nil && p.Session.PID != after.Session.PID
	})
	if got := b.exit(); got != "s1" {
		t.Errorf("traffic leaves through %s", got)
	}
}

// A core that stands still when the daemon comes back is ended, stopped or not.
func TestDaemonKilledAndCoreFrozen(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	before := b.status()
	b.kill9(before.Daemon.PID)
	must(t, syscall.Kill(before.Session.PID, syscall.SIGSTOP))
	b.ok("daemon", "start")
	after := b.await("a new session", 20*time.Second, connected)
	if after.Session.PID == before.Session.PID {
		t.Error("a frozen core was taken over")
	}
	b.gone(before.Session.PID)
	var sessions []ipc.SessionRecordPayload
	must(t, json.Unmarshal([]byte(b.ok("sessions", "--json")), &sessions))
	if len(sessions) != 2 || sessions[1].EndCode != "reattach_unhealthy" {
		t.Errorf("sessions %+v", sessions)
	}
}

func TestDesiredStateOutlivesTheDaemon(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS, lab.VLESS)
	b.ok("connect", "s2")
	b.ok("disconnect")
	b.ok("daemon", "restart")
	if p := b.status(); p.State != ipc.StateDisconnected || p.Session != nil {
		t.Errorf("after a disconnect and a restart: %+v", p)
	}
	// Without REF: the one used last.
	b.ok("connect")
	if got := b.exit(); got != "s2" {
		t.Errorf("traffic leaves through %s", got)
	}
	// A crash of everything while connected.
	before := b.status()
	b.kill9(before.Daemon.PID)
	b.kill9(before.Session.PID)
	b.ok("daemon", "start")
	after := b.await("a new session", 10*time.Second, connected)
	if after.Session.ConfigID != before.Session.ConfigID || after.Session.ID == before.Session.ID {
		t.Errorf("before %+v, after %+v", before.Session, after.Session)
	}
	// An orderly stop while connected, as at the end of a desktop session.
	must(t, syscall.Kill(after.Daemon.PID, syscall.SIGTERM))
	b.gone(after.Daemon.PID)
	b.gone(after.Session.PID)
	if _, err := os.Stat(b.path("run/xrat/xrat.sock")); err == nil {
		t.Error("the socket is left behind")
	}
	b.ok("daemon", "start")
	b.await("a new session", 10*time.Second, connected)
	b.ok("proxy", "stop")
	b.ok("daemon", "restart")
	if b.status().Rotation.RotationEnabled {
		t.Error("`proxy stop` was forgotten")
	}
}

// The daemon dies at the worst moments; the next one leaves one core and tells the truth.
func TestFailpoints(t *testing.T) {
	for _, point := range []string{"after-spawn", "before-probe", "after-swap"} {
		for _, command := range []string{"connect s1", "rotate"} {
			t.Run(point+" "+command, func(t *testing.T) {
				// A standby would come by the same points.
				b := newBox(t, "[rotation]\nstandby = false")
				b.program = programs.failing
				b.serve(lab.VLESS, lab.VLESS)
				connectedBefore := command == "rotate"
				if connectedBefore {
					b.ok("connect", "s1")
				}
				// The next daemon is armed. It takes the core over, if there is one, and so passes
				// the point only with the command.
				core := 0
				if connectedBefore {
					core = b.status().Session.PID
				}
				b.env = append(b.env, "XRAT_FAIL_AT="+point)
				b.ok("daemon", "restart")
				r := b.run(strings.Fields(command)...)
				if r.code == 0 {
					t.Fatalf("the daemon did not die: %s%s", r.out, r.err)
				}
				b.env = b.env[:len(b.env)-1]
				b.ok("daemon", "start")
				if connectedBefore {
					after := b.await("the session", 10*time.Second, connected)
					b.exit()
					if point != "after-swap" && after.Session.PID != core {
						t.Error("the session that served was given up for one that had not proven itself")
					}
				} else if p := b.status(); p.State != ipc.StateDisconnected {
					t.Errorf("never connected, and now %s", p.State)
				}
				var want []int
				if s := b.status().Session; s != nil {
					want = append(want, s.PID)
				}
				var cores []int
				for range 500 {
					if cores = b.cores(); len(cores) == len(want) {
						break
					}
					time.Sleep(10 * time.Millisecond)
				}
				if fmt.Sprint(cores) != fmt.Sprint(want) {
					t.Errorf("cores %v run; want %v", cores, want)
				}
				b.ok("disconnect")
				if cores := b.cores(); len(cores) > 0 {
					t.Errorf("after a disconnect cores %v run", cores)
				}
			})
		}
	}
}

// The daemon dies while it brings up a standby: the next one goes on with the session that serves,
// ends what it finds, and has a standby of its own.
func TestFailpointOfTheStandby(t *testing.T) {
	for _, point := range []string{"after-spawn", "before-probe"} {
		t.Run(point, func(t *testing.T) {
			b := newBox(t, "[rotation]\nstandby = false")
			b.program = programs.failing
			b.serve(lab.VLESS, lab.VLESS)
			b.ok("connect", "s1")
			core := b.await("the session", 10*time.Second, connected).Session.PID
			b.settings(fmt.Sprintf("urls = [%q]\n", b.lab.Origin().URL("/generate_204")), "")
			b.env = append(b.env, "XRAT_FAIL_AT="+point)
			b.run("daemon", "restart") // it may come by the point before it answers
			b.env = b.env[:len(b.env)-1]
			b.eventually("it has come by the point", func() bool {
				log, _ := os.ReadFile(b.path("state/xrat/front.log"))
				return strings.Contains(string(log), "without a word")
			})
			b.ok("daemon", "start")
			after := b.await("a standby", 10*time.Second, func(p ipc.StatusPayload) bool { return connected(p) && p.Standby != nil })
			if after.Session.PID != core {
				t.Error("the session that served was given up")
			}
			b.exit()
			var cores []int
			for range 500 {
				if cores = b.cores(); len(cores) == 2 {
					break
				}
				time.Sleep(10 * time.Millisecond)
			}
			if len(cores) != 2 || !slices.Contains(cores, core) || !slices.Contains(cores, after.Standby.PID) {
				t.Errorf("cores %v run; want %d and %d", cores, core, after.Standby.PID)
			}
			b.ok("disconnect")
			if cores := b.cores(); len(cores) > 0 {
				t.Errorf("after a disconnect cores %v run", cores)
			}
		})
	}
}

// cores lists the processes that were started as a core by this box's daemons.
func (b *box) cores() []int {
	b.t.Helper()
	var pids []int
	dirs, err := filepath.Glob("/proc/[0-9]*")
	must(b.t, err)
	for _, dir := range dirs {
		cwd, _ := os.Readlink(dir + "/cwd")
		environ, _ := os.ReadFile(dir + "/environ")
		stat, _ := os.ReadFile(dir + "/stat")
		if strings.HasPrefix(cwd, b.dir+"/run") && strings.Contains(string(environ), "XRAT_SESSION_NONCE=") && !strings.Contains(string(stat), ") Z ") {
			var pid int
			fmt.Sscan(filepath.Base(dir), &pid)
			pids = append(pids, pid)
		}
	}
	return pids
}
