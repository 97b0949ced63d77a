package assets

import "embed"

//go:embed icons/*.ico
var icons embed.FS

const iconType = ".ico"
