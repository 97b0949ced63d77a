package tray

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/assets"
	"github.com/xrat-tray/xrat/daemon/ipc"
)

// slot is a place in the menu. All places are made once, since taking items away closes menus that
// are open; those that are not needed are hidden.
type slot int

// The slots in their order; those of the submenu come last.
const (
	slotHeader slot = iota
	slotNotice
	slotInbound
	_
	_
	slotInboundLast
	slotSession
	slotSwitched
	slotConnect
	slotRotate
	slotStop
	slotAutoRotate
	slotNotifications
	slotLogin
	slotCopy
	slotImport
	slotLogs
	slotQuit
	slotStopQuit
	slotConfig
	slotConfigLast = slotConfig + maxConfigs - 1
	slotMore       = slotConfigLast + 1
	slotCount      = slotMore + 1
)

// maxConfigs is how many configs the menu offers.
const maxConfigs = 25

// checkable reports whether a slot can carry a tick.
func (s slot) checkable() bool {
	return s == slotAutoRotate || s == slotNotifications || s == slotLogin || s.isConfig()
}

func (s slot) isConfig() bool { return s >= slotConfig && s <= slotConfigLast }

// endsGroup reports whether a line follows the slot.
func (s slot) endsGroup() bool {
	return s == slotSwitched || s == slotStop || s == slotLogin || s == slotLogs
}

// item is what one slot shows.
type item struct {
	Title                     string
	Visible, Enabled, Checked bool
	// Config is what a config's slot connects to.
	Config int64
}

// menu is everything that the user sees of the tray. It can be compared.
type menu struct {
	Icon    assets.Icon
	Tooltip string
	Items   [slotCount]item
}

// attachment is how the tray is attached to the daemon.
type attachment int

const (
	looking  attachment = iota // for the daemon, for the first time
	starting                   // the daemon, because the user or the tray's own start wants it
	attached
	absent
	unusable // it is there, but something is wrong with it
)

// command is what the user has asked for and the daemon has not answered yet.
type command int

const (
	idle command = iota
	connecting
	rotating
	stopping
	importing
	quitting
)

// model is what the menu is made of.
type model struct {
	attachment attachment
	status     ipc.StatusPayload // valid while attached
	configs    []ipc.ConfigPayload
	pending    command
	// notice says which command did not work, or why the daemon is unusable.
	notice        string
	notifications bool
	login         bool
	canLogin      bool // there is a way to start at login
}

// menu is a pure function of the model and the time.
func (m *model) menu(now time.Time) menu {
	header, icon := m.header()
	shown := menu{Icon: icon, Tooltip: "xrat · " + header}
	row := func(s slot, title string, enabled bool) *item {
		shown.Items[s] = item{Title: title, Visible: true, Enabled: enabled}
		return &shown.Items[s]
	}
	row(slotHeader, header, m.attachment == absent)
	if text := m.explanation(); text != "" {
		row(slotNotice, text, false)
	}
	online := m.attachment == attached
	if online {
		m.facts(now, row)
	}
	m.commands(online, row)
	row(slotAutoRotate, "Auto-rotate", online).Checked = online && m.status.Rotation.RotationEnabled
	row(slotNotifications, "Notifications", true).Checked = m.notifications
	if m.canLogin {
		row(slotLogin, "Start at login", true).Checked = m.login
	}
	row(slotCopy, "Copy proxy settings for the shell", online)
	if m.pending == importing {
		row(slotImport, "Importing…", false)
	} else {
		row(slotImport, "Import from clipboard", online)
	}
	row(slotLogs, "Open logs", true)
	row(slotQuit, "Quit tray (proxy keeps running)", true)
	if m.pending == quitting {
		row(slotStopQuit, "Stopping…", false)
	} else {
		row(slotStopQuit, "Stop proxy and quit", true)
	}
	return shown
}

// header is the state in one line, and its icon.
func (m *model) header() (string, assets.Icon) {
	switch m.attachment {
	case looking:
		return "Looking for the daemon…", assets.Disconnected
	case starting:
		return "Starting the daemon…", assets.Connecting
	case absent:
		return "Daemon not running · Start", assets.Disconnected
	case unusable:
		return "Daemon not usable", assets.Failed
	}
	var name, latency string
	if s := m.status.Session; s != nil {
		name = clean(s.ConfigName, nameWidth)
		latency = milliseconds(s.LatencyMillis)
	}
	switch m.status.State {
	case ipc.StateConnecting:
		return join("Connecting…", name), assets.Connecting
	case ipc.StateRotating:
		return join("Rotating…", name), assets.Connecting
	case ipc.StateConnected:
		return join("Connected", name, latency), assets.Connected
	case ipc.StateDegraded:
		if m.status.Condition == ipc.ConditionOffline {
			return join("Offline", name), assets.Degraded
		}
		return join("Degraded", name, checks(m.status.Rotation.ConsecutiveFailures)), assets.Degraded
	case ipc.StateFailed:
		return join("Failed", cmp.Or(name, "no server works, trying again")), assets.Failed
	case ipc.StateDisconnected:
		return "Disconnected", assets.Disconnected
	default:
		return cmp.Or(clean(string(m.status.State), nameWidth), "Unknown state"), assets.Degraded
	}
}

