package front

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// udpClient is an application with an association.
type udpClient struct {
	control net.Conn
	conn    *net.UDPConn
	relay   netip.AddrPort
}

func associateWith(t testing.TB, socks string) *udpClient {
	t.Helper()
	c := dialFront(t, socks)
	unspecified := socks5.AppendAddrPort(nil, netip.AddrPortFrom(netip.IPv4Unspecified(), 0))
	c.Write(socks5.AppendRequest(socks5.AppendOpening(nil, "", ""), socks5.CommandAssociate, unspecified))
	bound, _, err := socks5.ReadReplies(c, false)
	if err != nil {
		t.Fatal(err)
	}
	relay, _ := bound.AddrPort()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &udpClient{c, conn, relay}
}

func (u *udpClient) send(t testing.TB, dest, what string) {
	t.Helper()
	u.sendRaw(t, append(socks5.AppendAddrPort([]byte{0, 0, 0}, netip.MustParseAddrPort(dest)), what...))
}

func (u *udpClient) sendRaw(t testing.TB, b []byte) {
	t.Helper()
	if _, err := u.conn.WriteToUDPAddrPort(b, u.relay); err != nil {
		t.Fatal(err)
	}
}

func (u *udpClient) receive(t testing.TB, timeout time.Duration) (string, bool) {
	t.Helper()
	b := make([]byte, 65536)
	u.conn.SetReadDeadline(time.Now().Add(timeout))
	n, from, err := u.conn.ReadFromUDPAddrPort(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return "", false
	}
	if err != nil {
		t.Fatal(err)
	}
	if from.Port() != u.relay.Port() {
		t.Errorf("reply from %v, want %v", from, u.relay)
	}
	header, err := socks5.CutDatagram(b[:n])
	if err != nil {
		t.Fatal(err)
	}
	return string(b[header:n]), true
}

// exchange repeats, as UDP demands, until the echo is there.
func (u *udpClient) exchange(t testing.TB, dest, what string) {
	t.Helper()
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		u.send(t, dest, what)
		for {
			got, ok := u.receive(t, 300*time.Millisecond)
			if !ok {
				break
			}
			if got == what {
				return
			}
		}
	}
	t.Fatalf("no echo of %q", what)
}

func udpEcho(t testing.TB) string {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 65536)
		for {
			n, from, err := c.ReadFromUDPAddrPort(b)
			if err != nil {
				return
			}
			c.WriteToUDPAddrPort(b[:n], from)
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().String()
}

// A UDP association keeps its address when the target changes or its core dies, and ends with its
// TCP connection.
func TestUDPMovesWithTheTarget(t *testing.T) {
	checkLeaks(t)
	f := openFront(t, nil)
	echo := udpEcho(t)
	one, two := startRealCore(t), startRealCore(t)
	f.SetTarget(one.target(1))
	socks, _ := f.Addresses()
	u := associateWith(t, socks)
	u.exchange(t, echo, "through one")
	eventually(t, "one has counted", func() bool {
		c := f.Counters(1)
		return c.UpBytes >= 11 && c.DownBytes >= 11 && c.Open == 1
	})
	f.SetTarget(two.target(2))
	u.exchange(t, echo, "through two")
	eventually(t, "two has counted", func() bool {
		c := f.Counters(2)
		return c.UpBytes >= 11 && c.DownBytes >= 11 && c.Open == 1
	})
	// The old path ends by itself, well before a long drain does.
	if n := drain(f, 1, patience); n != 0 {
		t.Errorf("%d left on one", n)
	}
	// The core dies: the association waits for the next one and goes on.
	two.kill()
	eventually(t, "the path over the dead core is gone", func() bool { return f.Counters(2).Open == 0 })
	three := startRealCore(t)
	f.SetTarget(three.target(3))
	u.exchange(t, echo, "through three")
	u.control.Close()
	eventually(t, "the association ends with its TCP connection", func() bool { return f.Counters(3).Open == 0 })
}

