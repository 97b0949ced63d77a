package mark

import (
	"crypto/tls"
	"net"
	"net/http"
	"testing"
)

// firstBytes is what the client of a new connection says first.
func firstBytes(t *testing.T, speak func(net.Conn)) []byte {
	t.Helper()
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	go speak(client)
	b := make([]byte, 4096)
	n, err := server.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func hello(t *testing.T) []byte {
	return firstBytes(t, func(c net.Conn) { tls.Client(c, &tls.Config{ServerName: "host.invalid"}).Handshake() })
}

// Every TLS connection has a mark of its own, and it is the same wherever its bytes turn up.
func TestOfTLS(t *testing.T) {
	one, two := hello(t), hello(t)
	if Of(one) == 0 || Of(one) == Of(two) {
		t.Errorf("marks %x and %x", Of(one), Of(two))
	}
	if Of(one[:43]) != Of(one) {
		t.Error("the rest of the ClientHello counts")
	}
	if Of(one[:42]) != 0 || Of(one[1:]) != 0 || Of(nil) != 0 {
		t.Error("a mark without a ClientHello")
	}
}

// A request carries the mark that it was given, also if a proxy has written its header anew.
func TestOfRequest(t *testing.T) {
	m := New()
	got := Of(firstBytes(t, func(c net.Conn) {
		r, _ := http.NewRequest(http.MethodGet, "http://host.invalid/page", nil)
		r.Header.Set(Field, m.Tag())
		r.Write(c)
	}))
	if got != m {
		t.Errorf("%x, want %x", got, m)
	}
	for text, want := range map[string]Mark{
		"GET / HTTP/1.1\r\nHost: h\r\nif-none-match:\t\"1f\" \r\n\r\n":   0x1f,
		"GET / HTTP/1.1\r\nIf-None-Match: W/\"1f\"\r\n\r\n":              0,
		"GET / HTTP/1.1\r\nIf-None-Match: \"1f1f1f1f1f1f1f1f1\"\r\n\r\n": 0,
		"GET / HTTP/1.1\r\n\r\n":                                         0,
		"POST / HTTP/1.1\r\nIf-None-Match: \"1f\"\r\n\r\n":               0,
	} {
		if got := Of([]byte(text)); got != want {
			t.Errorf("%q: %x, want %x", text, got, want)
		}
	}
}

// Who sends the same twice is no loop; who does so all the time is.
func TestMemory(t *testing.T) {
	var memory Memory
	one, two := New(), New()
	if memory.Seen(one) || memory.Seen(0) || memory.Note(0) {
		t.Error("an empty memory has seen something")
	}
	for i := range 20 {
		if loop := memory.Note(one); loop != (i > often) {
			t.Errorf("time %d: loop is %v", i+1, loop)
		}
		if again := memory.Again(one); again != (i > 0) {
			t.Errorf("time %d: again is %v", i+1, again)
		}
	}
	if !memory.Seen(one) || memory.Seen(two) {
		t.Error("what was seen, and what was not")
	}
	for range 40 * places { // it forgets
		memory.Note(New())
	}
	if memory.Seen(one) {
		t.Error("nothing is forgotten")
	}
}
