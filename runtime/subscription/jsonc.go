package subscription

import "bytes"

// plainJSON returns data without what the core, panels and people allow in JSON although it has no
// place there: comments (//, #, /* */), commas before a closing bracket, and byte order marks.
// Spaces take their place, in a copy.
func plainJSON(data []byte) []byte {
	plain := data
	blank := func(from, to int) {
		if &plain[0] == &data[0] {
			plain = bytes.Clone(data)
		}
		for i := from; i < to; i++ {
			plain[i] = ' '
		}
	}
	comma := -1 // the one that nothing follows so far
	for i := 0; i < len(data); {
		switch data[i] {
		case ' ', '\t', '\r', '\n':
			i++
			continue
		case '#', '/', 0xEF:
			if end := endOfRemark(data, i); end > i {
				blank(i, end)
				i = end
				continue
			}
		case '}', ']':
			if comma >= 0 {
				blank(comma, comma+1)
			}
		}
		comma = -1
		switch data[i] {
		case ',':
			comma = i
			i++
		case '"':
			i = endOfString(data, i)
		default:
			i++
		}
	}
	return plain
}

// startsJSON reports whether data, behind comments, begins with a JSON object or an array. The
// headings of other formats begin with a bracket, too, and go on with a letter.
func startsJSON(data []byte) bool {
	i := skipRemarks(data, 0)
	if i < len(data) && data[i] == '[' {
		i = skipRemarks(data, i+1)
		return i == len(data) || !isLetter(data[i])
	}
	return i < len(data) && data[i] == '{'
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// skipRemarks returns where the first character at i or later is that is neither white space nor
// part of a comment.
func skipRemarks(data []byte, i int) int {
	for i < len(data) {
		switch end := endOfRemark(data, i); {
		case end > i:
			i = end
		case bytes.IndexByte([]byte(" \t\r\n"), data[i]) >= 0:
			i++
		default:
			return i
		}
	}
	return i
}

// endOfRemark returns where the comment or the byte order mark that begins at i ends, or i if none
// does.
func endOfRemark(data []byte, i int) int {
	rest := data[i:]
	end := -1
	switch {
	case rest[0] == '#', bytes.HasPrefix(rest, []byte("//")):
		end = bytes.IndexByte(rest, '\n')
	case bytes.HasPrefix(rest, []byte("/*")):
		if end = bytes.Index(rest[2:], []byte("*/")); end >= 0 {
			end += 4
		}
	case bytes.HasPrefix(rest, []byte("\uFEFF")):
		end = len("\uFEFF")
	default:
		return i
	}
	if end < 0 {
		return len(data)
	}
	return i + end
}

// endOfString returns where the string that begins at i ends.
func endOfString(data []byte, i int) int {
	for i++; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(data)
}
