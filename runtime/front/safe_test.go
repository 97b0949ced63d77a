package front

import (
	"bytes"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"bufio"
)

// clientHello is what crypto/tls sends first.
func clientHello(t testing.TB) []byte {
	t.Helper()
	client, server := net.Pipe()
	go tls.Client(client, &tls.Config{ServerName: "a.invalid"}).Handshake()
	defer client.Close()
	defer server.Close()
	header := make([]byte, tlsRecordHeader)
	if _, err := io.ReadFull(server, header); err != nil {
		t.Fatal(err)
	}
	body := make([]byte, binary.BigEndian.Uint16(header[3:]))
	if _, err := io.ReadFull(server, body); err != nil {
		t.Fatal(err)
	}
	return append(header, body...)
}

// withEarlyData adds the extension that announces early data to a ClientHello in one record.
func withEarlyData(hello []byte) []byte {
	b := append(bytes.Clone(hello), 0, tlsEarlyData, 0, 0)
	grow := func(at int) { binary.BigEndian.PutUint16(b[at:], binary.BigEndian.Uint16(b[at:])+4) }
	grow(3) // the record
	grow(7) // the lower bytes of the message's length
	at := tlsRecordHeader + tlsMessageHeader + tlsVersionAndSeed
	at += 1 + int(b[at])
	at += 2 + int(binary.BigEndian.Uint16(b[at:]))
	at += 1 + int(b[at])
	grow(at)
	return b
}

// inRecords cuts a ClientHello in one record into records of n bytes.
func inRecords(hello []byte, n int) (b []byte) {
	for body := hello[tlsRecordHeader:]; len(body) > 0; {
		m := min(n, len(body))
		b = append(b, tlsHandshake, 3, 1, byte(m>>8), byte(m))
		b, body = append(b, body[:m]...), body[m:]
	}
	return b
}

// Only nothing, a whole TLS ClientHello without early data, and whole GET or HEAD requests without
// a body may be sent twice.
func TestMayRepeat(t *testing.T) {
	hello := clientHello(t)
	get := "GET /x?y HTTP/1.1\r\nHost: a.invalid\r\nAccept: */*\r\n\r\n"
	for _, test := range []struct {
		name string
		sent string
		want bool
	}{
		{"nothing", "", true},
		{"TLS", string(hello), true},
		{"TLS in small records", string(inRecords(hello, 100)), true},
		{"half a hello", string(hello[:len(hello)/2]), false},
		{"half a record header", string(hello[:3]), false},
		{"TLS with early data", string(withEarlyData(hello)), false},
		{"TLS with early data, in small records", string(inRecords(withEarlyData(hello), 100)), false},
		{"TLS with bytes after it", string(hello) + "\x17\x03\x03\x00\x01x", false},
		{"TLS with a second hello", string(hello) + string(hello), false},
		{"an empty record", "\x16\x03\x01\x00\x00" + string(hello), false},
		{"GET", get, true},
		{"HEAD", "HEAD / HTTP/1.0\r\n\r\n", true},
		{"two GETs", get + get, true},
		{"a GET with no length", strings.Replace(get, "Accept: */*", "Content-Length: 0", 1), true},
		{"half a GET", get[:len(get)-2], false},
		{"GET and POST", get + "POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n", false},
		{"POST", "POST / HTTP/1.1\r\nHost: a.invalid\r\nContent-Length: 0\r\n\r\n", false},
		{"GET with a body", strings.Replace(get, "Accept: */*", "Content-Length: 1", 1) + "x", false},
		{"GET with chunks", strings.Replace(get, "Accept: */*", "Transfer-Encoding: chunked", 1) + "0\r\n\r\n", false},
		{"GET that means DELETE", strings.Replace(get, "Accept: */*", "x-http-method-OVERRIDE: DELETE", 1), false},
		{"GET with a folded field", strings.Replace(get, "\r\nAccept", "\r\n Accept", 1), false},
		{"GET with a hidden line", strings.Replace(get, "*/*", "*/*\nContent-Length: 1", 1), false},
		{"GET with a space in a name", strings.Replace(get, "Accept:", "Content-Length :", 1), false},
		{"lower case", strings.ToLower(get), false},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false},
		{"HTTP/0.9", "GET /\r\n\r\n", false},
		{"SSH", "SSH-2.0-x\r\n", false},
	} {
		if got := mayRepeat([]byte(test.sent)); got != test.want {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}

// FuzzMayRepeat holds the recognisers against the standard library: what may be repeated is for
// net/http a series of requests without bodies, or a ClientHello for crypto/tls.
func FuzzMayRepeat(f *testing.F) {
	hello := clientHello(f)
	f.Add(hello)
	f.Add(withEarlyData(hello))
	f.Add(inRecords(hello, 50))
	f.Add([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD / HTTP/1.0\r\nContent-Length: 0\r\n\r\n"))
	f.Add([]byte("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) == 0 || !mayRepeat(b) {
			return
		}
		if b[0] == tlsHandshake {
			if bytes.Contains(b, []byte("GET ")) && len(b) < 40 {
				t.Errorf("%q is a hello", b)
			}
			return
		}
		in := bufio.NewReader(bytes.NewReader(b))
		for {
			if _, err := in.Peek(1); err == io.EOF {
				return
			}
			r, err := http.ReadRequest(in)
			if err != nil {
				return // net/http is stricter; a server that is will refuse it
			}
			if r.Method != "GET" && r.Method != "HEAD" || r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
				t.Fatalf("%q: %s with %d bytes", b, r.Method, r.ContentLength)
			}
		}
	})
}
