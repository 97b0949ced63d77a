//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
)

func TestBadSettings(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	must(t, os.WriteFile(b.path("config/xrat/settings.toml"), []byte("[front]\nsock = \"127.0.0.1:1\"\nwait = \"soon\"\n\n[helth]\n"), 0o600))
	r := b.run("daemon", "start")
	for _, want := range []string{"settings.toml:2:1", `"front.sock"`, "settings.toml:3:", "settings.toml:5:", "helth"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("%q is not named in\n%s", want, r.err)
		}
	}
	if r.code != 6 {
		t.Errorf("exit code %d", r.code)
	}
	if len(b.daemons()) > 0 {
		t.Error("a daemon was started")
	}
}

// A mistake in the settings stops nothing that runs.
func TestRestartWithBadSettings(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	before := b.status()
	must(t, os.WriteFile(b.path("config/xrat/settings.toml"), []byte("[front]\nsocks = 7\n"), 0o600))
	b.fails(6, "settings.toml:2:", "daemon", "restart")
	if after := b.status(); after.Session == nil || after.Session.PID != before.Session.PID {
		t.Errorf("%+v", after.Session)
	}
	b.exit()
}

func TestOccupiedPorts(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	holder, err := net.Listen("tcp", b.socks)
	must(t, err)
	defer holder.Close()
	self := fmt.Sprintf("pid %d", os.Getpid())
	r := b.run("daemon", "start")
	if r.code != 6 || !strings.Contains(r.err, b.socks) || !strings.Contains(r.err, self) {
		t.Errorf("exit code %d, %q; want %s and %s", r.code, r.err, b.socks, self)
	}
	// Taken after the daemon's start: the connect says so.
	must(t, holder.Close())
	b.serve(lab.VLESS)
	holder, err = net.Listen("tcp", b.http)
	must(t, err)
	defer holder.Close()
	b.fails(6, self, "connect")
	if p := b.status(); p.State != ipc.StateDisconnected || len(b.cores()) > 0 {
		t.Errorf("state %s, cores %v", p.State, b.cores())
	}
	must(t, holder.Close())
	b.ok("connect")
	b.exit()
}

