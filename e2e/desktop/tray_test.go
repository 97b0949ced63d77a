//go:build linux

package desktop

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/assets"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

// tray starts the tray and waits until the panel has its icon.
func (d *desk) tray(args ...string) *process {
	d.t.Helper()
	p := d.start(programs.tray, append([]string{"--verbose"}, args...)...)
	d.wait("the icon", func() bool { return d.item() != "" })
	return p
}

// ended waits for the end of a process and returns its exit code.
func (d *desk) ended(p *process) int {
	d.t.Helper()
	select {
	case <-p.done:
	case <-time.After(20 * time.Second):
		d.failed("the end of the tray")
	}
	var exit *exec.ExitError
	if errors.As(p.err, &exit) {
		return exit.ExitCode()
	}
	return 0
}

func enabled(e entry) bool { return e.Enabled }
func checked(e entry) bool { return e.Checked }

// A user's day, by mouse.
func TestDay(t *testing.T) {
	d := newDesk(t, true)
	d.serve("tokyo-1", "paris-2", "oslo_3")
	sent := d.monitor()
	p := d.tray()
	d.awaitHeader("Disconnected") // it has started the daemon
	d.awaitIcon(assets.Disconnected)

	// Import from the clipboard.
	clip := exec.Command("xclip", "-selection", "clipboard")
	clip.Env, clip.Stdin = d.env, strings.NewReader(d.links())
	must(t, clip.Run())
	d.choose("Import from clipboard")
	d.await("the import", func(p ipc.StatusPayload) bool { return p.Configs == 3 })
	d.awaitEntry("Connect", func(e entry) bool { return e.Enabled && len(visible(e.Children)) == 3 })
	if got := d.notes(); len(got) != 1 || got[0].Summary.Data != "3 servers imported" {
		t.Errorf("notifications %+v", got)
	}

	// Connect.
	d.choose("Connect", "paris-2")
	d.await("the connection", connectedTo("paris-2"))
	d.awaitHeader("Connected · paris-2 · ")
	d.awaitIcon(assets.Connected)
	d.awaitEntry("SOCKS 127.0.0.1:", func(e entry) bool { return strings.HasSuffix(e.Label, "· reachable") })
	d.awaitEntry("Connect", func(e entry) bool { one, found := find(e.Children, "paris-2"); return found && one.Checked })
	d.download()
	d.awaitEntry("Session", func(e entry) bool { return strings.Contains(e.Label, "↓ 12.") })
	d.openMenu()
	d.shot("connected")
	d.closeMenu()

	// Rotate.
	d.awaitEntry("Rotate now", enabled)
	d.choose("Rotate now")
	status := d.await("the rotation", func(p ipc.StatusPayload) bool {
		return p.State == ipc.StateConnected && p.Session.ConfigName != "paris-2"
	})
	active := status.Session.ConfigName
	d.awaitHeader("Connected · " + active)
	if got := d.notes(); len(got) != 1 {
		t.Errorf("a manual rotation made a notification: %+v", got)
	}

	// The server dies.
	must(t, d.servers[active].Kill())
	status = d.await("the rotation away from a dead server", func(p ipc.StatusPayload) bool {
		return p.State == ipc.StateConnected && p.Session.ConfigName != active
	})
	next := status.Session.ConfigName
	d.awaitHeader("Connected · " + next)
	d.download()
	d.awaitEntry("Switched from "+active+": 3 failed checks", func(entry) bool { return true })
	d.awaitIcon(assets.Connected)
	d.wait("the notification", func() bool { return d.displayed() == "1" })
	d.openMenu()
	d.shot("rotated")
	d.closeMenu()
	if got := d.notes(); len(got) != 2 || got[0].Summary.Data != "Switched to "+next || !strings.HasPrefix(got[0].Body.Data, active+": 3 failed checks") {
		t.Errorf("notifications %+v", got)
	}

	// No server works: one notification, however often it is tried.
	must(t, d.servers[next].Refuse())
	for name, server := range d.servers {
		if name != active && name != next {
			must(t, server.Refuse())
		}
	}
	d.awaitHeader("Degraded · " + next)
	d.awaitIcon(assets.Degraded)
	d.await("three attempts", func(p ipc.StatusPayload) bool { return p.Attempts >= 3 })
	d.wait("the notification", func() bool { return d.displayed() == "1" })
	d.openMenu()
	d.shot("degraded")
	d.closeMenu()
	must(t, d.servers[next].Heal())
	d.awaitHeader("Connected · " + next)
	// Its recovery takes its place on the screen.
	d.wait("the notification of the recovery", func() bool { return sent.last().summary == "Connected again" })
	if incident := sent.at(-2); incident.summary != "No working server found" || sent.last().replaces == 0 {
		t.Errorf("after %+v came %+v", incident, sent.last())
	}
	if got := d.displayed(); got != "1" {
		t.Errorf("%s notifications are on the screen", got)
	}

	// Switches.
	d.choose("Auto-rotate")
	d.await("rotation off", func(p ipc.StatusPayload) bool { return !p.Rotation.RotationEnabled })
	d.awaitEntry("Auto-rotate", func(e entry) bool { return !e.Checked })
	d.choose("Start at login")
	d.awaitEntry("Start at login", checked)
	login, err := os.ReadFile(d.path("config/autostart/xrat-tray.desktop"))
	if err != nil || !strings.Contains(string(login), "Exec=\""+programs.tray+"\" --wait-for-tray\n") {
		t.Errorf("the entry for logins: %q, %v", login, err)
	}
	d.choose("Copy proxy settings")
	d.wait("the clipboard", func() bool {
		return strings.HasPrefix(d.run("xclip", "-selection", "clipboard", "-o").out, "export http_proxy=http://127.0.0.1:")
	})

	// The panel is restarted.
	d.panel.stop(syscall.SIGTERM)
	d.wait("the end of the panel", func() bool { return !d.owned("org.kde.StatusNotifierWatcher") })
	d.startPanel()
	d.wait("the icon in the new panel", func() bool { return d.item() != "" })
	d.awaitIcon(assets.Connected)

	// Stop.
	d.choose("Stop")
	d.await("the end of the session", func(p ipc.StatusPayload) bool { return p.State == ipc.StateDisconnected && p.Session == nil })
	d.awaitHeader("Disconnected")
	d.awaitIcon(assets.Disconnected)

	// Quit the tray alone.
	d.choose("Connect", next)
	d.await("the connection", connectedTo(next))
	d.awaitHeader("Connected")
	d.choose("Quit tray")
	if code := d.ended(p); code != 0 {
		t.Errorf("the tray ended with %d", code)
	}
	if status, err := d.status(); err != nil || !connectedTo(next)(status) {
		t.Errorf("after the tray has quit: %+v, %v", status, err)
	}
	d.wait("the icon to go", func() bool { return d.item() == "" })

	// A tray attaches to a daemon that runs; a second one says so.
	p = d.tray()
	d.awaitHeader("Connected · " + next)
	if r := d.run(programs.tray); r.code != 0 || !strings.Contains(r.out, "another one runs in this session") {
		t.Errorf("a second tray: %+v", r)
	}
	d.choose("Stop proxy and quit")
	if code := d.ended(p); code != 0 {
		t.Errorf("the tray ended with %d", code)
	}
	if _, err := d.status(); !errors.Is(err, ipc.ErrNotRunning) {
		t.Errorf("the daemon: %v", err)
	}
}
