//go:build !unix

package xray

// yieldPriority does nothing: a core keeps the priority of who started it.
func yieldPriority(int) {}
