//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
)

// provider is a site on loopback that serves a subscription.
type provider struct {
	*httptest.Server
	mu      sync.Mutex
	body    string
	header  http.Header
	status  int
	asked   atomic.Int64
	byProxy string // its address as only the proxy takes it
}

func newProvider(t *testing.T, body string) *provider {
	t.Helper()
	p := &provider{body: body, status: http.StatusOK, header: http.Header{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.asked.Add(1)
		p.mu.Lock()
		defer p.mu.Unlock()
		for key, values := range p.header {
			w.Header()[key] = values
		}
		w.WriteHeader(p.status)
		fmt.Fprint(w, p.body)
	}))
	t.Cleanup(p.Close)
	_, port, err := net.SplitHostPort(p.Listener.Addr().String())
	must(t, err)
	// This machine in disguise: the core goes there, and without the proxy it is refused, as the
	// user has not literally asked for this machine.
	p.byProxy = "http://[::ffff:127.0.0.1]:" + port
	return p
}

func (p *provider) serve(status int, body string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status, p.body = status, body
}

// tell sets a header of the answers; "" takes it away.
func (p *provider) tell(key, value string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.header.Set(key, value); value == "" {
		p.header.Del(key)
	}
}

// socks lists SOCKS servers that nobody runs, by their names.
func socks(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		fmt.Fprintf(&b, "socks://%s.example:1080#%s\n", name, name)
	}
	return b.String()
}

// into runs a command with --json and decodes what it prints, whatever its exit code.
func (b *box) into(v any, args ...string) result {
	b.t.Helper()
	r := b.run(append(args, "--json")...)
	if err := json.Unmarshal([]byte(r.out), v); err != nil {
		b.t.Fatalf("xrat %s: %v\n%s%s", strings.Join(args, " "), err, r.out, r.err)
	}
	return r
}

func TestSubscription(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	p := newProvider(t, socks("tokyo", "paris", "oslo"))
	p.tell("Subscription-Userinfo", "upload=1000000000; download=500000000; total=100000000000; expire=4102444800")
	p.tell("Profile-Title", "My provider")
	p.tell("Profile-Update-Interval", "12")
	if out := b.okInput(p.URL+"/token", "subscription", "add", "-"); !strings.Contains(out, "3 added") {
		t.Errorf("add: %q", out)
	}
	list := b.ok("subscription", "list")
	for _, want := range []string{"My provider", "http://127.0.0.1:", "1.5 GB of 100.0 GB", "2100-01-01", "in 1"} {
		if !strings.Contains(list, want) {
			t.Errorf("no %q in\n%s", want, list)
		}
	}
	b.ok("pin", "tokyo")
	b.ok("tag", "paris", "work", "fast")

	p.serve(http.StatusOK, socks("oslo", "tokyo", "lima"))
	if out := b.ok("subscription", "update"); !strings.Contains(out, "1 added, 1 retired, 2 kept") {
		t.Errorf("update: %q", out)
	}
	if out := b.ok("list"); strings.Contains(out, "paris") || !strings.Contains(out, "lima") {
		t.Errorf("list:\n%s", out)
	}
	if out := b.ok("list", "--retired"); !strings.Contains(out, "paris") || strings.Contains(out, "lima") {
		t.Errorf("list --retired:\n%s", out)
	}
	b.fails(4, "no config", "show", "paris")
	if out := b.ok("show", "2"); !strings.HasPrefix(out, "paris\n") || !strings.Contains(out, "Retired") || !strings.Contains(out, "My provider") {
		t.Errorf("show 2:\n%s", out)
	}
	// Whatever comes instead of a list, nothing is taken away.
	for status, body := range map[int]string{200: "<html>log in</html>", 404: "not here", 500: "", 204: ""} {
		p.serve(status, body)
		b.fails(1, "could not be updated", "subscription", "update", "my")
	}
	var configs []ipc.ConfigPayload
	b.into(&configs, "list")
	if len(configs) != 3 || configs[0].ID != 1 || !configs[0].Pinned || configs[0].Subscriptions[0] != 1 {
		t.Errorf("%+v", configs)
	}
	var subs []ipc.SubscriptionPayload
	b.into(&subs, "subscription", "list")
	if len(subs) != 1 || subs[0].Failures != 4 || subs[0].Error == nil || subs[0].Configs != 3 || subs[0].Retired != 1 {
		t.Errorf("%+v", subs)
	}
	// All of it outlives the daemon, and paris comes back as it was.
	b.ok("daemon", "restart")
	p.serve(http.StatusOK, socks("oslo", "tokyo", "lima", "paris"))
	if out := b.ok("subscription", "update", "1"); !strings.Contains(out, "0 added, 0 retired, 3 kept, 1 are back") {
		t.Errorf("update: %q", out)
	}
	b.into(&configs, "list", "--tag", "work")
	if len(configs) != 1 || configs[0].ID != 2 || len(configs[0].Tags) != 2 {
		t.Errorf("%+v", configs)
	}
	b.okInput(socks("oslo"), "import")
	if out := b.ok("subscription", "remove", "My"); !strings.Contains(out, "3 configs; 1 configs stay") {
		t.Errorf("remove: %q", out)
	}
	b.into(&configs, "list")
	if len(configs) != 1 || configs[0].Name != "oslo" || configs[0].Source != "import" {
		t.Errorf("%+v", configs)
	}
	b.fails(4, "no subscription", "subscription", "update", "My")
}

