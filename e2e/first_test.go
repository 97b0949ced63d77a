//go:build linux

package e2e

import (
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/lab"
)

// Protocols in which the server speaks first (SSH, SMTP) work through the front.
func TestServerSpeaksFirst(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	b.serve(lab.VLESS, lab.VMess, lab.Shadowsocks, lab.Trojan)
	for _, s := range b.servers {
		b.ok("connect", s.Name())
		for range 3 {
			conn, err := b.dial(b.lab.Origin().TCPAddress())
			must(t, err)
			conn.SetDeadline(time.Now().Add(10 * time.Second))
			greeting := make([]byte, 64)
			n, err := conn.Read(greeting)
			if want := "hello " + s.Name() + "\n"; err != nil || string(greeting[:n]) != want {
				t.Fatalf("%s: greeting %q, %v; want %q", s.Name(), greeting[:n], err, want)
			}
			conn.Close()
		}
	}
}
