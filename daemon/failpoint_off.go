//go:build !failpoints

package daemon

// failpoint marks a moment at which a test build can let the daemon die.
func failpoint(string) {}
