package xray

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// TestLateSquatter has somebody share a port of a core that serves: the one that we use, and the
// one that the core uses for itself.
func TestLateSquatter(t *testing.T) {
	reuse := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		return conn.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	for _, host := range []string{"127.0.0.1", relayHost} {
		spec := testSpec(t, realCore(t), "n")
		if host == relayHost {
			spec.Link = mustParse("ss://aes-128-gcm:password@127.0.0.1:9")
		}
		c := startCore(t, spec)
		if err := c.Health(t.Context()); err != nil {
			t.Errorf("%s: before: %v", host, err)
		}
		squatter, err := reuse.Listen(t.Context(), "tcp4", net.JoinHostPort(host, strconv.Itoa(int(c.plan.inbound.Port()))))
		if err != nil {
			t.Fatal(err)
		}
		err = c.Health(t.Context())
		adopted, adoptErr := Adopt(t.Context(), zerolog.Nop(), c.Identity(), c.Inbound())
		squatter.Close()
		if !errors.Is(err, errForeign) {
			t.Errorf("%s: error %v, want errForeign", host, err)
		}
		if !errors.Is(adoptErr, ErrUnhealthy) {
			t.Errorf("%s: adopted %v, error %v", host, adopted, adoptErr)
		}
		if adopted, err = Adopt(t.Context(), zerolog.Nop(), c.Identity(), c.Inbound()); err != nil {
			t.Errorf("%s: afterwards: %v", host, err)
		} else if err := adopted.Health(t.Context()); err != nil {
			t.Errorf("%s: adopted: %v", host, err)
		}
	}
}

// TestMissingRelay has a core that does not listen for itself, as it should.
func TestMissingRelay(t *testing.T) {
	spec := testSpec(t, self(t), stubPrefix+"serve")
	c := startCore(t, spec)
	spec.Link = mustParse("ss://aes-128-gcm:password@127.0.0.1:9")
	_, _, p, err := spec.configure(c.Inbound())
	if err != nil {
		t.Fatal(err)
	}
	if err := checkSockets(c.Identity().PID, p, true); !errors.Is(err, errNotListening) {
		t.Errorf("error %v, want errNotListening", err)
	}
}

