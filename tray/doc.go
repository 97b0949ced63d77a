// Package tray shows xrat in the panel of a desktop: an icon, a menu and notifications. It owns
// what they say, and how the tray finds, starts and follows the daemon. It knows nothing of the
// proxy: all that it shows comes from the daemon's socket, and all that it does is a request there.
//
// One goroutine (tray.go) owns the state. The menu is a pure function of the state (menu.go), and
// so is the decision what is worth a notification (incident.go). Whatever can take time runs in
// goroutines of its own: following the daemon (attach.go), requests (commands.go, list.go,
// clipboard.go), drawing (paint.go) and notifications (notify.go).
//
// The libraries are each used in one place: systray in systray*.go, beeep in notify_plain.go, the
// session bus in notify_bus.go and notify_dbus.go, the clipboard in system.go.
package tray
