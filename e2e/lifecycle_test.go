//go:build linux

package e2e

import (
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/lab"
)

func TestRacingStarts(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	for round := range 10 {
		b.ok("daemon", "stop")
		const starts = 3
		results := make([]result, starts)
		var wg sync.WaitGroup
		for i := range starts {
			wg.Go(func() { results[i] = b.run("daemon", "start") })
		}
		wg.Wait()
		pid := fmt.Sprintf("(pid: %d)", b.status().Daemon.PID)
		for _, r := range results {
			if r.code != 0 || !strings.Contains(r.out, pid) {
				t.Errorf("round %d: exit code %d, %q, %q; want %s", round, r.code, r.out, r.err, pid)
			}
		}
		for range 300 {
			if len(b.daemons()) == 1 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		if daemons := b.daemons(); len(daemons) != 1 {
			t.Errorf("round %d: daemons %v", round, daemons)
		}
	}
}

// daemons lists the daemon processes of this box.
func (b *box) daemons() []int {
	b.t.Helper()
	var pids []int
	entries, err := os.ReadDir("/proc")
	must(b.t, err)
	for _, e := range entries {
		var pid int
		if _, err := fmt.Sscan(e.Name(), &pid); err != nil || !b.isOurs(pid) {
			continue
		}
		cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if strings.Contains(string(cmdline), "run-server") && strings.Contains(string(environ), "XDG_RUNTIME_DIR="+b.dir+"/run\x00") {
			pids = append(pids, pid)
		}
	}
	return pids
}

// Any program can be a client: with a newline and an open connection, or with a half-close and no
// newline.
func TestRawClients(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.ok("daemon", "start")
	for _, test := range []struct {
		name, request string
		half          bool
		want          string
	}{
		{"newline", `{"protocol_version":1,"request":{"type":"daemon_ping"}}` + "\n", false, `{"protocol_version":1,"ok":true,"code":"ok","message":"pong","payload":{"daemon_ready":true,`},
		{"half-close", `{"protocol_version":1,"request":{"type":"daemon_ping"}}`, true, `{"protocol_version":1,"ok":true,"code":"ok","message":"pong","payload":{"daemon_ready":true,`},
		{"other version", `{"protocol_version":7,"request":{"type":"daemon_ping"}}` + "\n", false, `{"protocol_version":1,"ok":false,"code":"invalid_state",`},
		{"not connected", `{"protocol_version":1,"request":{"type":"runtime_replace","trigger":"manual"}}`, true, `{"protocol_version":1,"ok":false,"code":"invalid_state",`},
		{"no config", `{"protocol_version":1,"request":{"type":"runtime_connect","config_id":77}}`, true, `{"protocol_version":1,"ok":false,"code":"not_found",`},
		{"garbage", "\x00\xff{{{\n", false, `{"protocol_version":1,"ok":false,"code":"invalid_state",`},
		{"status", `{"protocol_version":1,"request":{"type":"runtime_status"}}`, true, `"payload":{"daemon_ready":true,"runtime_owned":false,"runtime_status":"stopped","session_id":null,"active_config_id":null,"pid_running":false,"http_api_enabled":false,"http_api_addr":null`},
		{"proxy status", `{"protocol_version":1,"request":{"type":"proxy_status"}}`, true, `"payload":{"daemon_ready":true,"rotation_enabled":true,"interval_secs":0,"health_trigger_enabled":true,"cooldown_secs":300,"active_config_id":null,"last_trigger":null,"last_result":"none","last_candidate_config_id":null,"last_candidate_result":"none","cooldown_active":false,"next_timer_epoch_secs":null`},
		{"proxy stop", `{"protocol_version":1,"request":{"type":"proxy_stop"}}`, true, `"payload":{"rotation_enabled":false}`},
		{"disconnect", `{"protocol_version":1,"request":{"type":"runtime_disconnect"}}`, true, `"payload":{"stopped_session":false}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			conn, err := net.Dial("unix", b.path("run/xrat/xrat.sock"))
			must(t, err)
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, err = io.WriteString(conn, test.request)
			must(t, err)
			if test.half {
				must(t, conn.(*net.UnixConn).CloseWrite())
			}
			reply, err := io.ReadAll(conn)
			must(t, err)
			if got := string(reply); !strings.Contains(got, test.want) || strings.Count(got, "\n") != 1 {
				t.Errorf("got %q, want one line with %q", got, test.want)
			}
		})
	}
}

func TestStoppedDaemonIsReported(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.ok("daemon", "start")
	pid := b.status().Daemon.PID
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	defer syscall.Kill(pid, syscall.SIGCONT)
	r := b.run("status")
	if r.code != 1 || !strings.Contains(r.err, "does not answer") {
		t.Errorf("exit code %d, %q", r.code, r.err)
	}
}

// A daemon that does not answer is replaced, and its core taken over.
func TestSilentDaemonIsReplaced(t *testing.T) {
	t.Parallel()
	for name, silence := range map[string]func(b *box, pid int) error{
		"stopped":     func(_ *box, pid int) error { return syscall.Kill(pid, syscall.SIGSTOP) },
		"socket gone": func(b *box, _ int) error { return os.Remove(b.path("run/xrat/xrat.sock")) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "")
			b.serve(lab.VLESS)
			b.ok("connect")
			before := b.status()
			must(t, silence(b, before.Daemon.PID))
			b.ok("daemon", "restart")
			b.gone(before.Daemon.PID)
			after := b.await("the session", 10*time.Second, connected)
			if after.Daemon.PID == before.Daemon.PID {
				t.Error("it is the same daemon")
			}
			b.exit()
			if cores := b.cores(); len(cores) != 1 {
				t.Errorf("cores %v run", cores)
			}
		})
	}
}

// A start while the daemon before it is still ending waits for that.
func TestStartDuringAStop(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	before := b.status()
	must(t, syscall.Kill(before.Session.PID, syscall.SIGSTOP)) // its core takes a while to end
	must(t, syscall.Kill(before.Daemon.PID, syscall.SIGTERM))
	b.awaitStopping()
	b.ok("daemon", "start")
	after := b.await("a session", 20*time.Second, connected)
	if after.Daemon.PID == before.Daemon.PID {
		t.Error("it is the same daemon")
	}
	b.gone(before.Session.PID)
}

// awaitStopping waits until the daemon has noticed that it is to end: a signal is not there at
// once, and until then a start rightly finds that a daemon runs.
func (b *box) awaitStopping() {
	b.t.Helper()
	for range 1000 {
		if ping, err := b.client().Ping(b.t.Context()); err != nil || !ping.DaemonReady {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	b.t.Fatal("the daemon does not heed SIGTERM")
}

// A disconnect ends also a core that stands still.
func TestDisconnectEndsAFrozenCore(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	pid := b.status().Session.PID
	must(t, syscall.Kill(pid, syscall.SIGSTOP))
	r := b.run("disconnect")
	if r.code != 0 {
		t.Errorf("exit code %d: %s", r.code, r.err)
	}
	b.gone(pid)
	if cores := b.cores(); len(cores) > 0 {
		t.Errorf("cores %v run", cores)
	}
	if conn, err := net.Dial("tcp", b.socks); err == nil {
		conn.Close()
		t.Error("the front is open after a disconnect")
	}
}
