package front

import (
	"bytes"
	"encoding/binary"
	"strings"
)

// mayRepeat reports whether b, all that a client has sent on a connection, may reach its
// destination a second time: a whole TLS ClientHello that announces no early data, or nothing but
// whole HTTP requests that are safe and have no body.
func mayRepeat(b []byte) bool {
	return len(b) == 0 || isPlainHello(b) || areSafeRequests(b)
}

// Numbers of TLS (RFC 8446, sections 4 and 5.1).
const (
	tlsHandshake      = 22
	tlsMajor          = 3
	tlsMaxRecord      = 1 << 14
	tlsClientHello    = 1
	tlsEarlyData      = 42
	tlsRecordHeader   = 5
	tlsMessageHeader  = 4
	tlsVersionAndSeed = 2 + 32
)

// isPlainHello reports whether b is exactly one ClientHello, in one record or several, without the
// early_data extension. What follows a ClientHello at once is early data, too, whatever it says.
func isPlainHello(b []byte) bool {
	if len(b) == 0 || b[0] != tlsHandshake {
		return false
	}
	var message []byte
	for len(b) > 0 {
		if len(b) < tlsRecordHeader || b[0] != tlsHandshake || b[1] != tlsMajor {
			return false
		}
		n := int(binary.BigEndian.Uint16(b[3:]))
		if b = b[tlsRecordHeader:]; n == 0 || n > tlsMaxRecord || len(b) < n {
			return false
		}
		if message == nil {
			message = b[:n:n] // the usual one record needs no copy
		} else {
			message = append(message, b[:n]...)
		}
		b = b[n:]
	}
	if len(message) < tlsMessageHeader || message[0] != tlsClientHello {
		return false
	}
	length := int(message[1])<<16 | int(message[2])<<8 | int(message[3])
	hello := message[tlsMessageHeader:]
	if len(hello) != length || length < tlsVersionAndSeed {
		return false
	}
	hello = hello[tlsVersionAndSeed:]
	ok := true
	for _, width := range []int{1, 2, 1} { // session id, cipher suites, compression methods
		if _, hello, ok = cutVector(hello, width); !ok {
			return false
		}
	}
	if len(hello) == 0 {
		return true // before TLS 1.2 extensions were not a matter of course
	}
	extensions, rest, ok := cutVector(hello, 2)
	if !ok || len(rest) > 0 {
		return false
	}
	for len(extensions) > 0 {
		if len(extensions) < 2 || binary.BigEndian.Uint16(extensions) == tlsEarlyData {
			return false
		}
		if _, extensions, ok = cutVector(extensions[2:], 2); !ok {
			return false
		}
	}
	return true
}

// cutVector returns the vector at the start of b, whose length is in its first width bytes, and
// what follows it.
func cutVector(b []byte, width int) (vector, rest []byte, ok bool) {
	if len(b) < width {
		return nil, nil, false
	}
	n := 0
	for _, c := range b[:width] {
		n = n<<8 | int(c)
	}
	if b = b[width:]; len(b) < n {
		return nil, nil, false
	}
	return b[:n], b[n:], true
}

// areSafeRequests reports whether b is one whole GET or HEAD request of HTTP/1 without a body, or
// several. It takes only what RFC 9112 wants, so that no server can see anything else in it.
func areSafeRequests(b []byte) bool {
	for len(b) > 0 {
		end := bytes.Index(b, []byte("\r\n\r\n"))
		if end < 0 || !isSafeHeader(b[:end]) {
			return false
		}
		b = b[end+4:]
	}
	return true
}

func isSafeHeader(b []byte) bool {
	line, fields, _ := bytes.Cut(b, []byte("\r\n"))
	method, line, _ := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(line, []byte(" "))
	if m := string(method); m != "GET" && m != "HEAD" {
		return false
	}
	if v := string(version); len(target) == 0 || v != "HTTP/1.1" && v != "HTTP/1.0" || hasControl(target) {
		return false
	}
	for len(fields) > 0 {
		var field []byte
		field, fields, _ = bytes.Cut(fields, []byte("\r\n"))
		name, value, found := bytes.Cut(field, []byte(":"))
		if !found || len(name) == 0 || hasControl(field) || bytes.ContainsAny(name, " \t") {
			return false
		}
		if !isSafeField(string(name), string(bytes.TrimSpace(value))) {
			return false
		}
	}
	return true
}

func hasControl(b []byte) bool {
	return bytes.ContainsFunc(b, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// isSafeField reports whether a request that has the field is still without a body and as safe as
// its method. Some servers let a field override the method.
func isSafeField(name, value string) bool {
	switch strings.ToLower(name) {
	case "content-length":
		return value == "0"
	case "transfer-encoding", "expect", "x-http-method-override", "x-http-method", "x-method-override":
		return false
	}
	return true
}
