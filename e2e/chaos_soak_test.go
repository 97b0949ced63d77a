//go:build linux && soak

package e2e

import "time"

const (
	chaosTime = 10 * time.Minute
	chaosRate = 50 // requests a second
)
