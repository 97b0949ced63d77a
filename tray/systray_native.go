//go:build windows || (darwin && cgo)

package tray

import (
	"runtime"

	"fyne.io/systray"
)

// mnemonic marks the key of a label; macOS has none.
var mnemonic = map[string]string{"windows": "&"}[runtime.GOOS]

// runSystray shows the icon, calls ready in a goroutine of its own, and returns when done is
// closed. It must run on the process's first thread.
func runSystray(ready func(), done <-chan struct{}) {
	go func() {
		<-done
		systray.Quit()
	}()
	systray.Run(ready, nil)
}

// restartSystray does nothing: here the icon does not hang on a bus.
func restartSystray() {}
