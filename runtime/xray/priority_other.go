//go:build !unix

package xray

// yieldPriority does nothing: a core keeps the priority of whoever started it.
func yieldPriority(int) {}
