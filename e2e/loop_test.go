//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/proxy"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
	"github.com/xrat-tray/xrat/runtime/socks5"
)

// detour is a SOCKS proxy of somebody else on this machine.
type detour struct {
	through atomic.Pointer[string] // another proxy; nil: none
	group   sync.WaitGroup
}

// detour starts one and imports it.
func (b *box) detour() *detour {
	b.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(b.t, err)
	d := new(detour)
	d.group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			d.group.Go(func() { d.serve(conn) })
		}
	})
	b.t.Cleanup(func() {
		listener.Close()
		d.group.Wait()
	})
	b.okInput(fmt.Sprintf("socks://%s#detour\n", listener.Addr()), "import")
	return d
}

// leadTo sends what comes from now on through another proxy.
func (d *detour) leadTo(address string) { d.through.Store(&address) }

func (d *detour) serve(client net.Conn) {
	defer client.Close()
	client.SetDeadline(time.Now().Add(30 * time.Second))
	said := make([]byte, 0, 4096)
	take := func(cut func() (n int, err error)) error {
		for {
			n, err := cut()
			if err == nil {
				said = said[n:]
			}
			if !errors.Is(err, socks5.ErrShort) {
				return err
			}
			n, err = client.Read(said[len(said):cap(said)])
			if said = said[:len(said)+n]; err != nil {
				return err
			}
		}
	}
	err := take(func() (n int, err error) {
		_, n, err = socks5.CutGreeting(said)
		return n, err
	})
	if err != nil {
		return
	}
	client.Write([]byte{socks5.Version, socks5.MethodNone})
	var dest socks5.Address
	err = take(func() (n int, err error) {
		_, dest, n, err = socks5.CutRequest(said)
		return n, err
	})
	destination, numeric := dest.AddrPort()
	if err != nil || !numeric { // the lab has no names
		return
	}
	var out proxy.Dialer = proxy.Direct
	if through := d.through.Load(); through != nil {
		out, _ = proxy.SOCKS5("tcp", *through, nil, proxy.Direct)
	}
	server, err := out.Dial("tcp", destination.String())
	if err != nil {
		return
	}
	defer server.Close()
	server.SetDeadline(time.Now().Add(30 * time.Second))
	client.Write(socks5.AppendReply(nil, socks5.ReplySucceeded, netip.AddrPortFrom(netip.IPv4Unspecified(), 0)))
	d.group.Go(func() {
		server.Write(said)
		io.Copy(server, client)
		server.Close()
	})
	io.Copy(client, server)
}

// descriptors is how many a process has open.
func descriptors(t *testing.T, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	must(t, err)
	return len(entries)
}

// A config that leads back to the front by way of another proxy is found out by what a probe has
// sent: every check of it would be answered by the server in use.
func TestDetourIsRefused(t *testing.T) {
	b := newBox(t, "[rotation]\ninterval = \"0s\"\n")
	b.serve(lab.VLESS)
	b.detour().leadTo(b.socks)
	b.ok("connect", "s1")
	for _, command := range []string{"rotate", "connect"} {
		b.fails(1, "leads back to xrat", command, "detour")
	}
	var tested ipc.TestResultPayload
	if b.into(&tested, "test", "detour"); tested.OK || tested.Code != ipc.TestCodeLoop {
		t.Errorf("test: %+v", tested)
	}
	b.fails(1, "leads back to xrat", "rotate") // nobody else is there
	if p := b.status(); p.Session == nil || p.Session.ConfigName != "s1" || p.Standby != nil {
		t.Errorf("session %+v, standby %+v", p.Session, p.Standby)
	}
	if got := b.exit(); got != "s1" {
		t.Errorf("out by %s", got)
	}
}

// A server in use that begins to lead back is left, and until then one connection does not become
// thousands.
func TestLoopInUseIsLeft(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS)
	d := b.detour()
	b.ok("connect", "detour")
	before := b.await("a standby", patience, func(p ipc.StatusPayload) bool { return p.Standby != nil })
	pids := b.planes()
	load := b.startLoad(50, 0)
	d.leadTo(b.socks)
	most := 0
	after := b.await("another server", patience, func(p ipc.StatusPayload) bool {
		for _, pid := range pids {
			most = max(most, descriptors(t, pid))
		}
		return p.Session != nil && p.Session.ConfigName == "s1"
	})
	load.stop()
	t.Logf("%d of %d requests failed; %d descriptors at most", load.failed.Load(), load.sent.Load(), most)
	if most > 2000 {
		t.Errorf("%d descriptors", most)
	}
	if after.Session.ID == before.Session.ID {
		t.Error("the same session")
	}
	if why := b.ok("why"); !strings.Contains(why, "leads back to xrat") {
		t.Errorf("why:\n%s", why)
	}
	if got := b.exit(); got != "s1" {
		t.Errorf("out by %s", got)
	}
}
