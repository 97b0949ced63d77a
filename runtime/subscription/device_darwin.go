package subscription

import "golang.org/x/sys/unix"

func systemVersion() string {
	version, _ := unix.Sysctl("kern.osproductversion")
	return version
}
