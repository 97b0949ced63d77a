package subscription

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// readList reads a list of links, one a line.
func (c *collector) readList(data []byte) {
	number := 0
	for line := range bytes.Lines(data) {
		number++
		line = bytes.TrimSpace(line)
		if len(line) == 0 || line[0] == '#' || bytes.HasPrefix(line, []byte("//")) {
			continue
		}
		if _, ok := c.next(); !ok {
			return
		}
		// Shadowrocket's way to tell of the account.
		if value, ok := cutAny(line, "STATUS=", "REMARKS="); ok {
			c.notice(string(value))
			continue
		}
		uri := string(line)
		_, name, _ := strings.Cut(uri, "#")
		c.link(number, uri, name)
	}
}

func cutAny(line []byte, prefixes ...string) ([]byte, bool) {
	for _, prefix := range prefixes {
		if value, ok := bytes.CutPrefix(line, []byte(prefix)); ok {
			return value, true
		}
	}
	return nil, false
}

// decodeBase64 decodes both alphabets, with or without padding, in lines or not, and several encoded pieces one after the other. whole is false
// if the text breaks off within a group of characters.
func decodeBase64(text []byte) (decoded []byte, whole, ok bool) {
	decoded = make([]byte, 0, len(text)) // first the characters, then, in place, what they stand for
	whole = true
	start := 0 // of the present piece
	finish := func() bool {
		piece := decoded[start:]
		if len(piece)%4 == 1 {
			piece, whole = piece[:len(piece)-1], false
		}
		// Decoding in place is safe: the output is behind the input at all times.
		n, err := base64.RawStdEncoding.Decode(piece, piece)
		decoded = decoded[:start+n]
		start = len(decoded)
		return err == nil
	}
	for _, b := range text {
		switch {
		case b == '-':
			b = '+'
		case b == '_':
			b = '/'
		case b == ' ' || b == '\t' || b == '\r' || b == '\n':
			continue
		case b == '=':
			if start < len(decoded) && !finish() {
				return nil, false, false
			}
			continue
		}
		decoded = append(decoded, b)
	}
	if start < len(decoded) && !finish() {
		return nil, false, false
	}
	return decoded, whole, len(decoded) > 0
}
