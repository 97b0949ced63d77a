package subscription

import (
	"cmp"
	"os"
)

// systemVersion returns the name of the distribution and its version.
func systemVersion() string {
	text, err := os.ReadFile("/etc/os-release")
	if err != nil {
		text, _ = os.ReadFile("/usr/lib/os-release")
	}
	return cmp.Or(osRelease(string(text), "PRETTY_NAME"), osRelease(string(text), "NAME"))
}
