package route

import (
	"net"
	"testing"
)

// This machine is known by each of its addresses, in every spelling, and no other machine is.
func TestOwn(t *testing.T) {
	own := []string{"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "0.0.0.0", "::", "localhost", "LOCALHOST"}
	if all, err := net.InterfaceAddrs(); err == nil {
		for _, a := range all {
			own = append(own, a.(*net.IPNet).IP.String())
		}
	}
	for _, host := range own {
		if !Own(t.Context(), host) {
			t.Errorf("%s is taken for another machine", host)
		}
	}
	for _, host := range []string{"192.0.2.1", "2001:db8::1", "name.invalid", ""} {
		if Own(t.Context(), host) {
			t.Errorf("%q is taken for this machine", host)
		}
	}
}