// The port is taken while the daemon was away: it comes back by itself.
func TestPortTakenAtRestart(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	before := b.status()
	b.killAllButCore(before)
	var holder net.Listener
	for range 500 { // the last threads may hold it for a moment
		var err error
		if holder, err = net.Listen("tcp", b.socks); err == nil {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if holder == nil {
		t.Fatal("the port of what was killed does not become free")
	}
	defer holder.Close()
	b.fails(6, fmt.Sprintf("pid %d", os.Getpid()), "daemon", "start")
	must(t, holder.Close())
	b.ok("daemon", "start")
	if after := b.await("the session", 10*time.Second, connected); after.Session.PID != before.Session.PID {
		t.Error("the core was not taken over")
	}
	b.exit()
}

func TestMissingCore(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("daemon", "stop")
	b.env = append(b.env, "XRAT_XRAY=")
	r := b.run("connect")
	if r.code != 1 {
		t.Errorf("exit code %d", r.code)
	}
	for _, want := range []string{"core.path", "XRAT_XRAY", filepath.Dir(programs.xrat), "PATH"} {
		if !strings.Contains(r.err, want) {
			t.Errorf("%q is not named in %q", want, r.err)
		}
	}
	for name, core := range map[string]string{"not executable": "file", "directory": "folder", "no program": "text"} {
		t.Run(name, func(t *testing.T) {
			path := b.path(core)
			switch core {
			case "file":
				must(t, os.WriteFile(path, []byte("x"), 0o600))
			case "folder":
				must(t, os.Mkdir(path, 0o700))
			case "text":
				must(t, os.WriteFile(path, []byte("\x7fELFnonsense"), 0o700))
			}
			b.ok("daemon", "stop")
			b.env[len(b.env)-1] = "XRAT_XRAY=" + path
			b.fails(1, path, "connect")
		})
	}
}

func TestForeignSocket(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func(path string) error{
		"symlink": func(p string) error { return os.Symlink("/dev/null", p) },
		"file":    func(p string) error { return os.WriteFile(p, []byte("precious"), 0o600) },
		"folder":  func(p string) error { return os.Mkdir(p, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, "")
			socket := b.path("run/xrat/xrat.sock")
			must(t, os.MkdirAll(filepath.Dir(socket), 0o700))
			must(t, make(socket))
			before, err := os.Lstat(socket)
			must(t, err)
			for _, command := range []string{"status", "daemon start", "connect"} {
				r := b.run(strings.Fields(command)...)
				if r.code == 0 || !strings.Contains(r.err, socket) {
					t.Errorf("%s: exit code %d, %q", command, r.code, r.err)
				}
			}
			if after, err := os.Lstat(socket); err != nil || !os.SameFile(before, after) {
				t.Errorf("it was touched: %v", err)
			}
			must(t, os.RemoveAll(socket))
		})
	}
}

func TestReadOnlyHome(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	// A file where a directory is needed stops also root, whom modes do not.
	must(t, os.RemoveAll(b.path("data")))
	must(t, os.WriteFile(b.path("data"), nil, 0o400))
	b.fails(1, b.path("data"), "daemon", "start")
	must(t, os.Remove(b.path("data")))
	b.ok("daemon", "start")
}

func TestImport(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	good := "vless://5783a3e7-e373-51cd-8642-c83782b807c5@127.0.0.1:443?encryption=none#one"
	list := strings.Join([]string{"# my servers", good, "", "vless://nobody@127.0.0.1:99999#bad", "trojan://pw@127.0.0.1:444#two", "hello"}, "\n")
	must(t, os.WriteFile(b.path("list"), []byte(list), 0o600))
	r := b.run("import", b.path("list"), "--json")
	var result struct {
		Added, Existing []ipc.ConfigPayload
		Errors          []struct {
			Source string
			Line   int
			Code   string
		}
	}
	must(t, json.Unmarshal([]byte(r.out), &result))
	if r.code != 0 || len(result.Added) != 2 || len(result.Errors) != 2 || result.Errors[0].Line != 4 || result.Errors[1].Line != 6 || result.Errors[0].Source != b.path("list") {
		t.Errorf("exit code %d, %+v", r.code, result)
	}
	if strings.Contains(r.out+r.err, "nobody") {
		t.Error("the bad link's secret is printed")
	}
	if out := b.okInput(good+"\n", "import"); !strings.Contains(out, "0 added, 1 there already") {
		t.Errorf("%q", out)
	}
	if out := b.ok("import", strings.Replace(good, "#one", "#renamed", 1)); !strings.Contains(out, "0 added, 1 there already") {
		t.Errorf("the same server under another name: %q", out)
	}
	b.fails(1, "nothing was understood", "import", "vless://nonsense")
	b.fails(2, "neither a link", "import", "no-such-file")

	b.okInput("socks://127.0.0.1:1#tokyo-1\nsocks://127.0.0.1:2#tokyo-2\nsocks://127.0.0.1:3#paris\n", "import")
	for ref, want := range map[string]string{"paris": "paris", "PAR": "paris", "tokyo-2": "tokyo-2", "1": "one", "one": "one"} {
		if out := b.ok("show", ref); !strings.HasPrefix(out, want+"\n") {
			t.Errorf("show %s: %q", ref, out)
		}
	}
	b.fails(4, "could be", "show", "tok")
	b.fails(4, "no config", "show", "berlin")
	b.fails(4, "no config", "connect", "99")
	b.fails(4, "no config", "remove", "tokyo-1", "berlin")
	b.ok("remove", "tokyo-1", "tokyo-2")
	b.fails(4, "no config", "show", "tokyo-1")
	if out := b.ok("list"); strings.Contains(out, "tokyo") || !strings.Contains(out, "paris") {
		t.Errorf("list:\n%s", out)
	}
}

// What scripts rely on, with the daemon and without it.
func TestStatusJSON(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.serve(lab.VLESS)
	b.ok("connect")
	b.exit()
	check := func(out string) map[string]any {
		t.Helper()
		var status map[string]any
		must(t, json.Unmarshal([]byte(out), &status))
		for _, key := range []string{"state", "daemon", "session", "inbounds", "rotation", "traffic"} {
			if _, there := status[key]; !there {
				t.Errorf("there is no %q in %s", key, out)
			}
		}
		return status
	}
	status := check(b.ok("status", "--json"))
	session, _ := status["session"].(map[string]any)
	for _, key := range []string{"id", "config_id", "config_name", "pid", "trigger", "started_at"} {
		if session[key] == nil {
			t.Errorf("session has no %q: %v", key, session)
		}
	}
	inbounds, _ := status["inbounds"].([]any)
	if len(inbounds) != 2 || inbounds[0].(map[string]any)["address"] != b.socks || inbounds[1].(map[string]any)["address"] != b.http {
		t.Errorf("inbounds %v", inbounds)
	}
	if status["state"] != "connected" || status["traffic"].(map[string]any)["connections"].(float64) < 1 {
		t.Errorf("%v", status)
	}
	b.ok("daemon", "stop")
	r := b.run("status", "--json")
	if status := check(r.out); r.code != 3 || status["state"] != "disconnected" || status["session"] != nil {
		t.Errorf("without a daemon: exit code %d, %v", r.code, status)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	for _, line := range []string{"nonsense", "connect a b", "rotate --what", "show", "daemon nonsense", "status extra", "sessions --limit x", "sessions --limit 0"} {
		if r := b.run(strings.Fields(line)...); r.code != 2 || r.err == "" {
			t.Errorf("xrat %s: exit code %d, %q", line, r.code, r.err)
		}
	}
	for _, line := range []string{"disconnect", "daemon status", "daemon stop", "status", "daemon status --json", "status --json"} {
		if r := b.run(strings.Fields(line)...); r.code != 3 {
			t.Errorf("xrat %s: exit code %d, %q", line, r.code, r.err)
		}
	}
	if len(b.daemons()) > 0 {
		t.Error("one of them started a daemon")
	}
	if out := b.ok("help", "exit-codes"); !strings.Contains(out, "  5  busy") {
		t.Errorf("%q", out)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := b.ok("completion", shell); len(out) < 500 {
			t.Errorf("completion %s: %q", shell, out)
		}
	}
}

// Marked secrets go in everywhere; afterwards they are nowhere but in the store.
func TestNoSecrets(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.settings(fmt.Sprintf("urls = [%q]\ninterval = \"1s\"\ntimeout = \"300ms\"\n", b.lab.Origin().URL("/generate_204")),
		"[log]\nlevel = \"trace\"\n")
	const marker = "c0ffee" // a part of each secret
	links := []string{
		"vless://c0ffee00-0000-4000-8000-00000000c0fe@127.0.0.1:9?encryption=none#m1",
		"vless://c0ffee00-0000-4000-8000-00000000c0ff@127.0.0.1:9?security=reality&pbk=c0ffee&sid=zz#bad-m2",
		"trojan://c0ffee-password@127.0.0.1:9?security=tls&sni=x#m3",
		"ss://aes-128-gcm:c0ffee-ss@127.0.0.1:9#m4",
		"socks://user:c0ffee-socks@127.0.0.1:9#m5",
		"http://user:c0ffee-http@127.0.0.1:9#m6",
		"vmess://c0ffee-broken-base64#m7",
	}
	b.serve(lab.VLESS, lab.Trojan, lab.Shadowsocks)
	labSecrets := []string{}
	for _, s := range b.servers {
		userinfo, _, _ := strings.Cut(strings.SplitN(s.Link(), "://", 2)[1], "@")
		labSecrets = append(labSecrets, userinfo)
	}
	var said strings.Builder
	note := func(r result) { said.WriteString(r.out + r.err) }
	note(b.runInput(strings.Join(links, "\n"), "import"))
	note(b.runInput(strings.Join(links, "\n"), "import", "--json"))
	arguments := watchArguments()
	for _, name := range []string{"m1", "m3", "m4", "m5", "m6"} {
		note(b.run("connect", name)) // nobody is there
	}
	note(b.run("connect", "m1", "--no-check"))
	b.get("/exit")
	note(b.run("connect", "s1"))
	b.exit()
	for range 3 {
		note(b.run("rotate"))
	}
	must(t, b.servers[0].Kill())
	must(t, b.servers[1].Kill())
	time.Sleep(3 * time.Second)
	for _, command := range []string{"status", "list", "sessions", "show m1", "proxy status", "daemon status"} {
		note(b.run(strings.Fields(command)...))
		note(b.run(append(strings.Fields(command), "--json")...))
	}
	b.kill9(b.status().Daemon.PID)
	note(b.run("daemon", "start"))
	note(b.run("disconnect"))
	texts := map[string]string{"what the commands printed": said.String(), "process arguments": arguments()}
	must(t, filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(path, b.path("data")) || strings.HasPrefix(path, b.path("lab")) {
			return err
		}
		text, err := os.ReadFile(path)
		texts[path] = string(text)
		return err
	}))
	for where, text := range texts {
		for _, secret := range append(labSecrets, marker, "00000000c0f") {
			if i := strings.Index(text, secret); i >= 0 {
				t.Errorf("a secret (%.8s…) is in %s: …%s…", secret, where, text[max(0, i-80):min(len(text), i+80)])
			}
		}
	}
	// The sentinel: the search finds what is there.
	if !strings.Contains(texts["process arguments"], "run-server") || !strings.Contains(said.String(), "m3") {
		t.Error("the search looked at nothing")
	}
	must(t, filepath.WalkDir(b.path("data"), func(path string, d os.DirEntry, err error) error {
		if err == nil {
			var info os.FileInfo
			if info, err = d.Info(); err == nil && info.Mode().Perm()&0o077 != 0 {
				t.Errorf("%s has mode %v", path, info.Mode())
			}
		}
		return err
	}))
}