// While connected it comes through the proxy, and otherwise not at all if that is what the settings
// say.
func TestSubscriptionThroughTheProxy(t *testing.T) {
	t.Parallel()
	b := newBox(t, "[subscription]\ndirect = false\n")
	p := newProvider(t, socks("tokyo"))
	b.serve(lab.VLESS)
	b.fails(1, "not connected", "subscription", "add", p.byProxy+"/x")
	if n := p.asked.Load(); n != 0 {
		t.Errorf("%d requests without the proxy", n)
	}
	b.ok("connect")
	var results []ipc.RefreshPayload
	if r := b.into(&results, "subscription", "update"); r.code != 0 || len(results) != 1 || results[0].Via != "proxy" || results[0].Added != 1 {
		t.Errorf("exit code %d, %+v", r.code, results)
	}
	if out := b.ok("import", p.byProxy+"/x"); !strings.Contains(out, "0 added, 1 there already") {
		t.Errorf("import: %q", out)
	}
	if n := p.asked.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
	b.ok("disconnect")
	b.fails(1, "nothing was understood", "import", p.byProxy+"/x")
	if n := p.asked.Load(); n != 2 {
		t.Errorf("%d requests", n)
	}
}

func TestImportOfAddresses(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	clash := "proxies:\n- {name: 'from Clash', type: trojan, server: c.example, port: 443, password: secret}\n- {name: old, type: ssr, server: c.example, port: 1}\n"
	p := newProvider(t, clash)
	r := b.run("import", p.URL+"/once")
	if r.code != 0 || !strings.Contains(r.out, "1 added, 0 there already, 1 not understood") || !strings.Contains(r.out, "old") {
		t.Errorf("%+v", r)
	}
	if out := b.ok("subscription", "list"); !strings.Contains(out, "no subscriptions") {
		t.Errorf("%q", out)
	}
	if out := b.ok("import", "--subscribe", p.URL+"/kept", "http://1.2.3.4:8080#proxy@home"); !strings.Contains(out, "subscribed to 127.0.0.1: 0 added, 0 retired, 1 kept") {
		t.Errorf("%q", out)
	}
	p.serve(404, "")
	b.fails(1, "nothing was understood", "import", p.URL+"/gone")
	must(t, os.WriteFile(b.path("clash"), []byte(clash), 0o600))
	if out := b.ok("import", b.path("clash")); !strings.Contains(out, "0 added, 1 there already, 1 not understood") {
		t.Errorf("%q", out)
	}
	b.fails(1, "clipboard", "import", "--clipboard")
	b.fails(2, "--interval", "subscription", "add", p.URL, "--interval", "5s")
	b.fails(6, "http", "subscription", "add", "ftp://127.0.0.1/x")
}