func TestJudge(t *testing.T) {
	at := netip.MustParseAddrPort
	inbound := at("127.0.0.1:1000")
	tcp, udp := socket{"tcp", inbound, true}, socket{"udp", inbound, true}
	relay, squatter := socket{"tcp", at("127.0.0.2:1000"), true}, socket{"tcp", at("127.0.0.2:1000"), false}
	for _, test := range []struct {
		name   string
		relay  relayUse
		seen   []socket
		strict bool
		want   error
	}{
		{"as planned", relayUnused, []socket{tcp, udp}, true, nil},
		{"no UDP", relayUnused, []socket{tcp}, true, errNotListening},
		{"no TCP", relayUnused, []socket{udp}, true, errNotListening},
		{"open to all", relayUnused, []socket{{"tcp", at("0.0.0.0:1000"), true}, udp}, true, errUnplanned},
		{"second listener", relayUnused, []socket{tcp, udp, {"tcp", at("[::1]:7"), true}}, false, errUnplanned},
		{"way out by UDP", relayUnused, []socket{tcp, udp, {"udp", at("0.0.0.0:7"), true}}, false, nil},
		{"UDP too early", relayUnused, []socket{tcp, udp, {"udp", at("0.0.0.0:7"), true}}, true, errUnplanned},
		{"mapped", relayUnused, []socket{{"tcp", at("[::ffff:127.0.0.1]:1000"), true}, udp}, true, nil},
		{"shared", relayUnused, []socket{tcp, udp, {"tcp", inbound, false}}, false, errForeign},
		{"shared UDP", relayUnused, []socket{tcp, udp, {"udp", inbound, false}}, false, errForeign},
		{"shadowed", relayUnused, []socket{tcp, udp, {"tcp", at("[::]:1000"), false}}, false, errForeign},
		{"other address", relayUnused, []socket{tcp, udp, squatter}, false, nil},

		{"needless relay", relayUnused, []socket{tcp, udp, relay}, false, errUnplanned},
		{"relay", relayUsed, []socket{tcp, udp, relay}, true, nil},
		{"no relay", relayUsed, []socket{tcp, udp}, false, errNotListening},
		{"relay by UDP", relayUsed, []socket{tcp, udp, {"udp", at("127.0.0.2:1000"), true}}, true, errUnplanned},
		{"foreign relay", relayUsed, []socket{tcp, udp, squatter}, false, errForeign},
		{"shared relay", relayUsed, []socket{tcp, udp, relay, squatter}, false, errForeign},
		{"adopted with a relay", relayUnknown, []socket{tcp, udp, relay}, false, nil},
		{"adopted without", relayUnknown, []socket{tcp, udp}, false, nil},
		{"adopted with a foreign relay", relayUnknown, []socket{tcp, udp, squatter}, false, errForeign},
	} {
		if err := judge(test.seen, plan{inbound: inbound, relay: test.relay}, test.strict); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// TestHiddenFiles is about a core whose descriptors cannot be read.
func TestHiddenFiles(t *testing.T) {
	at := netip.MustParseAddrPort
	place := func(network, address, inode string) listedSocket {
		return listedSocket{socket{network: network, address: at(address)}, inode}
	}
	tcp, udp := place("tcp", "127.0.0.1:1000", "1"), place("udp", "127.0.0.1:1000", "2")
	relay := place("tcp", "127.0.0.2:1000", "3")
	for _, test := range []struct {
		name   string
		relay  relayUse
		listed []listedSocket
		want   error
	}{
		{"alone", relayUnused, []listedSocket{tcp, udp, place("tcp", "127.0.0.1:22", "9")}, nil},
		{"shared", relayUnused, []listedSocket{tcp, udp, place("tcp", "127.0.0.1:1000", "9")}, errForeign},
		{"shadowed", relayUnused, []listedSocket{place("tcp", "0.0.0.0:1000", "9"), tcp, udp}, errForeign},
		{"somebody at the other address", relayUnused, []listedSocket{relay, tcp, udp}, nil},
		{"relay", relayUsed, []listedSocket{relay, tcp, udp}, nil},
		{"shared relay", relayUsed, []listedSocket{relay, tcp, udp, place("tcp", "127.0.0.2:1000", "9")}, errForeign},
		{"no relay", relayUsed, []listedSocket{tcp, udp}, errNotListening},
	} {
		p := plan{inbound: at("127.0.0.1:1000"), relay: test.relay}
		if err := judge(attribute(test.listed, nil, true, p), p, true); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

func TestParseAddress(t *testing.T) { // the forms of a little-endian machine
	for text, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1:8080",
		"00000000000000000000000001000000:0016": "[::1]:22",
		"0000000000000000FFFF00000100007F:0050": "[::ffff:127.0.0.1]:80",
	} {
		if got, err := parseAddress(text); err != nil || got.String() != want {
			t.Errorf("%s: %v (%v), want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"", "0100007F", "01:0016", "zz00007F:0016", "0100007F:99999"} {
		if got, err := parseAddress(text); err == nil {
			t.Errorf("%q gave %v", text, got)
		}
	}
}

// TestListings compares the two ways to list TCP listeners.
func TestListings(t *testing.T) {
	c := startCore(t, testSpec(t, realCore(t), "n"))
	planned := netip.MustParseAddrPort(c.Inbound().Address)
	fast, err := listeners(unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	slow, err := readSockets(procPath(c.Identity().PID, "net/tcp"), "tcp")
	if err != nil {
		t.Fatal(err)
	}
	find := func(all []listedSocket) listedSocket {
		for _, s := range all {
			if s.address == planned {
				return s
			}
		}
		return listedSocket{}
	}
	if find(fast) != find(slow) || find(fast).inode == "" {
		t.Errorf("netlink says %v, /proc %v", find(fast), find(slow))
	}
	v6, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		return // no IPv6 on this machine, and so nothing to list
	}
	defer v6.Close()
	found, err := sockets(os.Getpid(), plan{})
	if err != nil {
		t.Fatal(err)
	}
	if want := (socket{"tcp", v6.Addr().(*net.TCPAddr).AddrPort(), true}); !slices.Contains(found, want) {
		t.Errorf("%v is not among %v", want, found)
	}
}
