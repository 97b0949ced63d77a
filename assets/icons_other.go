//go:build !windows

package assets

import _ "embed"

var (
	//go:embed icons/disconnected.png
	disconnected []byte
	//go:embed icons/connecting.png
	connecting []byte
	//go:embed icons/connected.png
	connected []byte
	//go:embed icons/degraded.png
	degraded []byte
	//go:embed icons/failed.png
	failed []byte
)

var trayIcons = map[Icon][]byte{
	Disconnected: disconnected, Connecting: connecting, Connected: connected, Degraded: degraded, Failed: failed,
}
