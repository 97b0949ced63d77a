// Package assets owns the files that are built into the programs: the icons of
// the tray's states and the desktop entry. The icons are drawn by assets/draw;
// "go generate ./assets" makes them anew.
package assets

import _ "embed"

//go:generate go run ./draw -out icons -preview ../docs/pictures/icons.png

// Icon names what the tray's icon says.
type Icon string

// The icons. Connecting is also for rotating.
const (
	Disconnected Icon = "disconnected"
	Connecting   Icon = "connecting"
	Connected    Icon = "connected"
	Degraded     Icon = "degraded"
	Failed       Icon = "failed"
)

// Icons lists all of them.
func Icons() []Icon { return []Icon{Disconnected, Connecting, Connected, Degraded, Failed} }

// Tray returns the icon as the system's tray takes it: ICO on Windows, PNG
// elsewhere. It must not be changed.
func (i Icon) Tray() []byte { return trayIcons[i] }

// DesktopEntry is the entry of the tray for menus and for autostart. Its Exec
// line holds @EXEC@ in place of the program.
//
//go:embed xrat-tray.desktop
var DesktopEntry string
