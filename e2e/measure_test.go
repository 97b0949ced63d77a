//go:build linux

package e2e

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// variants returns n links for one server over WebSocket that count as different configs: each
// sends another host name, which the server ignores.
func variants(t testing.TB, s *lab.Server, name string, n int) []string {
	t.Helper()
	link, err := url.Parse(s.Link())
	must(t, err)
	var links []string
	for i := range n {
		query := link.Query()
		query.Set("host", fmt.Sprintf("%s-%d.example", name, i))
		link.RawQuery, link.Fragment = query.Encode(), fmt.Sprintf("%s-%d", name, i)
		links = append(links, link.String())
	}
	return links
}

// stock imports variants of servers of its own: n[i] of the i-th, which is then put into the state
// that its name tells.
func (b *box) stock(counts map[string]int) {
	b.t.Helper()
	var links []string
	for _, name := range []string{"alive", "killed", "frozen", "swallowed", "walled"} {
		if counts[name] == 0 {
			continue
		}
		server, err := b.lab.AddServer(name, lab.VLESSWS)
		must(b.t, err)
		links = append(links, variants(b.t, server, name, counts[name])...)
		switch name {
		case "killed":
			must(b.t, server.Kill())
		case "frozen":
			must(b.t, server.Freeze())
		case "swallowed":
			must(b.t, server.Blackhole())
		case "walled":
			must(b.t, server.DeadExit())
		}
	}
	b.okInput(strings.Join(links, "\n"), "import")
}

// testCores lists the cores that the box's tests run.
func (b *box) testCores() []int {
	b.t.Helper()
	found, err := xray.FindNonces(func(nonce string) bool { return strings.HasPrefix(nonce, "test-") })
	must(b.t, err)
	var pids []int
	for _, id := range found {
		if dir, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", id.PID)); err == nil && dir == b.path("run/xrat/core") {
			pids = append(pids, id.PID)
		}
	}
	return pids
}

// listed returns the stored configs by name.
func (b *box) listed() map[string]ipc.ConfigPayload {
	b.t.Helper()
	var configs []ipc.ConfigPayload
	must(b.t, json.Unmarshal([]byte(b.ok("list", "--json")), &configs))
	byName := make(map[string]ipc.ConfigPayload)
	for _, c := range configs {
		byName[c.Name] = c
	}
	return byName
}

// eventually polls for something that nothing announces.
func (b *box) eventually(what string, good func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !good(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("still not: %s", what)
		}
	}
}

// Each config gets the result that it deserves, while connected, too, and the connection does not
// notice.
func TestTestOfManyConfigs(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS, lab.Shadowsocks, lab.VMess, lab.Hysteria2, lab.VLESSWS)
	b.stock(map[string]int{"alive": 20, "killed": 4, "frozen": 4, "swallowed": 4, "walled": 4})
	const hostile = "\x1b]0;owned\x07\u202eevil"
	b.okInput(strings.Replace(variants(t, b.servers[4], "x", 1)[0], "#x-0", "#"+url.PathEscape(hostile), 1), "import")
	b.ok("connect", "s1")
	b.exit()
	session := b.status().Session
	load := b.startLoad(50, 2)

	out := b.ok("test", "--json", "--timeout", "2s")
	counts := map[string]int{}
	for line := range strings.Lines(out) {
		var r ipc.TestResultPayload
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		kind, _, _ := strings.Cut(r.ConfigName, "-")
		counts[kind+" "+r.Code]++
		if r.OK != (r.DelayMillis > 0) || r.OK != (r.Message == "") || r.OK && r.TCPMillis == 0 && r.Protocol != "hysteria2" {
			t.Errorf("%+v", r)
		}
	}
	for what, n := range map[string]int{
		"alive ok": 20, "killed unreachable": 4, "frozen timeout": 4, "swallowed unreachable": 4, "walled timeout": 4,
		"s1 ok": 1, "s2 ok": 1, "s3 ok": 1, "s4 ok": 1, "s5 ok": 1,
	} {
		if counts[what] != n {
			t.Errorf("%s: %d, want %d", what, counts[what], n)
		}
	}
	if n := strings.Count(out, "\n"); n != 42 {
		t.Errorf("%d results: %v", n, counts)
	}
	load.stop()
	load.check(t)
	if now := b.status().Session; now == nil || now.ID != session.ID {
		t.Errorf("the session was %+v and is %+v", session, now)
	}
	if cores := b.testCores(); len(cores) != 0 {
		t.Errorf("cores %v are left", cores)
	}
	// What was found out is known.
	configs := b.listed()
	for name, c := range configs {
		switch kind, _, _ := strings.Cut(name, "-"); kind {
		case "alive":
			if c.Successes == 0 || c.Failures != 0 || c.LatencyMillis == 0 {
				t.Errorf("%s: %+v", name, c)
			}
		case "killed", "frozen", "swallowed", "walled":
			if c.Successes != 0 || c.Failures == 0 || c.Rank <= 20 {
				t.Errorf("%s: %+v", name, c)
			}
		}
	}
	table := b.ok("test", "--tcp-only", "--timeout", "2s")
	if strings.ContainsAny(table, "\x1b\x07\u202e") || !strings.Contains(table, "evil") {
		t.Errorf("the table is not clean: %q", table)
	}
	if first := strings.Split(table, "\n")[1]; !strings.Contains(first, "ok") || strings.Contains(first, "killed") {
		t.Errorf("the best is not first: %s", first)
	}
	if !strings.Contains(table, "no_tcp") {
		t.Errorf("a server that speaks UDP has a TCP time:\n%s", table)
	}
}

