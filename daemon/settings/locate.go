package settings

import (
	"sort"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

type position struct{ line, column int }

// lines holds the offset at which each line of a text starts.
type lines []int

func newLines(data []byte) lines {
	starts := lines{0}
	for i, c := range data {
		if c == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// position turns an offset into a line and a column in bytes, both from 1.
func (l lines) position(offset int) (line, column int) {
	line = sort.Search(len(l), func(i int) bool { return l[i] > offset })
	return line, offset - l[line-1] + 1
}

// locate returns where each key of a valid TOML document first stands, by its path as keyPath
// writes it. The stable part of the library decodes values without their positions; only its
// unstable parser has them.
func locate(data []byte) map[string]position {
	found := make(map[string]position)
	starts := newLines(data)
	var parser unstable.Parser
	parser.Reset(data)

	// note records a key and each of the tables that it names on the way.
	note := func(prefix []string, node *unstable.Node) []string {
		path := prefix[:len(prefix):len(prefix)]
		for parts := node.Key(); parts.Next(); {
			part := parts.Node()
			path = append(path, string(part.Data))
			if name := keyPath(path...); found[name] == (position{}) {
				line, column := starts.position(int(part.Raw.Offset))
				found[name] = position{line, column}
			}
		}
		return path
	}
	var keyValue func(prefix []string, node *unstable.Node)
	keyValue = func(prefix []string, node *unstable.Node) {
		path := note(prefix, node)
		// Settings are two levels deep; what is deeper is an error of its parent.
		if value := node.Value(); value.Kind == unstable.InlineTable && len(path) < 2 {
			for children := value.Children(); children.Next(); {
				keyValue(path, children.Node())
			}
		}
	}

	var table []string
	for parser.NextExpression() {
		switch node := parser.Expression(); node.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = note(nil, node)
		case unstable.KeyValue:
			keyValue(table, node)
		}
	}
	return found
}

// keyPath writes the path of a key as TOML would: parts with dots or spaces in quotes.
func keyPath(parts ...string) string {
	written := make([]string, len(parts))
	for i, part := range parts {
		written[i] = part
		if part == "" || strings.ContainsFunc(part, isNotBare) {
			written[i] = strconv.Quote(part)
		}
	}
	return strings.Join(written, ".")
}

// isNotBare reports whether a key with r in it needs quotes (TOML 1.0, "Keys").
func isNotBare(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '_', r == '-':
		return false
	}
	return true
}
