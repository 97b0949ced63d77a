//go:build !windows && !darwin

package settings

// subfolder is empty: every purpose has a base directory of its own here.
func subfolder(string) string { return "" }
