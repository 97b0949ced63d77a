//go:build !windows

package assets

import _ "embed"

// Panels ask for 16 to 24 pixels, on dense screens for twice as many, and make
// one picture fit: this size is the double of the most usual one.
var (
	//go:embed icons/hicolor/48x48/apps/xrat-disconnected.png
	disconnected []byte
	//go:embed icons/hicolor/48x48/apps/xrat-connecting.png
	connecting []byte
	//go:embed icons/hicolor/48x48/apps/xrat-connected.png
	connected []byte
	//go:embed icons/hicolor/48x48/apps/xrat-degraded.png
	degraded []byte
	//go:embed icons/hicolor/48x48/apps/xrat-failed.png
	failed []byte
)

var trayIcons = map[Icon][]byte{
	Disconnected: disconnected, Connecting: connecting, Connected: connected, Degraded: degraded, Failed: failed,
}
