package front

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"strings"
)

// framing follows what a destination answers on one connection, so that an answer which is not
// complete can be told from a destination that has nothing to say: inside a TLS record (RFC 8446,
// section 5.1), or short of the length that an answer of HTTP/1 has announced, be it the body's or
// a chunk's (RFC 9112, sections 6 and 7.1). It only reads along. Between records and between chunks
// nothing is due, so that long polls and streams of events are never taken for incomplete.
//
// The zero value has seen nothing. One goroutine uses it.
type framing struct {
	protocol protocol
	inside   part
	left     int64  // bytes due of the record, the body or the chunk
	head     []byte // what has come of a head that is not complete
}

type protocol int8

const (
	protocolUnknown protocol = iota // nothing has come
	protocolTLS
	protocolHTTP
	protocolOpaque // another one, or one that could not be followed any more
)

// part is what comes next of an answer of HTTP.
type part int8

const (
	partHead part = iota
	partBody
	partChunkSize
	partChunk
	partChunkEnd // the line end after a chunk
	partTrailer
)

// maxHead bounds a head of HTTP, in bytes; what is longer is not followed.
const maxHead = 16 << 10

// due reports whether the answer is not complete.
func (f *framing) due() bool {
	switch f.protocol {
	case protocolTLS:
		return f.left > 0 || len(f.head) > 0
	case protocolHTTP:
		return f.left > 0 || len(f.head) > 0 || f.inside == partChunkEnd || f.inside == partTrailer
	}
	return false
}

// feed follows b, which comes next.
func (f *framing) feed(b []byte) {
	if f.protocol == protocolUnknown && len(b) > 0 {
		f.protocol = protocolOf(append(f.head, b...))
	}
	for len(b) > 0 {
		switch f.protocol {
		case protocolTLS:
			b = f.feedTLS(b)
		case protocolHTTP:
			b = f.feedHTTP(b)
		default:
			f.head, f.left = nil, 0
			return
		}
	}
}

// skip follows n bytes that nobody has seen. Only within a body or a chunk of HTTP that is
// possible.
func (f *framing) skip(n int) {
	if f.protocol == protocolHTTP && (f.inside == partBody || f.inside == partChunk) && int64(n) <= f.left {
		f.eat(int64(n))
		return
	}
	f.protocol, f.head, f.left = protocolOpaque, nil, 0
}

// protocolOf knows a protocol by the first bytes of an answer. Servers send more than five at once.
func protocolOf(b []byte) protocol {
	switch {
	case len(b) >= tlsRecordHeader && isTLSHeader(b):
		return protocolTLS
	case bytes.HasPrefix(b, []byte("HTTP/1.")):
		return protocolHTTP
	}
	return protocolOpaque
}

// isTLSHeader reports whether b begins with the header of a record.
func isTLSHeader(b []byte) bool {
	const firstType, lastType, expansion = 20, 24, 2048 // RFC 5246, section 6.2.3, allows the most
	return b[0] >= firstType && b[0] <= lastType && b[1] == tlsMajor && binary.BigEndian.Uint16(b[3:]) <= tlsMaxRecord+expansion
}

func (f *framing) feedTLS(b []byte) (rest []byte) {
	if f.left > 0 {
		n := min(f.left, int64(len(b)))
		f.left -= n
		return b[n:]
	}
	header := b
	if len(f.head) > 0 || len(b) < tlsRecordHeader {
		n := min(tlsRecordHeader-len(f.head), len(b))
		f.head, b = append(f.head, b[:n]...), b[n:]
		if len(f.head) < tlsRecordHeader {
			return b
		}
		header, f.head = f.head, nil
	} else {
		b = b[tlsRecordHeader:]
	}
	if !isTLSHeader(header) {
		f.protocol = protocolOpaque
		return b
	}
	f.left = int64(binary.BigEndian.Uint16(header[3:]))
	return b
}

func (f *framing) feedHTTP(b []byte) (rest []byte) {
	switch f.inside {
	case partBody, partChunk:
		n := min(f.left, int64(len(b)))
		f.eat(n)
		return b[n:]
	}
	end, width := "\r\n", 2
	if f.inside == partHead {
		end, width = "\r\n\r\n", 4
	}
	before := len(f.head)
	f.head = append(f.head, b...)
	n := bytes.Index(f.head[max(0, before-width+1):], []byte(end))
	if n < 0 {
		if len(f.head) > maxHead {
			f.protocol = protocolOpaque
		}
		return nil
	}
	n += max(0, before-width+1)
	head := f.head[:n]
	rest = b[n+width-before:]
	f.head = nil
	f.headEnded(string(head))
	return rest
}

// eat takes n bytes of a body or chunk.
func (f *framing) eat(n int64) {
	if f.left -= n; f.left > 0 {
		return
	}
	if f.inside == partBody {
		f.inside = partHead
	} else {
		f.inside = partChunkEnd
	}
}

// headEnded goes on after a head or a line of the chunked coding.
func (f *framing) headEnded(text string) {
	switch f.inside {
	case partHead:
		f.answerBegan(text)
	case partChunkSize:
		digits, _, _ := strings.Cut(text, ";")
		size, err := strconv.ParseInt(strings.TrimSpace(digits), 16, 64)
		switch {
		case err != nil || size < 0:
			f.protocol = protocolOpaque
		case size == 0:
			f.inside = partTrailer
		default:
			f.inside, f.left = partChunk, size
		}
	case partChunkEnd:
		f.inside = partChunkSize
	case partTrailer:
		if text == "" {
			f.inside = partHead
		}
	}
}

// answerBegan finds out how long the body is. The answer to a HEAD has none whatever it says; who
// asked is not known here, and nothing bad comes of it: a check finds out that all is well.
func (f *framing) answerBegan(head string) {
	status, fields, _ := strings.Cut(head, "\r\n")
	words := strings.Fields(status)
	if len(words) < 2 || !strings.HasPrefix(words[0], "HTTP/1.") {
		f.protocol = protocolOpaque
		return
	}
	length, chunked := int64(-1), false
	for line := range strings.SplitSeq(fields, "\r\n") {
		name, value, _ := strings.Cut(line, ":")
		switch value = strings.TrimSpace(value); {
		case strings.EqualFold(name, "Content-Length"):
			if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 && n < math.MaxInt64 {
				length = n
			}
		case strings.EqualFold(name, "Transfer-Encoding"):
			chunked = strings.HasSuffix(strings.ToLower(value), "chunked")
		}
	}
	switch code := words[1]; {
	case code == "101": // another protocol from here on
		f.protocol = protocolOpaque
	case strings.HasPrefix(code, "1"), code == "204", code == "304":
	case chunked:
		f.inside = partChunkSize
	case length > 0:
		f.inside, f.left = partBody, length
	case length < 0: // until the connection ends
		f.protocol = protocolOpaque
	}
}