// A datagram that comes while there is no target waits for one.
func TestUDPWaitsForATarget(t *testing.T) {
	f := openFront(t, nil)
	echo := udpEcho(t)
	k := startRealCore(t)
	socks, _ := f.Addresses()
	u := associateWith(t, socks)
	u.send(t, echo, "first")
	eventually(t, "the association waits", func() bool { return f.Waiting() == 1 })
	f.SetTarget(k.target(1))
	if got, ok := u.receive(t, patience); !ok || got != "first" {
		t.Fatalf("got %q %v", got, ok)
	}
}

// A path whose set-up a swap overtakes must not occupy the old core for longer than the replies to
// its datagram need.
func TestUDPPathOvertakenBySwap(t *testing.T) {
	f := openFront(t, nil)
	got, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer got.Close()
	two := startFakeCore(t, echoServe)
	one := startFakeCore(t, func(c net.Conn, _ socks5.Address) {
		f.SetTarget(two.target(2))
		c.Write([]byte{socks5.Version, socks5.MethodPassword, socks5.VersionPassword, 0})
		c.Write(socks5.AppendReply(nil, socks5.ReplySucceeded, got.LocalAddr().(*net.UDPAddr).AddrPort()))
		io.Copy(io.Discard, c)
	})
	f.SetTarget(one.target(1))
	socks, _ := f.Addresses()
	u := associateWith(t, socks)
	u.send(t, "192.0.2.1:53", "only one")
	got.SetReadDeadline(time.Now().Add(patience))
	if _, _, err := got.ReadFrom(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for a := range f.associations {
		a.mu.Lock()
		for p := range a.paths {
			if p.target.id != 1 || !p.retired.Load() {
				t.Errorf("the path over core %d: retired is %v", p.target.id, p.retired.Load())
			}
		}
		if len(a.paths) != 1 {
			t.Errorf("%d paths, want 1", len(a.paths))
		}
		a.mu.Unlock()
	}
}

// Datagrams of anybody but the client, fragments and nonsense go nowhere.
func TestUDPStrangersAndFragments(t *testing.T) {
	f := openFront(t, nil)
	echo := udpEcho(t)
	k := startRealCore(t)
	f.SetTarget(k.target(1))
	socks, _ := f.Addresses()
	u := associateWith(t, socks)
	u.exchange(t, echo, "mine")
	before := f.Counters(1).UpBytes

	stranger, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	dest := netip.MustParseAddrPort(echo)
	stranger.WriteToUDPAddrPort(append(socks5.AppendAddrPort([]byte{0, 0, 0}, dest), "theirs!"...), u.relay)
	other, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 2)})
	if err == nil {
		defer other.Close()
		other.WriteToUDPAddrPort(append(socks5.AppendAddrPort([]byte{0, 0, 0}, dest), "theirs!"...), u.relay)
	}
	u.sendRaw(t, append(socks5.AppendAddrPort([]byte{0, 0, 1}, dest), "fragment!"...))
	u.sendRaw(t, []byte{0, 0, 0, 9, 9})
	u.sendRaw(t, nil)
	u.exchange(t, echo, "more")
	// Datagrams on loopback keep their order: what was dropped would have been counted before
	// "more".
	if got := f.Counters(1).UpBytes - before; got%uint64(len("more")) != 0 {
		t.Errorf("%d bytes went up, not only ours", got)
	}
}

// The core lets datagrams in from an address a moment after it has answered for the first
// association; a datagram must not be sent before.
func TestUDPFirstDatagramArrives(t *testing.T) {
	dest := udpEcho(t)
	lost := 0
	const cores = 20
	for range cores {
		k := startRealCore(t)
		f := openFront(t, nil)
		f.SetTarget(k.target(1))
		socks, _ := f.Addresses()
		u := associateWith(t, socks)
		u.send(t, dest, "first")
		if _, ok := u.receive(t, time.Second); !ok {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("%d of %d first datagrams were lost", lost, cores)
	}
}