// explanation is the line below the header, if there is something to explain.
func (m *model) explanation() string {
	text := m.notice
	if text == "" && m.attachment == attached {
		switch m.status.State {
		case ipc.StateConnected, ipc.StateDisconnected:
		case ipc.StateDegraded:
			text = detail(m.status.Message) // the header says the rest
		default:
			text = m.status.Message
		}
		if text == "" && len(m.status.Warnings) > 0 {
			text = m.status.Warnings[0]
		}
	}
	return clean(text, rowWidth)
}

// facts are the rows about the session.
func (m *model) facts(now time.Time, row func(slot, string, bool) *item) {
	for i, in := range m.status.Inbounds {
		if s := slotInbound + slot(i); s <= slotInboundLast {
			row(s, fmt.Sprintf("%s %s · %s", strings.ToUpper(clean(in.Protocol, nameWidth)), clean(in.Address, nameWidth),
				strings.ReplaceAll(clean(in.State, nameWidth), "_", " ")), false)
		}
	}
	session := m.status.Session
	if session == nil {
		return
	}
	t := m.status.Traffic
	row(slotSession, fmt.Sprintf("Session %s · ↑ %s · ↓ %s", lasted(now.Sub(session.StartedAt)), size(t.UpBytes), size(t.DownBytes)), false)
	if r := m.status.LastRotation; r != nil && r.Trigger != ipc.TriggerManual && r.ToConfigID == session.ConfigID {
		row(slotSwitched, fmt.Sprintf("Switched from %s: %s, %s", clean(r.FromConfigName, nameWidth), why(r), ago(now.Sub(r.At))), false)
	}
}

// why is the short reason of an automatic rotation.
func why(r *ipc.RotationPayload) string {
	if r.Trigger == ipc.TriggerTimer {
		return "timer"
	}
	short, _, _ := strings.Cut(r.Reason, ":")
	short = strings.TrimSuffix(short, " in a row")
	return cmp.Or(clean(short, nameWidth), "it did not work")
}

// commands are the rows that do something to the proxy.
func (m *model) commands(online bool, row func(slot, string, bool) *item) {
	free := online && m.pending == idle
	state := m.status.State
	switch {
	case m.pending == connecting:
		row(slotConnect, "Connecting…", false)
	case online && len(m.configs) == 0:
		row(slotConnect, "Connect (import servers first)", false)
	default:
		row(slotConnect, "Connect", free)
	}
	switch {
	case m.pending == rotating || online && state == ipc.StateRotating:
		row(slotRotate, "Rotating…", false)
	default:
		row(slotRotate, "Rotate now", free && m.status.Session != nil && len(m.configs) > 1)
	}
	switch {
	case m.pending == stopping:
		row(slotStop, "Stopping…", false)
	default:
		row(slotStop, "Stop", online && state != ipc.StateDisconnected && m.pending != quitting)
	}
	if !online {
		return
	}
	for i, c := range m.offers() {
		name := cmp.Or(clean(c.Name, nameWidth), fmt.Sprintf("config %d", c.ID))
		it := row(slotConfig+slot(i), join(name, health(c)), free)
		it.Config, it.Checked = c.ID, m.active(c)
	}
	if len(m.configs) > maxConfigs {
		row(slotMore, "More: use xrat list", false)
	}
}

func (m *model) active(c ipc.ConfigPayload) bool {
	return m.status.Session != nil && m.status.Session.ConfigID == c.ID
}

// offers are the configs to choose from: the best, and the active one in any case.
func (m *model) offers() []ipc.ConfigPayload {
	best := m.configs[:min(len(m.configs), maxConfigs)]
	if at := slices.IndexFunc(m.configs, m.active); at >= maxConfigs {
		best = append(slices.Clone(best[:maxConfigs-1]), m.configs[at])
	}
	return best
}

// health is what is known of a config, in a word.
func health(c ipc.ConfigPayload) string {
	switch {
	case c.LastFailure != nil && (c.LastSuccess == nil || c.LastSuccess.Before(*c.LastFailure)):
		return "failed last time"
	default:
		return milliseconds(c.LatencyMillis)
	}
}

// bestFirst sorts configs as the daemon would try them, and those that it would not behind them.
func bestFirst(configs []ipc.ConfigPayload) []ipc.ConfigPayload {
	return slices.SortedFunc(slices.Values(configs), func(a, b ipc.ConfigPayload) int {
		return cmp.Or(cmp.Compare(uint(a.Rank-1), uint(b.Rank-1)), cmp.Compare(a.ID, b.ID))
	})
}
