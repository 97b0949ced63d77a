package front

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/xrat-tray/xrat/daemon/settings"
)

// What the settings accept must open, and what they refuse need not: a daemon that starts and then
// cannot listen would have been told too late.
func TestAddressesAreThoseOfTheSettings(t *testing.T) {
	for _, address := range []string{
		"127.0.0.1:10808", "127.0.0.2:1", "[::1]:10808", "[127.0.0.1]:10808", "[::ffff:127.0.0.1]:10808", "[::1%lo]:10808", "127.0.0.1:010808",
		"localhost:10808", "LocalHost:10808", "[localhost]:10808", "localhost:65535",
		":10808", "0.0.0.0:10808", "[::]:10808", "192.0.2.1:10808", "[2001:db8::1]:10808", "[fe80::1%eth0]:10808",
		"", ":", "localhost", "localhost:", "10808", "::1:10808", "::1", "[::1]", "[]:10808", "example.org:10808", "localhost.:10808",
		"127.1:10808", "0x7f.0.0.1:10808", "127.0.0.1:http", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:+1", " 127.0.0.1:10808", "127.0.0.1:10808 ",
	} {
		for _, password := range []string{"", "secret"} {
			text := fmt.Sprintf("[front]\nsocks = %q\nhttp = \"127.0.0.3:1\"\n", address)
			if password != "" {
				text += fmt.Sprintf("username = \"me\"\npassword = %q\n", password)
			}
			path := filepath.Join(t.TempDir(), "settings.toml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, want := settings.Load(path)
			if _, got := parseAddress(address, password != ""); (got == nil) != (want == nil) {
				t.Errorf("%q with password %q: the front says %v, the settings %v", address, password, got, want)
			}
		}
	}
}

// localhost stands for 127.0.0.1, and no host for every address of the machine.
func TestOpenWithoutIPAddress(t *testing.T) {
	f := openFront(t, func(o *Options) { o.SOCKS, o.HTTP, o.Username, o.Password = "localhost:0", ":0", "me", "pw" })
	socks, web := f.Addresses()
	if host, _, err := net.SplitHostPort(socks); host != "127.0.0.1" || err != nil {
		t.Errorf("localhost was opened as %s", socks)
	}
	_, port, err := net.SplitHostPort(web)
	if err != nil {
		t.Fatal(err)
	}
	dialFront(t, socks)
	dialFront(t, net.JoinHostPort("127.0.0.1", port))
}
