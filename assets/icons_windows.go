package assets

import _ "embed"

var (
	//go:embed icons/disconnected.ico
	disconnected []byte
	//go:embed icons/connecting.ico
	connecting []byte
	//go:embed icons/connected.ico
	connected []byte
	//go:embed icons/degraded.ico
	degraded []byte
	//go:embed icons/failed.ico
	failed []byte
)

var trayIcons = map[Icon][]byte{
	Disconnected: disconnected, Connecting: connecting, Connected: connected, Degraded: degraded, Failed: failed,
}
