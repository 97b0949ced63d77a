package route

import (
	"os"
	"path/filepath"
	"testing"
)

func TestRouter(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	routes := write("route", "Iface\tDestination\tGateway \tFlags\nwlan0\t0001A8C0\t00000000\t0001\nwlan0\t00000000\t0101A8C0\t0003\n")
	arp := write("arp", "IP address       HW type     Flags       HW address            Mask     Device\n"+
		"192.168.1.1      0x1         0x2         02:fc:00:00:00:05     *        eth0\n"+
		"192.168.1.1      0x1         0x2         02:fc:00:00:00:06     *        wlan0\n"+
		"192.168.1.2      0x1         0x0         00:00:00:00:00:00     *        wlan0\n")
	router, device := defaultRouter(routes)
	if router != "192.168.1.1" || device != "wlan0" {
		t.Errorf("router %q on %q", router, device)
	}
	if got := hardwareOf(arp, router, device); got != "02:fc:00:00:00:06" {
		t.Errorf("hardware %q", got)
	}
	if got := hardwareOf(arp, "192.168.1.2", device); got != "" {
		t.Errorf("hardware of nobody: %q", got)
	}
	if router, _ := defaultRouter(arp); router != "" {
		t.Errorf("router %q out of another table", router)
	}
	if a, b := Network(), Network(); a != b {
		t.Errorf("one network has the names %q and %q", a, b)
	}
}
