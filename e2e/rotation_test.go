//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/lab"
)

// The promise: a rotation breaks nothing.
func TestRotationsUnderLoad(t *testing.T) {
	// The streams live from before the first rotation to after the last, which on a busy machine
	// can be more than the default drain.
	b := newBox(t, "[rotation]\ndrain = \"5m\"\n")
	b.serve(lab.VLESS, lab.VLESSWS, lab.Trojan)
	b.ok("connect", "s1")
	load := b.startLoad(100, 10)
	used := map[string]int{}
	for i := range 20 {
		before := b.status()
		var p ipc.ReplacePayload
		must(t, json.Unmarshal([]byte(b.ok("rotate", "--json")), &p))
		if !p.Replaced || *p.OldSessionID != before.Session.ID || p.NewConfigID == before.Session.ConfigID {
			t.Errorf("rotation %d: %+v", i, p)
		}
		used[b.exit()]++
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond)
	load.stop()
	load.check(t)
	if len(used) != 3 {
		t.Errorf("20 rotations used %v", used)
	}
	after := b.status()
	if r := after.Rotation; r.LastResult != "replaced" || *r.LastTrigger != ipc.TriggerManual || !r.CooldownActive {
		t.Errorf("rotation %+v", r)
	}
	if after.Traffic.Connections == 0 || after.Traffic.DownBytes == 0 {
		t.Errorf("traffic %+v", after.Traffic)
	}
}

// association is a UDP association of an application with the front.
type association struct {
	t       testing.TB
	control net.Conn
	relay   *net.UDPConn
	origin  netip.AddrPort
}

func (b *box) associate() *association {
	b.t.Helper()
	control, err := net.Dial("tcp", b.socks)
	must(b.t, err)
	b.t.Cleanup(func() { control.Close() })
	control.SetDeadline(time.Now().Add(10 * time.Second))
	_, err = control.Write([]byte{5, 1, 0, 5, 3, 0, 1, 0, 0, 0, 0, 0, 0})
	must(b.t, err)
	reply := make([]byte, 2+10)
	for n := 0; n < len(reply); {
		m, err := control.Read(reply[n:])
		must(b.t, err)
		n += m
	}
	if reply[3] != 0 || reply[5] != 1 {
		b.t.Fatalf("UDP ASSOCIATE was answered with %v", reply)
	}
	control.SetDeadline(time.Time{})
	relay := &net.UDPAddr{IP: reply[6:10], Port: int(reply[10])<<8 | int(reply[11])}
	conn, err := net.DialUDP("udp", nil, relay)
	must(b.t, err)
	b.t.Cleanup(func() { conn.Close() })
	return &association{b.t, control, conn, netip.MustParseAddrPort(b.lab.Origin().UDPAddress())}
}

// exit asks which server datagrams leave through; they may get lost, so it asks again.
func (a *association) exit() string {
	a.t.Helper()
	ip := a.origin.Addr().As4()
	datagram := append([]byte{0, 0, 0, 1}, ip[:]...)
	datagram = append(datagram, byte(a.origin.Port()>>8), byte(a.origin.Port()))
	datagram = append(datagram, "exit"...)
	answer := make([]byte, 2048)
	for range 20 {
		_, err := a.relay.Write(datagram)
		must(a.t, err)
		a.relay.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		if n, err := a.relay.Read(answer); err == nil && n > 10 {
			return string(answer[10:n])
		}
	}
	a.t.Fatal("no answer to a datagram")
	return ""
}

func TestUDPMovesInARotation(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS, lab.Shadowsocks)
	b.ok("connect", "s1")
	a := b.associate()
	if got := a.exit(); got != "s1" {
		t.Errorf("before: datagrams leave through %q", got)
	}
	b.ok("rotate", "s2")
	if got := a.exit(); got != "s2" {
		t.Errorf("after: datagrams leave through %q", got)
	}
}