func TestTestSpeed(t *testing.T) {
	b := newBox(t, "")
	b.stock(map[string]int{"alive": 2, "killed": 1})
	from := b.lab.Origin().URL("/bytes?n=5000000")
	var speeds []int64
	for line := range strings.Lines(b.ok("test", "--json", "--speed", "--speed-url", from)) {
		var r ipc.TestResultPayload
		must(t, json.Unmarshal([]byte(line), &r))
		speeds = append(speeds, r.SpeedBytes)
	}
	slices.Sort(speeds)
	if len(speeds) != 3 || speeds[0] != 0 || speeds[1] < 1_000_000 {
		t.Errorf("speeds %v", speeds)
	}
	table := b.ok("test", "--speed", "--speed-url", from, "alive-0", "alive-1")
	if !strings.Contains(table, "SPEED") || !strings.Contains(table, "MB/s") || !strings.Contains(table, "2 of 2 work") {
		t.Error(table)
	}
}

// Wrong arguments, and nothing that works, have codes of their own.
func TestTestExitCodes(t *testing.T) {
	b := newBox(t, "")
	b.fails(6, "no configs", "test")
	b.stock(map[string]int{"killed": 2})
	b.fails(1, "no config works", "test")
	if c := b.listed()["killed-0"]; c.Failures != 0 {
		t.Errorf("with nothing that works, %+v is blamed", c)
	}
	b.fails(4, "no config", "test", "nobody")
	b.fails(4, "no config", "test", "--tag", "none")
	b.fails(2, "one or the other", "test", "--all", "killed-0")
	b.fails(2, "one or the other", "test", "--speed", "--tcp-only")
	b.fails(2, "unknown --sort", "test", "--sort", "beauty")
	b.fails(6, "timeout", "test", "--timeout", "5ms")
	b.fails(6, "concurrency", "test", "--concurrency", "100000")
}

// startTest starts "xrat test --json" and returns once the first result is there.
func (b *box) startTest(args ...string) (cmd *exec.Cmd, rest func() string) {
	b.t.Helper()
	cmd = exec.Command(b.program, append([]string{"test", "--json"}, args...)...)
	cmd.Env = b.env
	out, err := cmd.StdoutPipe()
	must(b.t, err)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	must(b.t, cmd.Start())
	b.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	reader := bufio.NewReader(out)
	line, err := reader.ReadString('\n')
	if err != nil {
		b.t.Fatalf("xrat test: %v, %s", err, stderr.String())
	}
	return cmd, func() string {
		var text strings.Builder
		text.WriteString(line)
		_, _ = reader.WriteTo(&text)
		_ = cmd.Wait()
		return text.String()
	}
}

// Ctrl-C keeps what was measured, and the next test can begin at once; while one runs a second one
// cannot.
func TestTestInterrupted(t *testing.T) {
	b := newBox(t, "")
	b.stock(map[string]int{"alive": 5, "frozen": 20})
	cmd, rest := b.startTest("--timeout", "30s")
	b.fails(5, "another", "test", "alive-0")
	b.eventually("the living are measured", func() bool { return len(b.testCores()) == 1 })
	time.Sleep(500 * time.Millisecond) // more than they take; the frozen take 30 s
	began := time.Now()
	must(t, cmd.Process.Signal(os.Interrupt))
	out := rest()
	if code := cmd.ProcessState.ExitCode(); code != 130 {
		t.Errorf("exit code %d", code)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("it ended after %v", took)
	}
	measured := strings.Count(out, `"ok":true`)
	if measured == 0 || strings.Contains(out, "frozen") {
		t.Errorf("it printed %s", out)
	}
	kept := 0
	for _, c := range b.listed() {
		kept += c.Successes
		if c.Failures != 0 {
			t.Errorf("blamed: %+v", c)
		}
	}
	if kept != measured {
		t.Errorf("%d were measured and %d kept", measured, kept)
	}
	b.ok("test", "alive-0")
	if cores := b.testCores(); len(cores) != 0 {
		t.Errorf("cores %v are left", cores)
	}
}

