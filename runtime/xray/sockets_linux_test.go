package xray

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"
)

// TestLateSquatter has somebody share a port of a core that serves.
func TestLateSquatter(t *testing.T) {
	reuse := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) error {
		return conn.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	c := startCore(t, testSpec(t, realCore(t), "n"))
	for name, address := range map[string]string{"inbound": c.Inbound().Address, "relay": c.Inbound().Relay} {
		if err := c.Health(t.Context()); err != nil {
			t.Errorf("%s: before: %v", name, err)
		}
		squatter, err := reuse.Listen(t.Context(), "tcp4", address)
		if err != nil {
			t.Fatal(err)
		}
		err = c.Health(t.Context())
		adopted, adoptErr := Adopt(t.Context(), zerolog.Nop(), c.Identity(), c.Inbound())
		squatter.Close()
		if !errors.Is(err, errForeign) {
			t.Errorf("%s: error %v, want errForeign", name, err)
		}
		if !errors.Is(adoptErr, ErrUnhealthy) {
			t.Errorf("%s: adopted %v, error %v", name, adopted, adoptErr)
		}
		if adopted, err = Adopt(t.Context(), zerolog.Nop(), c.Identity(), c.Inbound()); err != nil {
			t.Errorf("%s: afterwards: %v", name, err)
		} else if err := adopted.Health(t.Context()); err != nil {
			t.Errorf("%s: adopted: %v", name, err)
		}
	}
}

func TestJudge(t *testing.T) {
	at := netip.MustParseAddrPort
	inbound, relayed := at("127.0.0.1:1000"), at("127.0.0.1:2000")
	tcp, relay := socket{"tcp", inbound, true}, socket{"tcp", relayed, true}
	squatter := socket{"tcp", relayed, false}
	both, one := plan{inbound, relayed}, plan{inbound}
	for _, test := range []struct {
		name   string
		plan   plan
		seen   []socket
		strict bool
		want   error
	}{
		{"as planned", both, []socket{tcp, relay}, true, nil},
		{"no relay", both, []socket{tcp}, true, errNotListening},
		{"no inbound", both, []socket{relay}, true, errNotListening},
		{"open to all", both, []socket{{"tcp", at("0.0.0.0:1000"), true}, relay}, true, errUnplanned},
		{"second listener", both, []socket{tcp, relay, {"tcp", at("[::1]:7"), true}}, false, errUnplanned},
		{"way out by UDP", both, []socket{tcp, relay, {"udp", at("0.0.0.0:7"), true}}, false, nil},
		{"UDP too early", both, []socket{tcp, relay, {"udp", inbound, true}}, true, errUnplanned},
		{"mapped", both, []socket{{"tcp", at("[::ffff:127.0.0.1]:1000"), true}, relay}, true, nil},
		{"shared", both, []socket{tcp, relay, {"tcp", inbound, false}}, false, errForeign},
		{"somebody's UDP", both, []socket{tcp, relay, {"udp", inbound, false}}, false, nil},
		{"shadowed", both, []socket{tcp, relay, {"tcp", at("[::]:1000"), false}}, false, errForeign},
		{"other address", both, []socket{tcp, relay, {"tcp", at("127.0.0.2:1000"), false}}, false, nil},
		{"foreign relay", both, []socket{tcp, squatter}, false, errForeign},
		{"shared relay", both, []socket{tcp, relay, squatter}, false, errForeign},
		{"shadowed relay", both, []socket{tcp, relay, {"tcp", at("0.0.0.0:2000"), false}}, false, errForeign},

		{"batch", one, []socket{tcp}, true, nil},
		{"needless relay", one, []socket{tcp, relay}, false, errUnplanned},
	} {
		if err := judge(test.seen, test.plan, test.strict); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
	}
}

// TestHiddenFiles is about a core whose descriptors cannot be read.
func TestHiddenFiles(t *testing.T) {
	at := netip.MustParseAddrPort
	place := func(address, inode string) listedSocket {
		return listedSocket{socket{network: "tcp", address: at(address)}, inode}
	}
	tcp, relay := place("127.0.0.1:1000", "1"), place("127.0.0.1:2000", "2")
	for _, test := range []struct {
		name   string
		listed []listedSocket
		want   error
	}{
		{"alone", []listedSocket{tcp, relay, place("127.0.0.1:22", "9")}, nil},
		{"shared", []listedSocket{tcp, relay, place("127.0.0.1:1000", "9")}, errForeign},
		{"shadowed", []listedSocket{place("0.0.0.0:1000", "9"), tcp, relay}, errForeign},
		{"somebody at the other address", []listedSocket{place("127.0.0.2:1000", "9"), tcp, relay}, nil},
		{"shared relay", []listedSocket{relay, tcp, place("127.0.0.1:2000", "9")}, errForeign},
		{"no relay", []listedSocket{tcp}, errNotListening},
	} {
		p := plan{at("127.0.0.1:1000"), at("127.0.0.1:2000")}
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
	found, err := sockets(os.Getpid(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if want := (socket{"tcp", v6.Addr().(*net.TCPAddr).AddrPort(), true}); !slices.Contains(found, want) {
		t.Errorf("%v is not among %v", want, found)
	}
}