// A clipboard program is used if there is one.
func TestImportOfTheClipboard(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	must(t, os.Mkdir(b.path("bin"), 0o700))
	must(t, os.WriteFile(b.path("bin/xsel"), []byte("#!/bin/sh\necho 'socks://clip.example:1#clip'\n"), 0o700))
	for i, entry := range b.env {
		if strings.HasPrefix(entry, "PATH=") {
			b.env[i] = "PATH=" + b.path("bin") + ":/usr/bin:/bin"
		}
	}
	if _, err := exec.LookPath("xclip"); err == nil {
		must(t, os.Symlink(b.path("bin/xsel"), b.path("bin/xclip")))
	}
	if out := b.ok("import", "--clipboard"); !strings.Contains(out, "1 added") {
		t.Errorf("%q", out)
	}
}

func TestEditAndList(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.okInput("socks://a.example:1#東京 one\ntrojan://secret@b.example:2#paris\nvless://5783a3e7-e373-51cd-8642-c83782b807c5@c.example:3?encryption=none&type=ws#Oslo\n", "import")
	names := func(args ...string) string {
		t.Helper()
		var configs []ipc.ConfigPayload
		b.into(&configs, append([]string{"list"}, args...)...)
		var names []string
		for _, c := range configs {
			names = append(names, c.Name)
		}
		return strings.Join(names, ",")
	}
	b.ok("edit", "paris", "oslo", "--pin", "--tag", "home,fast", "--favourite")
	b.ok("exclude", "2")
	b.ok("untag", "paris", "fast")
	b.ok("rename", "1", "Lima")
	for args, want := range map[string]string{
		"":                        "Lima,paris,Oslo",
		"--sort name":             "Lima,Oslo,paris",
		"--sort name -r":          "paris,Oslo,Lima",
		"--sort protocol":         "Lima,paris,Oslo",
		"--pinned":                "Oslo",
		"--excluded":              "paris",
		"--favourite":             "paris,Oslo",
		"--tag HOME":              "paris,Oslo",
		"--tag home --tag fast":   "Oslo",
		"--protocol vless,socks":  "Lima,Oslo",
		"--network ws":            "Oslo",
		"--security tls":          "paris",
		"--working":               "",
		"--failed":                "",
		"--retired":               "",
		"example:2":               "paris",
		"os":                      "Oslo",
		"a e --protocol trojan":   "paris",
		"--sort rank --favourite": "Oslo,paris",
	} {
		if got := names(strings.Fields(args)...); got != want {
			t.Errorf("list %s: %q, want %q", args, got, want)
		}
	}
	table := b.ok("list")
	for _, want := range []string{"+♥   3", "♥-   2", "fast,home"} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	b.fails(2, "--sort", "list", "--sort", "colour")
	b.fails(6, "nothing to change", "edit", "1")
	b.fails(4, "no config", "pin", "1", "berlin")
	b.fails(4, "no subscription", "list", "--subscription", "x")
	b.fails(6, "control characters", "rename", "1", "a\x1b[31mred")
	b.fails(6, "spaces", "tag", "1", "two words")
	if got := names("--pinned"); got != "Oslo" {
		t.Errorf("a refused command changed something: %q", got)
	}
}

