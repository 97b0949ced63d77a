//go:build linux && !soak

package e2e

import "time"

const (
	chaosTime = 15 * time.Second
	chaosRate = 20 // requests a second
)
