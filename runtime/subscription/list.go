package subscription

import (
	"bytes"
	"encoding/base64"
	"runtime"
	"strings"
	"sync"

	"github.com/xrat-tray/xrat/runtime/link"
)

// readList reads a list of links, one a line.
func (c *collector) readList(data []byte) {
	var lines []listLine
	number := 0
	for text := range bytes.Lines(data) {
		number++
		text = bytes.TrimSpace(text)
		if len(text) == 0 || text[0] == '#' || bytes.HasPrefix(text, []byte("//")) {
			continue
		}
		if _, ok := c.next(); !ok {
			break
		}
		// Shadowrocket shows these lines as the state of the account.
		if key, value, found := bytes.Cut(text, []byte("=")); found && (string(key) == "STATUS" || string(key) == "REMARKS") {
			c.notice(string(value))
			continue
		}
		lines = append(lines, listLine{number: number, uri: string(text)})
	}
	parseLines(lines)
	for _, l := range lines {
		_, name, _ := strings.Cut(l.uri, "#")
		c.parsed(l.number, l.link, l.leftOut, l.err, name)
	}
}

type listLine struct {
	number  int
	uri     string
	link    link.Link
	leftOut []string
	err     error
}

// parseLines parses every line, on all processors: a list can have tens of thousands of them.
func parseLines(lines []listLine) {
	const least = 500 // lines that are worth a goroutine
	var workers sync.WaitGroup
	defer workers.Wait()
	for share := max(least, len(lines)/runtime.GOMAXPROCS(0)+1); len(lines) > 0; {
		some := lines[:min(share, len(lines))]
		lines = lines[len(some):]
		workers.Go(func() {
			for i := range some {
				some[i].link, some[i].leftOut, some[i].err = link.Read(some[i].uri)
			}
		})
	}
}

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