// A client that is killed takes its test along.
func TestTestClientKilled(t *testing.T) {
	b := newBox(t, "")
	b.stock(map[string]int{"alive": 1, "frozen": 5})
	cmd, _ := b.startTest("--timeout", "30s")
	must(t, cmd.Process.Kill())
	b.eventually("the core is gone", func() bool { return len(b.testCores()) == 0 })
	b.ok("test", "alive-0")
}

// A daemon that is killed during a test leaves its core behind; the next one ends it, and takes
// over the one that serves.
func TestTestDaemonKilled(t *testing.T) {
	b := newBox(t, "")
	b.stock(map[string]int{"alive": 2, "frozen": 10})
	b.ok("connect", "alive-0")
	b.exit()
	before := b.status()
	_, rest := b.startTest("--timeout", "30s")
	b.eventually("the core of the test runs", func() bool { return len(b.testCores()) == 1 })
	b.kill9(before.Daemon.PID)
	rest()
	if len(b.testCores()) != 1 {
		t.Error("without a daemon, the core of the test is gone: this test shows nothing")
	}
	b.ok("daemon", "start")
	b.eventually("the core of the test is gone", func() bool { return len(b.testCores()) == 0 })
	if now := b.status().Session; now == nil || now.PID != before.Session.PID {
		t.Errorf("the session was %+v and is %+v", before.Session, now)
	}
}

// The daemon's end does not wait for a test.
func TestTestDuringAStop(t *testing.T) {
	b := newBox(t, "")
	b.stock(map[string]int{"alive": 1, "frozen": 5})
	cmd, rest := b.startTest("--timeout", "30s")
	if r := b.run("daemon", "stop"); r.code != 0 || r.took > 5*time.Second {
		t.Errorf("%+v", r)
	}
	rest()
	if code := cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if cores := b.testCores(); len(cores) != 0 {
		t.Errorf("cores %v are left", cores)
	}
}

// BenchmarkTest measures "xrat test" over many configs, and the memory of the daemon and of the
// test's core meanwhile.
func BenchmarkTest(b *testing.B) {
	for _, bench := range []struct {
		name   string
		counts map[string]int
	}{
		{"200", map[string]int{"alive": 200}},
		{"1000", map[string]int{"alive": 1000}},
		{"1000-half-refuse", map[string]int{"alive": 500, "killed": 500}},
		{"1000-half-swallowed", map[string]int{"alive": 500, "swallowed": 500}},
		{"1000-half-frozen", map[string]int{"alive": 500, "frozen": 500}},
	} {
		b.Run(bench.name, func(b *testing.B) {
			box := newBox(b, "")
			box.stock(bench.counts)
			daemon := box.status().Daemon.PID
			for b.Loop() {
				stop, watched := make(chan struct{}), make(chan struct{})
				var daemonMB, coreMB float64
				cores := 0
				go func() {
					defer close(watched)
					for {
						select {
						case <-stop:
							return
						case <-time.After(50 * time.Millisecond):
						}
						daemonMB = max(daemonMB, memoryMB(b, []int{daemon}))
						pids := box.testCores()
						cores = max(cores, len(pids))
						for _, pid := range pids {
							coreMB = max(coreMB, residentOrNone(pid))
						}
					}
				}()
				r := box.run("test", "--json")
				close(stop)
				<-watched
				if ok := strings.Count(r.out, `"ok":true`); r.code != 0 || ok != bench.counts["alive"] {
					b.Errorf("%d of %d work; exit code %d %s", ok, bench.counts["alive"], r.code, r.err)
				}
				b.ReportMetric(r.took.Seconds(), "s")
				b.ReportMetric(daemonMB, "MB-daemon")
				b.ReportMetric(coreMB, "MB-core")
				b.ReportMetric(float64(cores), "cores-at-once")
			}
		})
	}
}

// residentOrNone is the resident memory of a process that may have ended, in MB.
func residentOrNone(pid int) float64 {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	var kb float64
	for line := range strings.Lines(string(text)) {
		_, _ = fmt.Sscanf(line, "VmRSS: %f", &kb)
	}
	return kb / 1024
}