// A config that leads back to the front is never used: each connection through it would come back
// as a new one.
func TestLoopIsRefused(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.serve(lab.VLESS)
	_, port, err := net.SplitHostPort(b.socks)
	must(t, err)
	_, httpPort, err := net.SplitHostPort(b.http)
	must(t, err)
	b.okInput(fmt.Sprintf("socks://127.0.0.1:%s#by-address\nsocks://localhost:%s#by-name\nsocks://[::ffff:127.0.0.1]:%s#mapped\nhttp://0.0.0.0:%s#http\n",
		port, port, port, httpPort), "import")
	b.ok("connect", "s1")
	b.exit()
	for _, name := range []string{"by-address", "by-name", "mapped", "http"} {
		b.fails(1, "xrat's own address", "rotate", name)
		b.fails(1, "xrat's own address", "connect", name)
		if r := b.run("test", name); r.code != 0 && !strings.Contains(r.out+r.err, "own address") || strings.Contains(r.out, " ok ") {
			t.Errorf("test %s: %+v", name, r)
		}
	}
	b.fails(1, "xrat's own address", "rotate") // nobody else is there
	if p := b.status(); p.Session == nil || p.Session.ConfigName != "s1" || p.Standby != nil {
		t.Errorf("session %+v, standby %+v", p.Session, p.Standby)
	}
	b.exit()
}
