package trojan

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

// The request is the one of the protocol's description: the hash of the password in hexadecimal,
// and then command and address between line ends.
func TestAppendAssociate(t *testing.T) {
	got := string(AppendAssociate([]byte("before "), "password"))
	want := "before d63dc919e201d7bc4c825630d2cf25fdc93d4b2f0d46706d29038d01\r\n\x03\x01\x00\x00\x00\x00\x00\x00\r\n"
	if got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// What AppendPacket writes CutPacket reads, from any beginning of it: a short one is called short,
// and what follows is left.
func TestPackets(t *testing.T) {
	for _, hostport := range []string{"192.0.2.1:53", "[2001:db8::1]:443", "name.example:1"} {
		for _, payload := range []string{"", "x", strings.Repeat("long", MaxPayload/4)} {
			dest, err := socks5.ParseAddress(hostport)
			if err != nil {
				t.Fatal(err)
			}
			b := AppendPacket(nil, dest, []byte(payload))
			from, got, n, err := CutPacket(append(bytes.Clone(b), "next"...))
			if err != nil || n != len(b) || string(got) != payload || !bytes.Equal(from, dest) {
				t.Errorf("%s with %d bytes: %v, %d bytes of %d, %v", hostport, len(payload), from, len(got), n, err)
			}
			for end := range b {
				if _, _, _, err := CutPacket(b[:end]); !errors.Is(err, socks5.ErrShort) {
					t.Fatalf("%s with %d bytes, the first %d: %v", hostport, len(payload), end, err)
				}
			}
		}
	}
	for _, nonsense := range []string{"HTTP/1.1 400", "\x01\x00\x00\x00\x00\x00\x00\x00\x01??x", "\x03\x00\x00\x00"} {
		if _, _, _, err := CutPacket([]byte(nonsense)); !errors.Is(err, ErrNoPacket) {
			t.Errorf("%q: %v", nonsense, err)
		}
	}
}

func FuzzCutPacket(f *testing.F) {
	f.Add([]byte("\x01\x7f\x00\x00\x01\x00\x35\x00\x01\r\nx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		from, payload, n, err := CutPacket(b)
		if err == nil && n != len(from)+Overhead+len(payload) {
			t.Errorf("%d bytes, an address of %d, a payload of %d", n, len(from), len(payload))
		}
	})
}
