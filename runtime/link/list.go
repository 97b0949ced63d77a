package link

import "strings"

// Line is one line of a list that was meant to be a link: Link if Err is nil, otherwise Err is an *Error.
type Line struct {
	Number int // from 1; in a list that came as base64, the line in what was inside
	Link   Link
	Err    error
}

// ParseList reads a list of links, one a line. Blank lines and lines that start with "#" or "//" are skipped. A text without
// any "://" is taken for base64, which is how subscriptions are delivered. One bad line does not spoil the others.
func ParseList(text string) []Line {
	text = strings.TrimPrefix(text, "\uFEFF")
	if !strings.Contains(text, "://") {
		if decoded, ok := decodeBase64(text); ok && strings.Contains(string(decoded), "://") {
			text = strings.TrimPrefix(string(decoded), "\uFEFF")
		}
	}
	var lines []Line
	number := 0
	for s := range strings.Lines(text) {
		number++
		s = strings.TrimSpace(s)
		if s == "" || strings.HasPrefix(s, "#") || strings.HasPrefix(s, "//") {
			continue
		}
		l, err := Parse(s)
		lines = append(lines, Line{Number: number, Link: l, Err: err})
	}
	return lines
}
