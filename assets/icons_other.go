//go:build !windows

package assets

import "embed"

//go:embed icons/*.png
var icons embed.FS

const iconType = ".png"
