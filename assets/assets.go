// Package assets owns the files that are built into the programs: the icons of the tray's states
// and the desktop entry. It does not own how the icons look: assets/draw draws them, when "go
// generate ./assets" is run.
package assets

import _ "embed" // for DesktopEntry

//go:generate go run ./draw -out icons -preview ../docs/pictures/icons.png

// Icon is one of the tray's icons, named for the state that it shows.
type Icon string

// The icons. Connecting also shows a rotation.
const (
	Disconnected Icon = "disconnected"
	Connecting   Icon = "connecting"
	Connected    Icon = "connected"
	Degraded     Icon = "degraded"
	Failed       Icon = "failed"
)

// Icons returns all icons.
func Icons() []Icon { return []Icon{Disconnected, Connecting, Connected, Degraded, Failed} }

// Tray returns the icon as the system's tray takes it: ICO on Windows, PNG elsewhere.
func (i Icon) Tray() []byte {
	picture, _ := icons.ReadFile("icons/" + string(i) + iconType) // all of them are embedded
	return picture
}

// DesktopEntry is the entry of the tray for menus and for autostart. Its Exec line contains @EXEC@
// in place of the program's path.
//
//go:embed xrat-tray.desktop
var DesktopEntry string
