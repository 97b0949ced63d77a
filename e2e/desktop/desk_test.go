//go:build linux

package desktop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
)

// The files that make the panel show nothing but its tray, at the top left, and the notification
// server keep what it shows until it is told to close it.
const (
	panelConfig = `<?xml version="1.0" encoding="UTF-8"?>
<channel name="xfce4-panel" version="1.0">
 <property name="configver" type="int" value="2"/>
 <property name="panels" type="array"><value type="int" value="1"/>
  <property name="panel-1" type="empty">
   <property name="position" type="string" value="p=6;x=0;y=0"/><property name="position-locked" type="bool" value="true"/>
   <property name="length" type="uint" value="100"/><property name="size" type="uint" value="32"/>
   <property name="plugin-ids" type="array"><value type="int" value="1"/></property>
  </property>
 </property>
 <property name="plugins" type="empty"><property name="plugin-1" type="string" value="systray"/></property>
</channel>`
	dunstConfig = "[global]\nfont = DejaVu Sans 10\norigin = top-right\noffset = 12x44\nwidth = 380\nidle_threshold = 0\n" +
		"[urgency_normal]\ntimeout = 0\n[urgency_low]\ntimeout = 0\n"
	screenWidth, screenHeight = 900, 640
)

// desk is one user's machine: directories of its own, a bus, a screen, and what runs on it.
type desk struct {
	t       testing.TB
	dir     string
	env     []string
	display string
	bus     *process
	panel   *process
	dunst   *process
	conn    *dbus.Conn // the test's own
	asked   *askers
	lab     *lab.Lab
	servers map[string]*lab.Server
}

// process is a program that the desk runs.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	said *bytes.Buffer // may be read once done is closed
	err  error
}

func (p *process) stop(s os.Signal) {
	p.cmd.Process.Signal(s)
	select {
	case <-p.done:
	case <-time.After(10 * time.Second):
		p.cmd.Process.Kill()
		<-p.done
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// newDesk starts a screen and a bus, and with panel also a panel and a notification server.
func newDesk(t testing.TB, panel bool) *desk {
	t.Helper()
	dir, err := os.MkdirTemp("", "desk") // t.TempDir can be too long for a socket
	must(t, err)
	d := &desk{t: t, dir: dir, servers: map[string]*lab.Server{}}
	t.Cleanup(func() { os.RemoveAll(dir) })
	for _, name := range []string{"home", "config/xfce4/xfconf/xfce-perchannel-xml", "config/dunst", "data", "state", "cache"} {
		must(t, os.MkdirAll(d.path(name), 0o755))
	}
	must(t, os.Mkdir(d.path("run"), 0o700))
	must(t, os.WriteFile(d.path("config/xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml"), []byte(panelConfig), 0o644))
	must(t, os.WriteFile(d.path("config/dunst/dunstrc"), []byte(dunstConfig), 0o644))
	d.env = []string{
		"HOME=" + d.path("home"), "XDG_CONFIG_HOME=" + d.path("config"), "XDG_DATA_HOME=" + d.path("data"),
		"XDG_STATE_HOME=" + d.path("state"), "XDG_RUNTIME_DIR=" + d.path("run"), "XDG_CACHE_HOME=" + d.path("cache"),
		"XRAT_XRAY=" + programs.core, "PATH=" + os.Getenv("PATH"), "NO_AT_BRIDGE=1", "GTK_A11Y=none", "LANG=C.UTF-8",
		"DBUS_SESSION_BUS_ADDRESS=unix:path=" + d.path("run/bus"),
	}
	d.startScreen()
	d.startBus()
	d.start("openbox")
	if panel {
		d.startDunst()
		d.startPanel()
	}
	return d
}

func (d *desk) path(name string) string { return filepath.Join(d.dir, name) }

// start runs a program until the end of the test.
func (d *desk) start(program string, args ...string) *process {
	d.t.Helper()
	p := &process{cmd: exec.Command(program, args...), done: make(chan struct{}), said: new(bytes.Buffer)}
	p.cmd.Env = d.env
	p.cmd.Dir = d.dir
	p.cmd.Stdout, p.cmd.Stderr = p.said, p.said
	p.cmd.WaitDelay = time.Second
	must(d.t, p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	d.t.Cleanup(func() {
		p.stop(syscall.SIGTERM)
		if d.t.Failed() && p.said.Len() > 0 {
			text := p.said.String()
			d.t.Logf("%s said:\n%s", filepath.Base(program), text[max(0, len(text)-3000):])
		}
	})
	return p
}

// startScreen starts the virtual screen, which chooses its own number.
func (d *desk) startScreen() {
	d.t.Helper()
	read, write, err := os.Pipe()
	must(d.t, err)
	defer read.Close()
	cmd := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", fmt.Sprintf("%dx%dx24", screenWidth, screenHeight), "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{write}
	must(d.t, cmd.Start())
	write.Close()
	d.t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
	})
	number, err := io.ReadAll(io.LimitReader(&untilNewline{read}, 16))
	must(d.t, err)
	d.display = ":" + strings.TrimSpace(string(number))
	d.env = append(d.env, "DISPLAY="+d.display)
}

// untilNewline ends at the first newline: the pipe itself stays open.
type untilNewline struct{ r io.Reader }

func (u *untilNewline) Read(b []byte) (int, error) {
	n, err := u.r.Read(b)
	if bytes.IndexByte(b[:n], '\n') >= 0 {
		err = io.EOF
	}
	return n, err
}

// startBus starts the session bus; a later one has the same address.
func (d *desk) startBus() {
	d.t.Helper()
	d.bus = d.start("dbus-daemon", "--session", "--nofork", "--nopidfile", "--address=unix:path="+d.path("run/bus"))
	d.wait("the bus", func() bool {
		conn, err := dbus.Connect("unix:path=" + d.path("run/bus"))
		d.conn = conn
		return err == nil
	})
	d.t.Cleanup(func() { d.conn.Close() })
	d.asked = d.layouts()
	// What the bus itself starts needs the screen, too.
	d.run("dbus-update-activation-environment", "DISPLAY", "HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")
}

func (d *desk) startDunst() {
	d.t.Helper()
	d.dunst = d.start("dunst", "-config", d.path("config/dunst/dunstrc"))
	d.wait("the notification server", func() bool { return d.owned("org.freedesktop.Notifications") })
}

func (d *desk) startPanel() {
	d.t.Helper()
	d.panel = d.start("xfce4-panel", "--disable-wm-check")
	d.wait("the panel", func() bool { return d.owned("org.kde.StatusNotifierWatcher") })
}

func (d *desk) owned(name string) bool {
	var there bool
	err := d.conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, name).Store(&there)
	return err == nil && there
}

