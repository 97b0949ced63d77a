package subscription

import (
	"bytes"
	"encoding/base64"
	"unicode/utf8"
)

// decodeBase64 decodes either alphabet, with or without padding, in one line or several, and also
// several encoded pieces one after the other. whole is false if the text breaks off within a group
// of characters.
func decodeBase64(text []byte) (decoded []byte, whole, ok bool) {
	decoded = make([]byte, 0, len(text)) // characters at first, which are decoded in place
	whole = true
	start := 0 // of the current piece
	finish := func() bool {
		piece := decoded[start:]
		if len(piece)%4 == 1 {
			piece, whole = piece[:len(piece)-1], false
		}
		// Decoding in place is safe: the output never overtakes the input.
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

// decodeLines decodes a text of which every line is encoded by itself. What tells it from one piece
// that is broken into lines is that these have a length or a padding each, or are a link each.
func decodeLines(text []byte) (decoded []byte, ok bool) {
	width, ended, uneven, links, lines := -1, false, false, 0, 0
	for line := range bytes.Lines(text) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		plain, whole, ok := decodeBase64(line)
		if !ok || !whole || !utf8.Valid(plain) {
			return nil, false
		}
		uneven = uneven || ended // only the last line of a broken piece is shorter, or padded
		if width < 0 {
			width = len(line)
		}
		ended = len(line) != width || line[len(line)-1] == '='
		if startsAsLink(plain) {
			links++
		}
		lines++
		decoded = append(append(decoded, plain...), '\n')
	}
	return decoded, lines > 1 && (uneven || links == lines)
}

func startsAsLink(text []byte) bool {
	colon := bytes.Index(text[:min(len(text), 32)], []byte("://"))
	for i := range max(colon, 0) {
		if !isSchemeByte(text[i]) {
			return false
		}
	}
	return colon > 0
}
