package front

import (
	"bytes"
	"errors"
	"testing"
)

// FuzzSOCKS feeds what clients and cores send to the parsers. What they accept lies within the input, asking for more is
// always about a beginning, and no prefix of an accepted message is accepted or refused.
func FuzzSOCKS(f *testing.F) {
	for _, s := range []string{
		"", "\x05\x01\x00", "\x05\x02\x00\x02", "\x01\x02me\x02pw", "\x05\x01\x00\x01\xc0\x00\x02\x01\x00\x50",
		"\x05\x01\x00\x03\x01a\x00\x50", "\x05\x03\x00\x04aaaaaaaaaaaaaaaa\x00\x50", "\x05\x02\x01\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50x",
		"\x00\x00\x00\x01\xc0\x00\x02\x01\x00\x35payload", "\x00\x00\x01\x01", "\x05\x01\x00\x03\x00",
	} {
		f.Add([]byte(s))
	}
	parsers := map[string]func(b []byte) (int, error){
		"greeting": func(b []byte) (int, error) { _, n, err := cutGreeting(b); return n, err },
		"password": func(b []byte) (int, error) { _, _, n, err := cutPassword(b); return n, err },
		"request":  func(b []byte) (int, error) { _, _, n, err := cutRequest(b); return n, err },
		"replies":  func(b []byte) (int, error) { _, n, err := cutReplies(b, true); return n, err },
		"open":     func(b []byte) (int, error) { _, n, err := cutReplies(b, false); return n, err },
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
				if _, err := parse(b[:i]); !errors.Is(err, errShort) {
					t.Fatalf("%s of the first %d of %d bytes: %v", name, i, n, err)
				}
			}
		}
		if a, err := cutAddress(b); err == nil {
			_ = a.String()
			if ap, ok := a.addrPort(); ok && !bytes.Equal(appendAddrPort(nil, ap), a) {
				t.Fatalf("%x is written as %x", []byte(a), appendAddrPort(nil, ap))
			}
		}
		if n, err := cutDatagram(b); err == nil && (n < 3 || n > len(b)) {
			t.Fatalf("datagram header of %d bytes in %d", n, len(b))
		}
	})
}

// FuzzConnect feeds the parser of CONNECT requests and that of their destinations.
func FuzzConnect(f *testing.F) {
	for _, s := range []string{
		"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", "CONNECT [::1]:1 HTTP/1.1\r\n\r\nrest",
		"CONNECT : HTTP/1.1\r\n\r\n", "CONNECT a%zz:1 HTTP/1.0\r\nA\r\n\r\n", "CONNECT [fe80::1%25eth0]:1 HTTP/1.1\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		req, n, err := cutConnect(b)
		if err != nil {
			return
		}
		if n <= 0 || n > len(b) {
			t.Fatalf("took %d of %d bytes", n, len(b))
		}
		dest, err := newAddress(req.Host)
		if err != nil {
			return
		}
		if got, err := cutAddress(dest); err != nil || !bytes.Equal(got, dest) {
			t.Fatalf("%q became %x, which is no address: %v", req.Host, []byte(dest), err)
		}
	})
}
