package front

import (
	"bytes"
	"testing"

	"github.com/xrat-tray/xrat/runtime/socks5"
)

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
		dest, err := socks5.ParseAddress(req.Host)
		if err != nil {
			return
		}
		if got, err := socks5.CutAddress(dest); err != nil || !bytes.Equal(got, dest) {
			t.Fatalf("%q became %x, which is no address: %v", req.Host, []byte(dest), err)
		}
	})
}
