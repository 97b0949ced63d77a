//go:build linux

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// programs are the paths of what is under test; TestMain sets them.
var programs struct{ xrat, failing, core string }

func TestMain(m *testing.M) {
	os.Exit(testMain(m))
}

func testMain(m *testing.M) int {
	core, err := xray.Locate(os.Getenv("XRAT_XRAY"))
	if err != nil {
		if core, err = filepath.Abs("../bin/xray"); err == nil {
			_, err = os.Stat(core)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "the tests need the real core: run `make build`, or set XRAT_XRAY:", err)
		return 1
	}
	programs.core = core
	dir, err := os.MkdirTemp("", "xrat-e2e")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	programs.xrat = filepath.Join(dir, "xrat")
	programs.failing = filepath.Join(dir, "xrat-failing")
	for path, tags := range map[string]string{programs.xrat: "", programs.failing: "failpoints"} {
		args := []string{"build", "-o", path, "-tags", tags, "-ldflags", "-X main.version=" + filepath.Base(path)}
		if raceDetector {
			args = append(args, "-race")
		}
		build := exec.Command("go", append(args, "../cmd/xrat")...)
		if said, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building xrat: %v\n%s", err, said)
			return 1
		}
	}
	return m.Run()
}

// box is one user's machine: directories of its own, a lab, and the programs.
type box struct {
	t       testing.TB
	dir     string
	program string
	env     []string
	socks   string // the front's addresses
	http    string
	lab     *lab.Lab
	servers []*lab.Server
}

// newBox makes an empty machine. settings are added to the file's defaults, which are the
// documented ones but for the ports and the URLs.
func newBox(t testing.TB, settings string) *box {
	t.Helper()
	dir, err := os.MkdirTemp("", "box") // t.TempDir can be too long for a socket
	must(t, err)
	b := &box{t: t, dir: dir, program: programs.xrat, socks: freeAddress(t), http: freeAddress(t)}
	b.env = []string{
		"HOME=" + b.path("home"), "XDG_CONFIG_HOME=" + b.path("config"), "XDG_DATA_HOME=" + b.path("data"),
		"XDG_STATE_HOME=" + b.path("state"), "XDG_RUNTIME_DIR=" + b.path("run"), "XDG_CACHE_HOME=" + b.path("cache"),
		"XRAT_XRAY=" + programs.core, "PATH=/usr/bin:/bin", "TMPDIR=" + os.TempDir(),
		"GORACE=atexit_sleep_ms=0 halt_on_error=1 log_path=" + b.path("race"),
	}
	for _, d := range []string{"home", "config", "data", "state", "run"} {
		must(t, os.Mkdir(b.path(d), 0o700))
	}
	logs := zerolog.Nop()
	b.lab, err = lab.New(context.Background(), lab.Options{Core: programs.core, Dir: b.path("lab"), Log: logs})
	must(t, err)
	t.Cleanup(b.close)
	b.settings(fmt.Sprintf("urls = [%q]\n", b.lab.Origin().URL("/generate_204")), settings)
	return b
}

// settings writes the settings file: health is put into [health], rest at the end.
func (b *box) settings(health, rest string) {
	b.t.Helper()
	if !strings.Contains(health, "work_urls") {
		health += fmt.Sprintf("work_urls = [%q]\n", b.lab.Origin().URL(fmt.Sprint("/bytes?n=", probe.WorkBytes)))
	}
	text := fmt.Sprintf("[front]\nsocks = %q\nhttp = %q\n[health]\n%s\n%s\n", b.socks, b.http, health, rest)
	must(b.t, os.MkdirAll(filepath.Dir(b.path("config/xrat/settings.toml")), 0o700))
	must(b.t, os.WriteFile(b.path("config/xrat/settings.toml"), []byte(text), 0o600))
}

func (b *box) path(name string) string { return filepath.Join(b.dir, name) }

// close ends what the box runs, and shows the daemon's log if the test failed.
func (b *box) close() {
	b.t.Helper()
	b.run("daemon", "stop")
	if pid := b.lockPID(); pid != 0 && b.isOurs(pid) {
		b.gone(pid)
	}
	b.lab.Close()
	races, _ := filepath.Glob(b.path("race.*"))
	for _, race := range races {
		text, _ := os.ReadFile(race)
		b.t.Errorf("data race:\n%s", text)
	}
	if b.t.Failed() {
		for _, name := range []string{"state/xrat/daemon.log", "state/xrat/core.log"} {
			text, _ := os.ReadFile(b.path(name))
			lines := strings.SplitAfter(string(text), "\n")
			b.t.Logf("the end of %s:\n%s", name, strings.Join(lines[max(0, len(lines)-100):], ""))
		}
	}
	os.RemoveAll(b.dir)
}

