package tray

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// How many characters are shown of a name, in a row of the menu, and of a sentence in a
// notification.
const (
	nameWidth = 40
	rowWidth  = 60
	textWidth = 120
)

// clean makes one short line of a text that may come from strangers, since names of servers are
// whatever their links say. It removes characters that control the display, and isolates text that
// is written from right to left, so that it does not move what stands beside it (Unicode Standard
// Annex
// #9, section 2.4).
func clean(s string, width int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Bidi_Control, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = strings.Join(strings.Fields(s), " ")
	if utf8.RuneCountInString(s) > width {
		runes := []rune(s)
		end := width - 1
		for end > 0 && (joins(runes[end]) || runes[end-1] == zeroWidthJoiner) {
			end-- // no half of a composed character at the end
		}
		if end == 0 {
			end = width - 1 // it is all one character
		}
		s = strings.TrimSpace(string(runes[:end])) + "…"
	}
	if strings.ContainsFunc(s, rightToLeft) {
		const isolate, pop = "\u2068", "\u2069"
		s = isolate + s + pop
	}
	return s
}

const zeroWidthJoiner = '\u200d'

// joins reports whether a character is shown as one with the character before it.
func joins(r rune) bool {
	return r == zeroWidthJoiner || unicode.In(r, unicode.Mn, unicode.Me, unicode.Sk, unicode.Variation_Selector)
}

func rightToLeft(r rune) bool {
	return unicode.In(r, unicode.Hebrew, unicode.Arabic, unicode.Syriac, unicode.Thaana, unicode.Nko, unicode.Samaritan, unicode.Mandaic, unicode.Adlam)
}

// join puts parts of a line together, without those that are empty.
func join(parts ...string) string {
	var there []string
	for _, p := range parts {
		if p != "" {
			there = append(there, p)
		}
	}
	return strings.Join(there, " · ")
}

func milliseconds(n int64) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf("%d ms", n)
}

func checks(n int) string {
	switch n {
	case 0:
		return ""
	case 1:
		return "1 failed check"
	}
	return fmt.Sprintf("%d failed checks", n)
}

// size is a number of bytes as people read it.
func size(n uint64) string {
	const units = "kMGTPE"
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	value, unit := float64(n)/1000, 0
	for value >= 999.95 && unit < len(units)-1 {
		value /= 1000
		unit++
	}
	return fmt.Sprintf("%.1f %cB", value, units[unit])
}

// lasted is a duration as people read it, in minutes at the finest, so that the menu does not
// change each second.
func lasted(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "< 1 min"
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
}

func ago(d time.Duration) string {
	if d < time.Minute {
		return "just now"
	}
	return lasted(d) + " ago"
}

// sentence puts two sentences together; either may be empty.
func sentence(first, second string) string {
	if first == "" || second == "" {
		return first + second
	}
	return first + "\n" + second
}

// detail is what a reason says beyond its first words.
func detail(reason string) string {
	_, rest, _ := strings.Cut(reason, ": ")
	first, size := utf8.DecodeRuneInString(rest)
	if size == 0 {
		return ""
	}
	return clean(string(unicode.ToUpper(first))+rest[size:], textWidth)
}
