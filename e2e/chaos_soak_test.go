//go:build linux && soak

package e2e

import "time"

const (
	chaosTime = 10 * time.Minute
	chaosRate = 50 // requests a second
	// browserPause lies between two faults.
	browserPause = 20 * time.Second
	// frozenCores is how many cores freeze.
	frozenCores = 5
)

var allFaults = []string{"kill", "freeze", "curtain", "blackhole", "dead exit", "rotation"}

var browserFaults = map[string][]string{"SOCKS": allFaults, "HTTP CONNECT": allFaults}
