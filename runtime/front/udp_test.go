package front

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/socks5"
	"github.com/xrat-tray/xrat/runtime/trojan"
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
	return &udpClient{c, loopbackUDP(t), relay}
}

// loopbackUDP opens a socket on loopback that is connected to nobody.
func loopbackUDP(t testing.TB) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// udpThroughCore opens a front with a real core, and an association there.
func udpThroughCore(t testing.TB) (f *Front, u *udpClient) {
	t.Helper()
	f = openFront(t, nil)
	f.SetTarget(startRealCore(t).target(1))
	socks, _ := f.Addresses()
	return f, associateWith(t, socks)
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
	relay, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer relay.Close()
	two := startFakeCore(t, echoServe)
	one := &Target{ID: 1, Address: "127.0.0.1:1", Relay: relay.Addr().String(), Password: "p"}
	socks, _ := f.Addresses()
	packet := make([]byte, len(trojan.AppendAssociate(nil, "p"))+1+4+2+trojan.Overhead+len("only one"))
	// Set up is a path once the kernel has the connection; the front knows a moment later. A swap
	// before that ends the dialling, and the datagram goes elsewhere: then once more.
	for overtaken := false; !overtaken; {
		f.SetTarget(one)
		u := associateWith(t, socks)
		u.send(t, "192.0.2.1:53", "only one")
		c, err := relay.Accept()
		if err != nil {
			t.Fatal(err)
		}
		f.SetTarget(two.target(2))
		c.SetReadDeadline(time.Now().Add(patience))
		_, err = io.ReadFull(c, packet)
		switch overtaken = err == nil; {
		case overtaken:
			defer c.Close()
		case err == io.EOF:
			c.Close()
			u.control.Close()
			eventually(t, "the association is gone", func() bool {
				f.mu.Lock()
				defer f.mu.Unlock()
				return len(f.associations) == 0
			})
		default:
			t.Fatal(err)
		}
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

// Datagrams of anybody but the client, fragments, nonsense and what the core would choke on go
// nowhere.
func TestUDPStrangersAndFragments(t *testing.T) {
	echo := udpEcho(t)
	f, u := udpThroughCore(t)
	u.exchange(t, echo, "mine")
	before := f.Counters(1).UpBytes

	stranger := loopbackUDP(t)
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
	u.send(t, echo, strings.Repeat("x", trojan.MaxPayload+1))
	u.exchange(t, echo, "more")
	// Datagrams on loopback keep their order: what was dropped would have been counted before
	// "more".
	if got := f.Counters(1).UpBytes - before; got%uint64(len("more")) != 0 {
		t.Errorf("%d bytes went up, not only ours", got)
	}
}

// The first datagram arrives: nothing has to be waited for before it is sent.
func TestUDPFirstDatagramArrives(t *testing.T) {
	dest := udpEcho(t)
	k := startRealCore(t)
	f := openFront(t, nil)
	f.SetTarget(k.target(1))
	socks, _ := f.Addresses()
	for i := range 50 {
		u := associateWith(t, socks)
		u.send(t, dest, "first")
		if got, ok := u.receive(t, patience); !ok || got != "first" {
			t.Fatalf("association %d: %q, %v", i, got, ok)
		}
		u.control.Close()
	}
}

// Datagrams of every size that the core carries come back as they were, also when many are on their
// way and the stream to the core cuts them anywhere.
func TestUDPCarriesEverySize(t *testing.T) {
	dest := udpEcho(t)
	k := startRealCore(t)
	f := openFront(t, nil)
	f.SetTarget(k.target(1))
	socks, _ := f.Addresses()
	u := associateWith(t, socks)
	u.exchange(t, dest, "ready")
	const largest = 8000 // the core's answer has to fit with its address into 8192 bytes
	for size := 1; size <= largest; size += 571 {
		const burst = 10
		want := make(map[string]bool)
		for i := range burst {
			text := strings.Repeat(string(rune('a'+i)), size)
			want[text] = true
			u.send(t, dest, text)
		}
		for len(want) > 0 {
			got, ok := u.receive(t, patience)
			if !ok || !want[got] {
				t.Fatalf("%d bytes: got %d, %v", size, len(got), ok)
			}
			delete(want, got)
		}
	}
	// One that does not fit into its answer ends the way through the core, and nothing else.
	u.send(t, dest, strings.Repeat("x", trojan.MaxPayload))
	u.exchange(t, dest, "after it")
}

// A core whose relay does not read must not hold up an association: it goes on with the next core.
func TestUDPLeavesAFrozenCore(t *testing.T) {
	dest := udpEcho(t)
	k := startRealCore(t)
	f := openFront(t, nil)
	frozen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer frozen.Close()
	f.SetTarget(&Target{ID: 1, Address: "127.0.0.1:1", Relay: frozen.Addr().String(), Password: "p"})
	socks, _ := f.Addresses()
	u := associateWith(t, socks)
	for range 2000 {
		u.send(t, dest, strings.Repeat("x", 8000)) // more than all buffers on the way have room for
	}
	f.SetTarget(k.target(2))
	u.exchange(t, dest, "through the next")
}
