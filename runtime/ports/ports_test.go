package ports

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestTheHolderOfAPortIsNamed(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "0.0.0.0:0"} {
		listener, err := net.Listen("tcp", listen)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(listener.Addr().String())
		address := net.JoinHostPort("127.0.0.1", port)

		name, pid, ok := holder(address)
		self, _ := os.Executable()
		if !ok || pid != os.Getpid() || !strings.HasPrefix(filepath.Base(self), name) || name == "" {
			t.Errorf("%s: holder %q, pid %d, %v; want this process", listen, name, pid, ok)
		}
		err = CheckFree(address)
		if err == nil || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v does not name this process", listen, err)
		}
		listener.Close()
		if err := CheckFree(address); err != nil {
			t.Errorf("%s: after closing: %v", listen, err)
		}
		if name, pid, ok := holder(address); ok {
			t.Errorf("%s: after closing: held by %q (pid %d)", listen, name, pid)
		}
	}
}

func TestBadAddressesAreNotFree(t *testing.T) {
	for _, address := range []string{"", "127.0.0.1", "127.0.0.1:99999", "192.0.2.1:1080"} { // the last: RFC 5737, not ours
		if CheckFree(address) == nil && address != "" {
			t.Errorf("%q passed for free", address)
		}
		if _, _, ok := holder(address); ok {
			t.Errorf("%q has a holder", address)
		}
	}
}
