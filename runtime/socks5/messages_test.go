package socks5

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
)

// FuzzCut feeds what clients and cores send to the parsers. What they accept lies within the input,
// asking for more is always about a beginning, and no prefix of an accepted message is accepted or
// refused.
func FuzzCut(f *testing.F) {
	for _, s := range []string{
		"", "\x05\x01\x00", "\x05\x02\x00\x02", "\x01\x02me\x02pw", "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50",
		"\x05\x01\x00\x03\x01a\x00\x50", "\x05\x03\x00\x04aaaaaaaaaaaaaaaa\x00\x50", "\x05\x02\x01\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50x",
		"\x00\x00\x00\x01\xc0\x00\x02\x01\x00\x35payload", "\x00\x00\x01\x01", "\x05\x01\x00\x03\x00",
	} {
		f.Add([]byte(s))
	}
	parsers := map[string]func(b []byte) (int, error){
		"greeting": func(b []byte) (int, error) { _, n, err := CutGreeting(b); return n, err },
		"password": func(b []byte) (int, error) { _, _, n, err := CutPassword(b); return n, err },
		"request":  func(b []byte) (int, error) { _, _, n, err := CutRequest(b); return n, err },
		"replies":  func(b []byte) (int, error) { _, n, err := CutReplies(b, true); return n, err },
		"open":     func(b []byte) (int, error) { _, n, err := CutReplies(b, false); return n, err },
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, parse := range parsers {
			n, err := parse(b)
			if err != nil {
				continue
			}
			if n <= 0 || n > len(b) {
				t.Fatalf("%s took %d of %d bytes", name, n, len(b))
			}
			for i := range n {
				if _, err := parse(b[:i]); !errors.Is(err, ErrShort) {
					t.Fatalf("%s of the first %d of %d bytes: %v", name, i, n, err)
				}
			}
		}
		if a, err := CutAddress(b); err == nil {
			_ = a.String()
			if ap, ok := a.AddrPort(); ok && !bytes.Equal(AppendAddrPort(nil, ap), a) {
				t.Fatalf("%x is written as %x", []byte(a), AppendAddrPort(nil, ap))
			}
		}
		if n, err := CutDatagram(b); err == nil && (n < 3 || n > len(b)) {
			t.Fatalf("datagram header of %d bytes in %d", n, len(b))
		}
	})
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1:80":        "\x01\xc0\x00\x02\x01\x00\x50",
		"[::ffff:1.2.3.4]:80": "\x01\x01\x02\x03\x04\x00\x50",
		"[::1]:443":           "\x04" + string(net.IPv6loopback) + "\x01\xbb",
		"[fe80::1%eth0]:1":    "\x03\x0cfe80::1%eth0\x00\x01",
		"name.invalid:80":     "\x03\x0cname.invalid\x00\x50",
		"name.invalid:0080":   "\x03\x0cname.invalid\x00\x50",
	} {
		if got, err := ParseAddress(text); err != nil || string(got) != want {
			t.Errorf("%q became %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "no port", ":80", "host:99999", "host:-1", "host:http", "::1:80", strings.Repeat("a", 256) + ":1"} {
		if got, err := ParseAddress(text); !errors.Is(err, ErrNoAddress) {
			t.Errorf("%q became %q, %v", text, got, err)
		}
	}
}

func TestAddressForPeople(t *testing.T) {
	for text, want := range map[string]string{
		"192.0.2.1:80": "192.0.2.1:80", "[2001:db8::1]:443": "[2001:db8::1]:443", "name.invalid:1": `"name.invalid":1`, "\x1bm:1": `"\x1bm":1`,
	} {
		if a, err := ParseAddress(text); err != nil || a.String() != want {
			t.Errorf("%q is shown as %s, %v", text, a, err)
		}
	}
}

func TestClientMessagesAreWhatServersCut(t *testing.T) {
	dest, err := ParseAddress("name.invalid:80")
	if err != nil {
		t.Fatal(err)
	}
	b := AppendRequest(AppendOpening(nil, "me", "secret"), CommandConnect, dest)
	methods, n, err := CutGreeting(b)
	if string(methods) != "\x02" || err != nil {
		t.Fatalf("methods %q, %v", methods, err)
	}
	b = b[n:]
	user, password, n, err := CutPassword(b)
	if string(user) != "me" || string(password) != "secret" || err != nil {
		t.Fatalf("user %q, password %q, %v", user, password, err)
	}
	b = b[n:]
	command, got, n, err := CutRequest(b)
	if command != CommandConnect || !bytes.Equal(got, dest) || n != len(b) || err != nil {
		t.Errorf("command %d to %v in %d of %d bytes, %v", command, got, n, len(b), err)
	}
	if open := AppendOpening(nil, "", "ignored"); string(open) != "\x05\x01\x00" {
		t.Errorf("without a user: %q", open)
	}
	if _, password, _, err := CutPassword(AppendPassword(nil, "u", strings.Repeat("p", 300))); len(password) != 255 || err != nil {
		t.Errorf("a password of 300 bytes became one of %d, %v", len(password), err)
	}
}

func TestReadReplies(t *testing.T) {
	const ipv4 = "\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50"
	for _, test := range []struct {
		name, replies string
		auth          bool
		bound, rest   string
		problem       error
	}{
		{"IPv4", "\x05\x00" + ipv4, false, "1.2.3.4:80", "", nil},
		{"IPv6", "\x05\x00\x05\x00\x00\x04" + string(net.IPv6loopback) + "\x00\x50", false, "[::1]:80", "", nil},
		{"name", "\x05\x00\x05\x00\x00\x03\x02ab\x00\x50", false, `"ab":80`, "", nil},
		{"login", "\x05\x02\x01\x00" + ipv4, true, "1.2.3.4:80", "", nil},
		{"more behind", "\x05\x00" + ipv4 + "more", false, "1.2.3.4:80", "more", nil},
		{"method not offered", "\x05\x02", false, "", "", ErrRefused},
		{"no method taken", "\x05\xff", true, "", "", ErrRefused},
		{"wrong password", "\x05\x02\x01\x01", true, "", "", ErrRefused},
		{"request refused", "\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", false, "", "", ErrRefused},
		{"other version", "\x05\x00\x04\x00\x00\x01", false, "", "", ErrRefused},
		{"no address", "\x05\x00\x05\x00\x00\x09", false, "", "", ErrRefused},
		{"HTTP", "HTTP/1.1 400 Bad Request", false, "", "", ErrRefused},
		{"cut", "\x05\x00\x05\x00", false, "", "", io.EOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{
				"at once": strings.NewReader(test.replies), "byte by byte": iotest.OneByteReader(strings.NewReader(test.replies)),
			} {
				bound, rest, err := ReadReplies(r, test.auth)
				if !errors.Is(err, test.problem) {
					t.Fatalf("%s: error %v, want %v", name, err, test.problem)
				}
				if err != nil {
					continue
				}
				left, _ := io.ReadAll(r)
				if bound.String() != test.bound || string(rest)+string(left) != test.rest {
					t.Errorf("%s: bound to %v, then %q and %q", name, bound, rest, left)
				}
			}
		})
	}
}

func TestReplyWithoutAddress(t *testing.T) {
	bound, n, err := CutReplies(append([]byte{Version, MethodNone}, AppendReply(nil, ReplySucceeded, netip.AddrPort{})...), false)
	if bound.String() != "0.0.0.0:0" || n != MinReplies-2 || err != nil {
		t.Errorf("bound to %v in %d bytes, %v", bound, n, err)
	}
}

func TestCutDatagram(t *testing.T) {
	for text, want := range map[string]int{
		"\x00\x00\x00\x01\xc0\x00\x02\x01\x00\x35payload": 10, "\x00\x00\x00\x03\x01a\x00\x35": 8,
		"": 0, "\x00\x00\x00": 0, "\x00\x00\x01\x01\xc0\x00\x02\x01\x00\x35a fragment": 0, "\x00\x00\x00\x01\xc0\x00": 0, "\x00\x00\x00\x09aaaaaaaaa": 0,
	} {
		n, err := CutDatagram([]byte(text))
		if n != want || (err == nil) != (want > 0) {
			t.Errorf("%q has a header of %d bytes, %v", text, n, err)
		}
	}
}
