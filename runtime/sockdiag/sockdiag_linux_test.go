package sockdiag

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

var families = map[string]uint8{"127.0.0.1:0": unix.AF_INET, "[::1]:0": unix.AF_INET6}

func listen(t *testing.T, at string) (net.Listener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, l.Addr().(*net.TCPAddr).AddrPort()
}

// connect returns both ends of a connection to a listener at that address.
func connect(t *testing.T, at string) (client, server net.Conn) {
	t.Helper()
	l, address := listen(t, at)
	client, err := net.Dial("tcp", address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return client, server
}

func TestListenersAreThoseThatListen(t *testing.T) {
	for at, family := range families {
		l, address := listen(t, at)
		listens := func() bool {
			t.Helper()
			all, err := Listeners(family)
			if err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(all, func(l Listener) bool { return l.Address == address && l.Inode != 0 })
		}
		if !listens() {
			t.Errorf("%v is missing", address)
		}
		l.Close()
		if listens() {
			t.Errorf("%v is still there", address)
		}
	}
}

func TestReceivedIsOfTheOtherEnd(t *testing.T) {
	for at := range families {
		client, server := connect(t, at)
		own, address := client.LocalAddr().(*net.TCPAddr).AddrPort(), client.RemoteAddr().(*net.TCPAddr).AddrPort()
		client.Write(make([]byte, 100))
		io.ReadFull(server, make([]byte, 40))
		if received, unread, err := Received(address, own); received != 100 || unread != 60 || err != nil {
			t.Errorf("%v has received %d bytes, %d unread, %v", address, received, unread, err)
		}
		if received, unread, err := Received(own, address); received != 0 || unread != 0 || err != nil {
			t.Errorf("%v has received %d bytes, %d unread, %v", own, received, unread, err)
		}
		server.(*net.TCPConn).SetLinger(0)
		server.Close()
		if _, _, err := Received(address, own); !errors.Is(err, ErrNotFound) {
			t.Errorf("after the reset: %v", err)
		}
	}
}

// The owner of a socket is found by whoever talks to it: over TCP, and for a socket of UDP that is
// connected to nobody.
func TestOwnerIsOfTheSocketThatGetsIt(t *testing.T) {
	us := uint32(os.Getuid())
	for at := range families {
		client, _ := connect(t, at)
		own, address := client.LocalAddr().(*net.TCPAddr).AddrPort(), client.RemoteAddr().(*net.TCPAddr).AddrPort()
		if uid, err := Owner("tcp", own, address); uid != us || err != nil {
			t.Errorf("%v over TCP: %d, %v", own, uid, err)
		}
		nobody := netip.AddrPortFrom(own.Addr(), 1)
		if uid, err := Owner("tcp", nobody, address); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v over TCP: %d, %v", nobody, uid, err)
		}

		datagrams, err := net.ListenPacket("udp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer datagrams.Close()
		own = datagrams.LocalAddr().(*net.UDPAddr).AddrPort()
		if uid, err := Owner("udp", own, address); uid != us || err != nil {
			t.Errorf("%v over UDP: %d, %v", own, uid, err)
		}
		datagrams.Close()
		if uid, err := Owner("udp", own, address); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v over UDP, closed: %d, %v", own, uid, err)
		}
	}
}
