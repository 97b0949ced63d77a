package tray

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/assets"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

var update = flag.Bool("update", false, "write the golden files anew")

// noon is the time at which all menus are looked at.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// text draws a menu with characters.
func (m menu) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "icon: %s\ntooltip: %s\n\n", m.Icon, m.Tooltip)
	for s := range slot(slotConfig) {
		if it := m.Items[s]; it.Visible {
			b.WriteString(it.text(s))
		}
		if s == slotConnect {
			for s := slot(slotConfig); s < slotCount; s++ {
				if it := m.Items[s]; it.Visible {
					b.WriteString("    " + it.text(s))
				}
			}
		}
		if s.endsGroup() {
			b.WriteString("----\n")
		}
	}
	return b.String()
}

func (i item) text(s slot) string {
	mark := "   "
	if s.checkable() {
		mark = map[bool]string{false: "[ ]", true: "[x]"}[i.Checked]
	}
	title := i.Title
	if !i.Enabled {
		title = "(" + title + ")"
	}
	if s.isConfig() {
		title += fmt.Sprintf("  -> %d", i.Config)
	}
	return mark + " " + title + "\n"
}

// sample is a daemon that is connected and well.
func sample() model {
	trigger := ipc.TriggerManual
	success := noon.Add(-time.Minute)
	return model{
		attachment: attached, notifications: true, canLogin: true,
		status: ipc.StatusPayload{
			State:   ipc.StateConnected,
			Session: &ipc.SessionPayload{ID: 3, ConfigID: 1, ConfigName: "tokyo-1", StartedAt: noon.Add(-75 * time.Minute), LatencyMillis: 42, Trigger: trigger},
			Inbounds: []ipc.EndpointPayload{
				{Protocol: "socks", Address: "127.0.0.1:10808", State: "reachable"},
				{Protocol: "http", Address: "127.0.0.1:10809", State: "reachable"},
			},
			Rotation: ipc.ProxyStatusPayload{RotationEnabled: true},
			Traffic:  ipc.TrafficPayload{UpBytes: 1_234_567, DownBytes: 89_012_345_678},
			Configs:  3, ConfigsRevision: 1,
		},
		configs: bestFirst([]ipc.ConfigPayload{
			{ID: 2, Name: "paris-2", Rank: 3, LastSuccess: &success, LastFailure: &noon},
			{ID: 1, Name: "tokyo-1", Rank: 1, LatencyMillis: 42, LastSuccess: &success},
			{ID: 3, Name: "oslo_3", Rank: 2},
		}),
	}
}

