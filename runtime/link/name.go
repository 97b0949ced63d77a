package link

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxName = 200 // runes

// cleanName makes a display name of an encoded one: unescaped as often as it was escaped, valid UTF-8, no control or
// bidirectional characters, one line, bounded. cleanName(escape(cleanName(x))) is cleanName(x).
func cleanName(raw string) string {
	name := raw
	// Cleaning can bring an escape together that was none before ("%4\x001"), so clean until nothing changes.
	for range 4 {
		next := printable(unescapeAll(name))
		if next == name {
			return name
		}
		name = next
	}
	return printable(strings.ReplaceAll(name, "%", ""))
}

func printable(s string) string {
	var b strings.Builder
	runes, space := 0, false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r) || unicode.IsControl(r):
			space = b.Len() > 0
			continue
		case invisible(r):
			continue
		}
		if space {
			if runes++; runes >= maxName {
				break
			}
			b.WriteByte(' ')
			space = false
		}
		if runes++; runes > maxName {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}

// invisible reports characters that change how others are shown: Unicode's Bidi_Control, line and paragraph separators, the
// byte order mark and interlinear annotations. The zero width joiner stays, emoji are made with it.
func invisible(r rune) bool {
	switch {
	case r == 0x061C, r == 0x200B, r == 0x200E, r == 0x200F, r == 0xFEFF,
		0x2028 <= r && r <= 0x202E, 0x2060 <= r && r <= 0x206F, 0xFFF9 <= r && r <= 0xFFFB:
		return true
	}
	return false
}

// unescapeAll decodes percent escapes, also those that appear by decoding ("%2520"), in one pass.
func unescapeAll(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := range len(s) {
		out = append(out, s[i])
		for n := len(out); n >= 3 && out[n-3] == '%' && isHex(out[n-2]) && isHex(out[n-1]); n = len(out) {
			out = append(out[:n-3], unhex(out[n-2])<<4|unhex(out[n-1]))
		}
	}
	return string(out)
}

// unescape decodes percent escapes once. What is not an escape stays, and so does "+".
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			out = append(out, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
			continue
		}
		out = append(out, s[i])
	}
	return string(out)
}

// escape percent-encodes all but the unreserved characters of RFC 3986 and those in safe.
func escape(s, safe string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if isAlnum(c) || strings.IndexByte("-._~", c) >= 0 || strings.IndexByte(safe, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(digits[c>>4])
		b.WriteByte(digits[c&15])
	}
	return b.String()
}

// plainText reports whether s can be carried in the core's configuration as it is: UTF-8 without control characters.
func plainText(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}

func isAlnum(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
