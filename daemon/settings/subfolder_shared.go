//go:build windows || darwin

package settings

// subfolder keeps the purposes apart where they share one base directory.
func subfolder(purpose string) string { return purpose }
