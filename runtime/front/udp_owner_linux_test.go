package front

import (
	"net"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// nobody is a user who has no part in the tests.
const nobody = 65534

// asNobody calls f in a thread whose sockets are those of another user, for which it takes root.
func asNobody(t *testing.T, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // it is not given back, and ends with its user
		unix.RawSyscall(unix.SYS_SETFSUID, nobody, 0, 0)
		f()
	}()
	<-done
}

// An association is for the user who has asked for it: what another user of the machine sends to it
// first goes nowhere, and whoever takes over the port of the client later gets no answers.
func TestUDPBelongsToItsUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("nothing is shown without root: there is nobody to be another user")
		return
	}
	echo := udpEcho(t)
	f, u := udpThroughCore(t)
	socks, _ := f.Addresses()

	listen := func(at *net.UDPAddr) (c *net.UDPConn) {
		var err error
		asNobody(t, func() { c, err = net.ListenUDP("udp", at) })
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	thief := &udpClient{u.control, listen(&net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}), u.relay}
	thief.send(t, echo, "stolen!")
	u.exchange(t, echo, "mine")
	if got := f.Counters(1).UpBytes; got%uint64(len("mine")) != 0 {
		t.Errorf("%d bytes went up, not only ours", got)
	}

	own := u.conn.LocalAddr().(*net.UDPAddr)
	u.conn.Close()
	thief = &udpClient{u.control, listen(own), u.relay}
	f.mu.Lock()
	for a := range f.associations {
		a.client.mu.Lock()
		a.client.checked = time.Now().Add(-2 * ownerCheck)
		a.client.mu.Unlock()
	}
	f.mu.Unlock()
	before := f.Counters(1).UpBytes
	thief.send(t, echo, "stolen!")

	// Their own association works, and shows that the one before it has been dealt with.
	var theirs *udpClient
	asNobody(t, func() { theirs = associateWith(t, socks) })
	theirs.conn = thief.conn
	theirs.exchange(t, echo, "theirs")
	if got := f.Counters(1).UpBytes - before; got%uint64(len("theirs")) != 0 {
		t.Errorf("%d bytes went up, not only those of their own association", got)
	}
}

// Somebody on another machine has no user here; the address and the port are what there is.
func TestClientOfAnotherMachine(t *testing.T) {
	remote := netip.MustParseAddrPort("192.0.2.7:4000")
	c := newClient(loopbackUDP(t), remote, netip.MustParseAddrPort("192.0.2.1:1080"))
	for _, test := range []struct {
		from string
		want bool
	}{
		{"192.0.2.8:5000", false},
		{"192.0.2.7:5000", true},
		{"192.0.2.7:5001", false},
		{"192.0.2.7:5000", true},
	} {
		if got := c.sent(netip.MustParseAddrPort(test.from)); got != test.want {
			t.Errorf("from %s: %v", test.from, got)
		}
	}
	if to, ok := c.address(); !ok || to.String() != "192.0.2.7:5000" {
		t.Errorf("answers go to %v, %v", to, ok)
	}
}
