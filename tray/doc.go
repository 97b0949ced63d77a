// Package tray is the face of xrat in the panel of a desktop: an icon, a menu and
// notifications. It owns what they say and how the tray finds, starts and follows
// the daemon. It owns nothing of the proxy: all that it shows comes from the
// daemon's socket, and all that it does is a request there.
//
// One goroutine (tray.go) owns the state. The menu is a pure function of it
// (menu.go), and so is what is worth a notification (incident.go). Whatever can
// take time runs elsewhere and reports back: the subscription (attach.go),
// requests (commands.go), drawing (paint.go), notifications (notify*.go).
package tray
