//go:build linux || freebsd || openbsd || netbsd

package tray

import "fyne.io/systray"

// mnemonic marks the key of a label (libdbusmenu, property "label").
const mnemonic = "_"

// runSystray shows the icon, calls ready in a goroutine of its own, and returns when done is
// closed. The icon goes when the process does: systray.Quit would only close the connection to the
// bus, and panics when there is none.
func runSystray(ready func(), done <-chan struct{}) {
	systray.SetTitle("xrat")
	start, _ := systray.RunWithExternalLoop(ready, nil)
	start()
	<-done
}

// restartSystray registers the icon again after the session bus was replaced.
func restartSystray() {
	start, _ := systray.RunWithExternalLoop(nil, nil)
	start()
}