// wait polls until good says so.
func (d *desk) wait(what string, good func() bool) {
	d.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !good() {
		if time.Now().After(deadline) {
			d.failed(what)
		}
		time.Sleep(30 * time.Millisecond)
	}
}

// failed ends the test with a picture of the screen.
func (d *desk) failed(what string) {
	d.t.Helper()
	name := "failed-" + strings.ReplaceAll(d.t.Name(), "/", "-")
	if d.display != "" {
		cmd := exec.Command("import", "-window", "root", filepath.Join(programs.pictures, name+".png"))
		cmd.Env = d.env
		cmd.Run()
	}
	d.t.Fatalf("%s: not in time; see artifacts/desktop/%s.png", what, name)
}

// result is how a command ended.
type result struct {
	out, err string
	code     int
}

// run runs a command to its end.
func (d *desk) run(program string, args ...string) result { return d.runInput("", program, args...) }

func (d *desk) runInput(input, program string, args ...string) result {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = d.env
	cmd.Stdin = strings.NewReader(input)
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	cmd.WaitDelay = time.Second
	err := cmd.Run()
	r := result{out: out.String(), err: stderr.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.code = exit.ExitCode()
	case err != nil && !errors.Is(err, exec.ErrWaitDelay):
		d.t.Fatalf("%s %s: %v", program, strings.Join(args, " "), err)
	}
	return r
}

// ok runs a command that must succeed and returns what it printed.
func (d *desk) ok(program string, args ...string) string {
	d.t.Helper()
	r := d.run(program, args...)
	if r.code != 0 {
		d.t.Fatalf("%s %s: exit code %d\n%s%s", program, strings.Join(args, " "), r.code, r.out, r.err)
	}
	return r.out
}

// serve starts lab servers of these names and writes settings that suit them; the daemon must not
// run yet.
func (d *desk) serve(names ...string) {
	d.t.Helper()
	var err error
	d.lab, err = lab.New(context.Background(), lab.Options{Core: programs.core, Dir: d.path("lab"), Log: zerolog.Nop()})
	must(d.t, err)
	d.t.Cleanup(func() { d.lab.Close() })
	d.t.Cleanup(func() { d.run(programs.xrat, "daemon", "stop") })
	settings := fmt.Sprintf("[front]\nsocks = %q\nhttp = %q\n[health]\nurls = [%q]\ninterval = \"1s\"\ntimeout = \"500ms\"\n[rotation]\ncooldown = \"1s\"\ndrain = \"1s\"\n",
		freeAddress(d.t), freeAddress(d.t), d.lab.Origin().URL("/generate_204"))
	must(d.t, os.MkdirAll(d.path("config/xrat"), 0o700))
	must(d.t, os.WriteFile(d.path("config/xrat/settings.toml"), []byte(settings), 0o600))
	for _, name := range names {
		d.servers[name], err = d.lab.AddServer(name, lab.VLESS)
		must(d.t, err)
	}
}