// What a hostile provider can send reaches neither the screen nor the core, nor anything but the
// provider.
func TestHostileSubscription(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	inner := newProvider(t, socks("inner"))
	evil := b.path("evil")
	xray := fmt.Sprintf(`{"log":{"access":%q,"error":%q},"inbounds":[{"listen":"0.0.0.0","port":1,"protocol":"socks"}],"api":{"tag":"api"},
"dns":{"servers":["1.2.3.4"]},"routing":{"rules":[]},"outbounds":[{"tag":"\u001b]0;owned\u0007\u202egnp.exe","protocol":"socks","settings":{"servers":[{"address":"h.example","port":1}]}}]}`, evil, evil)
	p := newProvider(t, xray)
	p.tell("Profile-Title", "\u202e\u009b31mtitle")
	p.tell("Profile-Web-Page-Url", "file:///etc/passwd")
	said := b.ok("subscription", "add", p.URL) + b.ok("subscription", "list") + b.ok("list") + b.ok("show", "1")
	if strings.ContainsAny(said, "\x1b\x07\u202e\u009b") || !strings.Contains(said, "owned") {
		t.Errorf("%q", said)
	}
	b.run("connect", "1", "--no-check")
	b.ok("disconnect")
	if _, err := os.Stat(evil); err == nil {
		t.Error("a file of the provider's choice was written")
	}
	// Redirects lead nowhere but where the user said.
	for _, target := range []string{inner.URL, "http://169.254.169.254/latest", "file:///etc/passwd", inner.byProxy} {
		p.tell("Location", target)
		p.serve(http.StatusFound, "")
		b.fails(1, "could not be updated", "subscription", "update")
	}
	if n := inner.asked.Load(); n != 0 {
		t.Errorf("%d requests where a redirect led", n)
	}
	// Too much of everything.
	p.tell("Location", "")
	p.serve(http.StatusOK, strings.Repeat("x", 9<<20))
	if r := b.run("subscription", "update"); r.code != 1 || !strings.Contains(r.out, "8 MiB") {
		t.Errorf("%+v", r)
	}
	p.serve(http.StatusOK, "a: &a [x,x]\nb: &b [*a,*a]\nproxies: [*b,*b]\n")
	b.fails(1, "could not be updated", "subscription", "update")
	if out := b.ok("subscription", "list", "--json"); !strings.Contains(out, `"configs": 1`) {
		t.Errorf("%s", out)
	}
}

// The token in the address is nowhere but in the store.
func TestSubscriptionSecrets(t *testing.T) {
	t.Parallel()
	b := newBox(t, "[log]\nlevel = \"trace\"\n")
	p := newProvider(t, socks("tokyo"))
	p.tell("ETag", `"c0ffee-etag"`)
	address := strings.Replace(p.URL, "http://", "http://c0ffee-user:c0ffee-password@", 1) + "/c0ffee-path?token=c0ffee-query#its%20name"
	var said strings.Builder
	note := func(r result) { said.WriteString(r.out + r.err) }
	arguments := watchArguments()
	note(b.runInput(address, "import"))
	note(b.runInput(address, "import", "--json"))
	note(b.runInput(address, "subscription", "add", "-"))
	p.serve(http.StatusForbidden, "c0ffee")
	note(b.run("subscription", "update"))
	p.serve(http.StatusOK, "vless://c0ffee\n<c0ffee>")
	note(b.run("subscription", "update"))
	note(b.run("subscription", "update", "--json"))
	p.Close()
	note(b.run("subscription", "update"))
	for _, bad := range []string{"http://c0ffee:99999/", "http://c0ffee\x7f/", "ftp://c0ffee/", "https://"} {
		note(b.runInput(bad, "subscription", "add", "-"))
	}
	for _, command := range []string{"subscription list", "list", "show 1", "status", "subscription list --json", "list --json"} {
		note(b.run(strings.Fields(command)...))
	}
	note(b.run("daemon", "restart"))
	note(b.run("subscription", "remove", "1"))
	texts := map[string]string{"what the commands printed": said.String(), "process arguments": arguments()}
	must(t, filepath.WalkDir(b.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.HasPrefix(path, b.path("data")) {
			return err
		}
		text, err := os.ReadFile(path)
		texts[path] = string(text)
		return err
	}))
	for where, text := range texts {
		if i := strings.Index(text, "c0ffee"); i >= 0 {
			t.Errorf("a secret is in %s: …%s…", where, text[max(0, i-80):min(len(text), i+80)])
		}
	}
	// The sentinel: the search finds what is there.
	if !strings.Contains(texts["process arguments"], "run-server") || !strings.Contains(said.String(), "tokyo") || p.asked.Load() < 6 {
		t.Errorf("the search looked at nothing: %d requests\n%s", p.asked.Load(), said.String())
	}
}