func (b *box) lockPID() int {
	text, _ := os.ReadFile(b.path("run/xrat/xrat.lock"))
	pid, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return pid
}

// isOurs reports whether a process runs one of the programs under test.
func (b *box) isOurs(pid int) bool {
	target, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil && (target == programs.xrat || target == programs.failing)
}

// result is how a command ended.
type result struct {
	out, err string
	code     int
	took     time.Duration
}

func (b *box) run(args ...string) result { return b.runInput("", args...) }

func (b *box) runInput(input string, args ...string) result {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.program, args...)
	cmd.Env = b.env
	cmd.Stdin = strings.NewReader(input)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	cmd.WaitDelay = time.Second
	began := time.Now()
	err := cmd.Run()
	r := result{out: out.String(), err: stderr.String(), took: time.Since(began)}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil:
		b.t.Errorf("xrat %s: %v", strings.Join(args, " "), err)
	}
	return r
}

// ok runs a command that must succeed and returns what it printed.
func (b *box) ok(args ...string) string {
	b.t.Helper()
	return b.okInput("", args...)
}

func (b *box) okInput(input string, args ...string) string {
	b.t.Helper()
	r := b.runInput(input, args...)
	if r.code != 0 {
		b.t.Fatalf("xrat %s: exit code %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// fails runs a command that must fail with that code and a message that has want.
func (b *box) fails(code int, want string, args ...string) {
	b.t.Helper()
	r := b.run(args...)
	if r.code != code || !strings.Contains(r.err, want) {
		b.t.Errorf("xrat %s: exit code %d, %q; want %d and %q", strings.Join(args, " "), r.code, r.err, code, want)
	}
}

// status asks the daemon as `xrat status --json` does, without the time that starting a program
// takes.
func (b *box) status() ipc.StatusPayload {
	b.t.Helper()
	p, err := b.client().Status(context.Background())
	must(b.t, err)
	return p
}

// await polls the status until it is as wanted.
func (b *box) await(what string, limit time.Duration, good func(ipc.StatusPayload) bool) ipc.StatusPayload {
	b.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		p := b.status()
		if good(p) {
			return p
		}
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: not within %v; the status is %+v, session %+v", what, limit, p, p.Session)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func connected(p ipc.StatusPayload) bool { return p.State == ipc.StateConnected }

// serve adds lab servers and imports them.
func (b *box) serve(kinds ...lab.Kind) {
	b.t.Helper()
	var links []string
	for _, kind := range kinds {
		name := fmt.Sprintf("s%d", len(b.servers)+1)
		server, err := b.lab.AddServer(name, kind)
		must(b.t, err)
		b.servers = append(b.servers, server)
		links = append(links, server.Link())
	}
	b.okInput(strings.Join(links, "\n"), "import")
}

func (b *box) client() *ipc.Client { return &ipc.Client{Socket: b.path("run/xrat/xrat.sock")} }

// kill9 ends a process of ours at once and waits until it is gone.
func (b *box) kill9(pid int) {
	b.t.Helper()
	process, err := os.FindProcess(pid)
	must(b.t, err)
	must(b.t, process.Kill())
	b.gone(pid)
}

// gone waits until a process of ours has ended.
func (b *box) gone(pid int) {
	b.t.Helper()
	for range 1000 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil || strings.Contains(string(stat), ") Z ") {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.t.Fatalf("process %d is still there", pid)
}

// freeAddress finds a port that is free, below those that the kernel gives to whoever asks for any:
// one of these would be given away before it is used.
func freeAddress(t testing.TB) string {
	t.Helper()
	for range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", 15000+rand.IntN(15000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("no port is free")
	return ""
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// watchArguments notes the arguments of all processes until the function that it returns is called,
// which gives them back.
func watchArguments() func() string {
	seen, stop := make(chan string), make(chan struct{})
	go func() {
		var all strings.Builder
		for {
			out, _ := exec.Command("ps", "axww", "-o", "args").Output()
			all.Write(out)
			select {
			case <-stop:
				seen <- all.String()
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}()
	return func() string {
		close(stop)
		return <-seen
	}
}