func TestDeadServerIsRotatedAway(t *testing.T) {
	for name, fault := range map[string]func(*lab.Server) error{
		"killed":    (*lab.Server).Kill,
		"frozen":    (*lab.Server).Freeze,
		"refuses":   (*lab.Server).Refuse,
		"dead exit": (*lab.Server).DeadExit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBox(t, "[rotation]\ncooldown = \"1s\"\n")
			b.settings(fmt.Sprintf("urls = [%q]\ninterval = \"1s\"\ntimeout = \"500ms\"\n", b.lab.Origin().URL("/generate_204")), "")
			b.serve(lab.VLESS, lab.VLESS)
			b.ok("connect", "s1")
			must(t, fault(b.servers[0]))
			status := b.await("a rotation", 40*time.Second, func(p ipc.StatusPayload) bool {
				return p.Session != nil && p.Session.ConfigName == "s2" && p.State == ipc.StateConnected
			})
			l := status.LastRotation
			if l == nil || l.Trigger != ipc.TriggerHealthCheckFailed || l.FromConfigName != "s1" || l.Reason == "" || status.Session.Trigger != ipc.TriggerHealthCheckFailed {
				t.Errorf("last rotation %+v", l)
			}
			if got := b.exit(); got != "s2" {
				t.Errorf("traffic leaves through %s", got)
			}
			why := func() {
				t.Helper()
				said := b.ok("why")
				for _, want := range []string{"Switched from s1 to s2", "health check failed", "What was measured:", "answered", "won"} {
					if !strings.Contains(said, want) {
						t.Errorf("no %q in what `xrat why` says:\n%s", want, said)
					}
				}
			}
			why()
			b.fails(4, "did not begin with a rotation", "why", "1")
			// It is known to the next daemon, too.
			b.ok("daemon", "restart")
			why()
		})
	}
}

func TestNothingHealthyKeepsTheOldSession(t *testing.T) {
	b := newBox(t, "")
	b.settings(fmt.Sprintf("urls = [%q]\ninterval = \"1s\"\ntimeout = \"300ms\"\n", b.lab.Origin().URL("/generate_204")), "")
	b.serve(lab.VLESS, lab.VLESS)
	b.ok("connect", "s1")
	session := b.status().Session.ID
	for _, s := range b.servers {
		must(t, s.Refuse())
	}
	status := b.await("a message", 30*time.Second, func(p ipc.StatusPayload) bool { return strings.Contains(p.Message, "staying on s1") })
	if status.State != ipc.StateDegraded || status.Session.ID != session || status.Rotation.LastResult != "all_failed" {
		t.Errorf("%+v", status)
	}
	for _, s := range b.servers {
		must(t, s.Heal())
	}
	status = b.await("recovery", 20*time.Second, connected)
	if status.Message != "" {
		t.Errorf("message %q", status.Message)
	}
}

// While a dead candidate is being tried, the daemon answers at once. The issue says 50 ms; the
// margin is for a busy machine.
func TestPingDuringARotation(t *testing.T) {
	b := newBox(t, "")
	b.serve(lab.VLESS, lab.VLESS)
	must(t, b.servers[1].Blackhole())
	b.ok("connect", "s1")
	var wg sync.WaitGroup
	wg.Go(func() { b.fails(1, "s2 is not usable", "rotate", "s2") })
	b.await("the rotation", 10*time.Second, func(p ipc.StatusPayload) bool { return p.State == ipc.StateRotating })
	var took []time.Duration
	for b.status().State == ipc.StateRotating {
		began := time.Now()
		if _, err := b.client().Ping(t.Context()); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began))
		if _, _, err := b.client().Rotate(t.Context(), 0); ipc.CodeOf(err) != ipc.CodeBusy && b.status().State == ipc.StateRotating {
			t.Errorf("a second rotation: %v", err)
		}
	}
	wg.Wait()
	slices.Sort(took)
	if len(took) < 5 {
		t.Fatalf("%d pings in the rotation", len(took))
	}
	if took[len(took)-1] > 500*time.Millisecond {
		t.Errorf("%d pings, the slowest took %v", len(took), took[len(took)-1])
	}
	if got := b.exit(); got != "s1" {
		t.Errorf("traffic leaves through %s", got)
	}
}
