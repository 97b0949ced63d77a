package front

import (
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"
)

func record(kind byte, n int) string {
	b := []byte{kind, 3, 3, 0, 0}
	binary.BigEndian.PutUint16(b[3:], uint16(n))
	return string(b) + strings.Repeat("x", n)
}

// An answer is due exactly while it is not complete, however it is cut into pieces.
func TestFraming(t *testing.T) {
	const length = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
	for name, test := range map[string]struct {
		answer string
		idle   []int // after how many bytes nothing is due
	}{
		"records":         {record(22, 90) + record(23, 5), []int{95, 105}},
		"a full record":   {record(23, 1<<14+256), []int{1<<14 + 261}},
		"length":          {length + "0123456789", []int{len(length) + 10}},
		"two answers":     {length + "0123456789" + "HTTP/1.1 204 No Content\r\n\r\n", []int{len(length) + 10, len(length) + 37}},
		"informed first":  {"HTTP/1.1 100 Continue\r\n\r\n" + length + "0123456789", []int{25, 25 + len(length) + 10}},
		"chunks":          {chunked + "5;a=b\r\nhello\r\n0\r\n\r\n", []int{len(chunked), len(chunked) + 14, len(chunked) + 19}},
		"a trailer":       {chunked + "0\r\nA: b\r\n\r\n", []int{len(chunked), len(chunked) + 11}},
		"without a word":  {"HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\n\r\n", []int{49}},
		"another version": {"HTTP/1.0 200 OK\r\ncontent-length:3\r\n\r\nabc", []int{40}},
	} {
		for try := range 50 {
			var f framing
			for at := 0; at < len(test.answer); {
				n := 1
				if try > 0 {
					n = 1 + rand.IntN(len(test.answer)-at)
				}
				if at == 0 {
					n = max(n, 7) // servers send more than this at once
				}
				f.feed([]byte(test.answer[at : at+n]))
				at += n
				idle := false
				for _, i := range test.idle {
					idle = idle || i == at
				}
				if f.due() == idle {
					t.Fatalf("%s, try %d, after %d of %d bytes: due %v", name, try, at, len(test.answer), f.due())
				}
			}
		}
	}
}

// What cannot be followed is never due.
func TestFramingOfOthers(t *testing.T) {
	for _, answer := range []string{
		"SSH-2.0-OpenSSH_9.2\r\n", "\x05\x00", "220 mail ESMTP\r\n", "PRI * HTTP/2.0\r\n\r\n",
		record(23, 5) + "garbage that is no record", "HTTP/1.1 200 OK\r\n\r\nuntil the end",
		"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 5\r\n\r\nab", "HTTP/1.1 oh",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", maxHead) + "\r\n",
	} {
		var f framing
		f.feed([]byte(answer))
		if f.due() && answer != "HTTP/1.1 oh" { // that may go on
			t.Errorf("%.40q: due", answer)
		}
	}
}

// Of a body it is known how much has gone by unseen; after a record nothing is.
func TestFramingSkips(t *testing.T) {
	var f framing
	f.feed([]byte("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789"))
	if f.skip(80); !f.due() {
		t.Error("not due after 90 of 100")
	}
	if f.skip(10); f.due() || f.protocol != protocolHTTP {
		t.Error("due after 100 of 100")
	}
	f = framing{}
	f.feed([]byte(record(23, 100)[:50]))
	if f.skip(10); f.due() {
		t.Error("due after unseen bytes of TLS")
	}
}

func FuzzFraming(f *testing.F) {
	f.Add([]byte(record(22, 90)+record(23, 5)), 3)
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), 20)
	f.Fuzz(func(t *testing.T, answer []byte, at int) {
		at = min(max(at, 7), len(answer))
		var whole, parts framing
		whole.feed(answer)
		parts.feed(answer[:at])
		parts.feed(answer[at:])
		if whole.protocol != parts.protocol || whole.left != parts.left || whole.due() != parts.due() {
			t.Errorf("%+v, in parts %+v", whole, parts)
		}
	})
}