// The menus are in testdata.
func TestEveryStateHasItsMenu(t *testing.T) {
	with := func(change func(*model)) model {
		m := sample()
		change(&m)
		return m
	}
	state := func(s ipc.State, change func(*ipc.StatusPayload)) model {
		return with(func(m *model) {
			m.status.State = s
			change(&m.status)
		})
	}
	away := func(p *ipc.StatusPayload) {
		p.Session, p.Traffic = nil, ipc.TrafficPayload{}
		for i := range p.Inbounds {
			p.Inbounds[i].State = "not_checked"
		}
	}
	switched := func(trigger ipc.Trigger, reason string) func(*ipc.StatusPayload) {
		return func(p *ipc.StatusPayload) {
			p.LastRotation = &ipc.RotationPayload{At: noon.Add(-2 * time.Minute), Trigger: trigger, Reason: reason,
				FromConfigID: 2, FromConfigName: "paris-2", ToConfigID: 1, ToConfigName: "tokyo-1"}
		}
	}
	tests := map[string]model{
		"looking":       {notifications: true, canLogin: true},
		"starting":      {attachment: starting, notifications: true, canLogin: true},
		"absent":        {attachment: absent, canLogin: true, login: true},
		"start-failed":  {attachment: absent, notice: "the settings have errors:\nline 3, column 1: unknown key \"sock\"", notifications: true},
		"unusable":      {attachment: unusable, notice: "the daemon speaks protocol version 2 and this program 1: update the older of the two", notifications: true},
		"disconnected":  state(ipc.StateDisconnected, away),
		"connecting":    state(ipc.StateConnecting, away),
		"checking":      state(ipc.StateConnecting, func(p *ipc.StatusPayload) { p.Session.LatencyMillis = 0 }),
		"connected":     sample(),
		"rotating":      state(ipc.StateRotating, func(*ipc.StatusPayload) {}),
		"switched":      state(ipc.StateConnected, switched(ipc.TriggerHealthCheckFailed, "3 failed checks in a row: 127.0.0.1 gave no answer")),
		"timer":         state(ipc.StateConnected, switched(ipc.TriggerTimer, "rotation.interval has passed")),
		"rotated":       state(ipc.StateConnected, switched(ipc.TriggerManual, "the user asked for it")),
		"failed":        state(ipc.StateFailed, func(p *ipc.StatusPayload) { away(p); p.Message = "none of 3 configs is usable" }),
		"port-taken":    state(ipc.StateFailed, func(p *ipc.StatusPayload) { p.Message = "opening the front: 127.0.0.1:10808 is taken by ssh (pid 7)" }),
		"warned":        state(ipc.StateConnected, func(p *ipc.StatusPayload) { p.Warnings = []string{"some records were lost"} }),
		"unknown-state": state("hibernating", func(*ipc.StatusPayload) {}),
		"offline": state(ipc.StateDegraded, func(p *ipc.StatusPayload) {
			p.Condition, p.Message = ipc.ConditionOffline, "offline: this machine has no route to the network; staying on tokyo-1"
		}),
		"degraded": state(ipc.StateDegraded, func(p *ipc.StatusPayload) {
			p.Rotation.ConsecutiveFailures = 2
			p.Message = "2 failed checks in a row: gave no answer in time"
			p.Inbounds[1].State = "unreachable"
		}),
		"empty":        with(func(m *model) { away(&m.status); m.status.State, m.configs = ipc.StateDisconnected, nil }),
		"one-config":   with(func(m *model) { m.configs = m.configs[:1] }),
		"rotation-off": with(func(m *model) { m.status.Rotation.RotationEnabled, m.notifications, m.canLogin = false, false, false }),
		"pending-connect": with(func(m *model) {
			away(&m.status)
			m.status.State, m.pending = ipc.StateConnecting, connecting
		}),
		"pending-rotate": with(func(m *model) { m.pending = rotating }),
		"pending-stop":   with(func(m *model) { m.pending = stopping }),
		"pending-import": with(func(m *model) { m.pending = importing }),
		"pending-quit":   with(func(m *model) { m.pending = quitting }),
		"notice":         with(func(m *model) { m.notice = "paris-2 is not usable: no answer through it" }),
		"many": with(func(m *model) {
			m.configs = nil
			for i := range 1000 {
				m.configs = append(m.configs, ipc.ConfigPayload{ID: int64(i + 1), Name: fmt.Sprintf("server-%d", i+1), Rank: i + 1, LatencyMillis: int64(20 + i)})
			}
		}),
		"active-is-slow": with(func(m *model) {
			m.configs = nil
			for i := range 30 {
				m.configs = append(m.configs, ipc.ConfigPayload{ID: int64(30 - i), Name: fmt.Sprintf("server-%d", 30-i), Rank: i + 1})
			}
		}),
		"hostile": with(func(m *model) {
			m.status.Session.ConfigName = "شماره یک 🇮🇷"
			names := []string{"a\x00b\nc\td\x1b[31m", "\u202egnp.exe", strings.Repeat("long ", 60), "👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦", "<b>bold</b> & \"_quoted_\"", "\xff\xfe", ""}
			m.configs = nil
			for i, name := range names {
				m.configs = append(m.configs, ipc.ConfigPayload{ID: int64(i + 1), Name: name})
			}
		}),
	}
	for name, m := range tests {
		t.Run(name, func(t *testing.T) {
			got := m.menu(noon).text()
			file := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil || got != string(want) {
				t.Errorf("the menu is\n%s\nwant (go test ./tray -update accepts it)\n%s%v", got, want, err)
			}
		})
	}
	golden, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(golden) != len(tests) {
		t.Errorf("%d golden files for %d tests", len(golden), len(tests))
	}
	states := map[ipc.State]bool{}
	for _, m := range tests {
		states[m.status.State] = true
	}
	for _, s := range []ipc.State{ipc.StateDisconnected, ipc.StateConnecting, ipc.StateConnected, ipc.StateDegraded, ipc.StateRotating, ipc.StateFailed} {
		if !states[s] {
			t.Errorf("no menu of the state %s", s)
		}
	}
}

// Whatever is visible has a text, every icon exists, and one can always quit.
func TestEveryMenuIsComplete(t *testing.T) {
	for _, a := range []attachment{looking, starting, attached, absent, unusable} {
		for _, s := range []ipc.State{"", ipc.StateDisconnected, ipc.StateConnecting, ipc.StateConnected, ipc.StateDegraded, ipc.StateRotating, ipc.StateFailed} {
			for c := idle; c <= quitting; c++ {
				m := sample()
				m.attachment, m.status.State, m.pending = a, s, c
				shown := m.menu(noon)
				if len(shown.Icon.Tray()) == 0 {
					t.Errorf("%d %q %d: no icon %q", a, s, c, shown.Icon)
				}
				for i, it := range shown.Items {
					if it.Visible && it.Title == "" && !slot(i).isConfig() {
						t.Errorf("%d %q %d: slot %d has no text", a, s, c, i)
					}
				}
				if !shown.Items[slotQuit].Enabled {
					t.Errorf("%d %q %d: no way to quit", a, s, c)
				}
			}
		}
	}
}

func TestIconsAreThere(t *testing.T) {
	for _, icon := range assets.Icons() {
		if len(icon.Tray()) == 0 {
			t.Errorf("%s is empty", icon)
		}
	}
}

// Configs that the daemon would not choose are offered behind all others.
func TestBestFirst(t *testing.T) {
	var got []int64
	for _, c := range bestFirst([]ipc.ConfigPayload{{ID: 1}, {ID: 2, Rank: 2}, {ID: 3}, {ID: 4, Rank: 1}}) {
		got = append(got, c.ID)
	}
	if want := []int64{4, 2, 1, 3}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
