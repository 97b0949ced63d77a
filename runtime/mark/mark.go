// Package mark recognizes a connection by the first bytes of its client, wherever they turn up
// again: what a probe sends through a server and the front then gets from an application has come
// back to xrat.
//
// It owns what counts as a mark and the memory of those that were seen. It does not know who sends
// what, and refuses nothing.
//
// The mark of a TLS connection is a part of the random value of its ClientHello (RFC 8446, section
// 4.1.2), which no proxy can change. A request over plain HTTP has none by nature; a probe gives it
// one in If-None-Match, where a random value is nothing unusual (RFC 9110, section 13.1.2).
package mark

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync/atomic"
)

// Mark is what tells one connection from all others. Zero: it has none.
type Mark uint64

// Field is the header field in which a request over plain HTTP carries its mark.
const Field = "If-None-Match"

// New returns a mark for a request.
func New() Mark { return Mark(rand.Uint64() | 1) }

// Tag returns m as the value of Field.
func (m Mark) Tag() string { return strconv.Quote(strconv.FormatUint(uint64(m), 16)) }

// Of returns the mark of a connection that begins with b.
func Of(b []byte) Mark {
	// A record of TLS 1.x: type, version, length; in it a message: type, length, version, random.
	const (
		record, message, version = 5, 4, 2
		random                   = record + message + version
		clock                    = 8 // old clients begin the random value with the time
	)
	switch {
	case len(b) >= random+32 && b[0] == 22 && b[1] == 3 && b[record] == 1:
		return Mark(binary.BigEndian.Uint64(b[random+clock:]))
	case bytes.HasPrefix(b, []byte("GET ")):
		return ofRequest(b)
	}
	return 0
}

// ofRequest is Of for a GET.
func ofRequest(b []byte) Mark {
	for line := range bytes.SplitSeq(b, []byte("\r\n")) {
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found || len(name) != len(Field) || !strings.EqualFold(string(name), Field) {
			continue
		}
		return OfTag(string(value))
	}
	return 0
}

// OfTag returns the mark in the value of Field.
func OfTag(value string) Mark {
	n, err := strconv.ParseUint(strings.Trim(value, "\t \""), 16, 64)
	if err != nil {
		return 0
	}
	return Mark(n)
}

const (
	// places is how many marks a Memory holds at most: those of some seconds, also on a busy
	// machine. A power of two.
	places = 1 << 13
	// often is how many times a mark may turn up. An application in front of this one that sends
	// the same again, as xrat itself would, does so two or three times.
	often = 7
)

// Memory holds the marks that were seen last. Its methods may be called from any goroutine. The
// zero value is empty.
type Memory struct {
	// Each place has the upper bits of a mark, and in the lowest three how often it came again.
	place [places]atomic.Uint64
}

// counter has the bits of a place that count.
const counter = often

func (s *Memory) of(m Mark) *atomic.Uint64 { return &s.place[uint64(m)>>3%places] }

// Note remembers m, and reports whether it has turned up so often that it must be going round in a
// loop.
func (s *Memory) Note(m Mark) (loop bool) {
	if m == 0 {
		return false
	}
	p := s.of(m)
	seen := p.Load()
	if seen&^counter != uint64(m)&^counter {
		p.Store(uint64(m) &^ counter)
		return false
	}
	if seen&counter == often {
		return true
	}
	p.Store(seen + 1)
	return false
}

// Again reports whether m has turned up more than once.
func (s *Memory) Again(m Mark) bool { return s.Seen(m) && s.of(m).Load()&counter > 0 }

// Seen reports whether m was noted not long ago.
func (s *Memory) Seen(m Mark) bool { return m != 0 && s.of(m).Load()&^counter == uint64(m)&^counter }
