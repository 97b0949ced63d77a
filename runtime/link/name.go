package link

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const maxName = 200 // runes

// CleanName makes a text fit for display as a name, by the rules for those of links.
func CleanName(text string) string { return cleanName(escape(withoutDescription(text), "")) }

// withoutDescription cuts off the text that Remnawave puts behind the name for the client Happ, in
// base64.
func withoutDescription(name string) string {
	name, _, _ = strings.Cut(name, "?serverDescription=")
	return name
}

// cleanName turns the name in a link into one for display: unescaped as often as it was escaped,
// valid UTF-8, no control or bidirectional characters, one line, bounded, no link.
// cleanName(escape(cleanName(x))) is cleanName(x).
func cleanName(raw string) string {
	name := raw
	// Removing a character can form a new escape ("%4\x001"), so clean until nothing changes.
	for range 4 {
		next := cutLink(printable(unescapeAll(name)))
		if next == name {
			return name
		}
		name = next
	}
	return cutLink(printable(strings.ReplaceAll(name, "%", "")))
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

// invisible reports whether a character only changes how others are shown: Unicode's Bidi_Control,
// line and paragraph separators, the byte order mark and interlinear annotations. The zero width
// joiner stays, because emoji are made with it.
func invisible(r rune) bool {
	switch {
	case r == 0x061C, r == 0x200B, r == 0x200E, r == 0x200F, r == 0xFEFF,
		0x2028 <= r && r <= 0x202E, 0x2060 <= r && r <= 0x206F, 0xFFF9 <= r && r <= 0xFFFB:
		return true
	}
	return false
}

// plainText reports whether s can stand in the core's configuration as it is: UTF-8 without control
// characters.
func plainText(s string) bool {
	for _, r := range s {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return false
		}
	}
	return true
}
