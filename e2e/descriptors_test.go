//go:build linux

package e2e

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/lab"
)

// With few descriptors more connections come than there is room for: those that are there go on,
// new ones are refused, the daemon can be asked and even lost, and all is well afterwards.
func TestFewDescriptors(t *testing.T) {
	b := newBox(t, "")
	start := exec.Command("/bin/sh", "-c", `ulimit -n 256 && exec "$0" daemon start`, b.program)
	start.Env = b.env
	if said, err := start.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	b.serve(lab.VLESS)
	b.ok("connect")
	type tunnel struct {
		net.Conn
		*bufio.Reader
	}
	var mu sync.Mutex
	var dialing sync.WaitGroup
	var tunnels []tunnel
	refused := 0
	for range 400 {
		dialing.Go(func() {
			conn, err := b.dial(b.lab.Origin().TCPAddress())
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				refused++
				return
			}
			tunnels = append(tunnels, tunnel{conn, bufio.NewReader(conn)})
		})
	}
	dialing.Wait()
	for i, c := range tunnels {
		defer c.Conn.Close()
		c.SetDeadline(time.Now().Add(15 * time.Second))
		if line, err := c.ReadString('\n'); err != nil || !strings.HasPrefix(line, "hello") {
			t.Fatalf("tunnel %d: %q, %v", i, line, err)
		}
	}
	if len(tunnels) < 64 || refused < 200 {
		t.Errorf("%d tunnels, %d refused", len(tunnels), refused)
	}
	b.dies()
	for i, c := range tunnels {
		c.SetDeadline(time.Now().Add(15 * time.Second))
		if _, err := c.Write([]byte("still there\n")); err != nil {
			t.Fatalf("tunnel %d: %v", i, err)
		}
		if line, err := c.ReadString('\n'); err != nil || line != "still there\n" {
			t.Fatalf("tunnel %d: %q, %v", i, line, err)
		}
	}
	for _, c := range tunnels {
		c.Conn.Close()
	}
	b.eventually("new connections are taken again", func() bool {
		_, err := b.get("/exit")
		return err == nil
	})
	log, err := os.ReadFile(b.path("state/xrat/front.log"))
	must(t, err)
	if !strings.Contains(string(log), "too many connections for the limit of open files") {
		t.Errorf("the log says nothing:\n%s", log)
	}
}
