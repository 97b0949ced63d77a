//go:build linux && !soak

package e2e

import "time"

const (
	chaosTime = 12 * time.Second
	chaosRate = 20 // requests a second
	// browserPause lies between two faults.
	browserPause = time.Second
	// frozenCores is how many cores freeze.
	frozenCores = 2
)

var browserFaults = map[string][]string{"SOCKS": {"freeze", "curtain", "rotation"}, "HTTP CONNECT": {"kill", "dead exit", "curtain"}}