// links are the share links of all servers.
func (d *desk) links() string {
	var links []string
	for _, s := range d.servers {
		links = append(links, s.Link())
	}
	return strings.Join(links, "\n") + "\n"
}

func (d *desk) client() *ipc.Client { return &ipc.Client{Socket: d.path("run/xrat/xrat.sock")} }

func (d *desk) status() (ipc.StatusPayload, error) { return d.client().Status(context.Background()) }

// await waits until the daemon's state is as wanted.
func (d *desk) await(what string, good func(ipc.StatusPayload) bool) ipc.StatusPayload {
	d.t.Helper()
	var status ipc.StatusPayload
	d.wait(what, func() bool {
		p, err := d.status()
		status = p
		return err == nil && good(p)
	})
	return status
}

// connectedTo reports whether a session to that server works.
func connectedTo(name string) func(ipc.StatusPayload) bool {
	return func(p ipc.StatusPayload) bool {
		return p.State == ipc.StateConnected && p.Session != nil && p.Session.ConfigName == name
	}
}

// download fetches some megabytes through the proxy.
func (d *desk) download() {
	d.t.Helper()
	status, err := d.status()
	must(d.t, err)
	through, err := url.Parse("http://" + status.Inbounds[1].Address)
	must(d.t, err)
	client := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{Proxy: http.ProxyURL(through), DisableKeepAlives: true}}
	reply, err := client.Get(d.lab.Origin().URL("/bytes?n=12345678"))
	must(d.t, err)
	defer reply.Body.Close()
	if n, err := io.Copy(io.Discard, reply.Body); err != nil || n != 12345678 {
		d.t.Errorf("%d bytes through the proxy, %v", n, err)
	}
}

// shot keeps a picture of the screen.
func (d *desk) shot(name string) string {
	d.t.Helper()
	file := filepath.Join(programs.pictures, name+".png")
	d.ok("import", "-window", "root", file)
	return file
}

// note is what the notification server got.
type note struct {
	Summary, Body struct{ Data string }
}

// notes closes what is on the screen and returns all that was ever shown, the newest first. What
// was replaced in place is not among it.
func (d *desk) notes() []note {
	d.t.Helper()
	d.ok("dunstctl", "close-all")
	var history struct{ Data [][]note }
	d.wait("the history of notifications", func() bool {
		return json.Unmarshal([]byte(d.ok("dunstctl", "history")), &history) == nil && len(history.Data) == 1
	})
	return history.Data[0]
}

// displayed is how many notifications are on the screen.
func (d *desk) displayed() string {
	return strings.TrimSpace(d.ok("dunstctl", "count", "displayed"))
}

// monitor sees every notification on its way to the server.
type monitor struct {
	mu   sync.Mutex
	seen []sentNote
}

type sentNote struct {
	replaces      uint32
	summary, body string
	actions       []string
}

// monitor begins to watch the bus for notifications.
func (d *desk) monitor() *monitor {
	d.t.Helper()
	m := new(monitor)
	d.eavesdrop("org.freedesktop.Notifications", "Notify", func(message *dbus.Message) {
		var n sentNote
		var program, icon string
		if len(message.Body) < 6 || dbus.Store(message.Body[:6], &program, &n.replaces, &icon, &n.summary, &n.body, &n.actions) != nil {
			return
		}
		m.mu.Lock()
		m.seen = append(m.seen, n)
		m.mu.Unlock()
	})
	return m
}

// eavesdrop passes on the calls of a method that anybody makes on the bus, one after another, until
// the bus or the test ends.
func (d *desk) eavesdrop(iface, method string, see func(*dbus.Message)) {
	d.t.Helper()
	conn, err := dbus.Connect("unix:path=" + d.path("run/bus"))
	must(d.t, err)
	d.t.Cleanup(func() { conn.Close() })
	rule := []string{fmt.Sprintf("type='method_call',interface='%s',member='%s'", iface, method)}
	must(d.t, conn.BusObject().Call("org.freedesktop.DBus.Monitoring.BecomeMonitor", 0, rule, uint32(0)).Err)
	messages := make(chan *dbus.Message, 1000)
	conn.Eavesdrop(messages)
	go func() { // ends with the connection
		for message := range messages {
			see(message)
		}
	}()
}

// at returns one of the notifications; -1 is the last one.
func (m *monitor) at(i int) sentNote {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i += len(m.seen); i < 0 {
		return sentNote{}
	}
	return m.seen[i]
}

func (m *monitor) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.seen)
}

func (m *monitor) last() sentNote { return m.at(-1) }

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
