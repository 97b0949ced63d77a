package subscription

import (
	"bytes"
	"regexp"
	"strings"
)

var (
	// clashItem is how a list of servers begins that has nothing around it.
	clashItem = regexp.MustCompile(`^-[ \t]+\{?\s*["']?(?:name|type|server|port)["']?[ \t]*:`)

	anchor = regexp.MustCompile(`(?m)(?:^|[\s\[{,])&[\w-]`)
	alias  = regexp.MustCompile(`(?m)(?:^|[\s\[{,])\*[\w-]`)
)

// isClash reports whether a document is a Clash configuration, and whether it has a list of
// servers, which was once called Proxy.
func isClash(document []byte) (is, hasList bool) {
	for line := range bytes.Lines(document) {
		switch string(topKey(line)) {
		case "proxies", "Proxy":
			return true, true
		case "proxy-providers", "proxy-groups", "rule-providers", "mixed-port", "Proxy Group":
			is = true
		}
	}
	if is {
		return true, false
	}
	bare := withoutComments(document)
	is = clashItem.Match(bare[:min(len(bare), 1024)])
	return is, is
}

// topKey returns the key with which a line begins that is not indented, if it does.
func topKey(line []byte) []byte {
	line = line[:min(len(line), 100)]
	key := bytes.TrimLeft(line, `"'`)
	if len(key) == 0 || !('a' <= key[0]|0x20 && key[0]|0x20 <= 'z') {
		return nil
	}
	colon := bytes.IndexByte(key, ':')
	if colon < 0 {
		return nil
	}
	return bytes.TrimRight(key[:colon], "\"' \t")
}

// withoutComments returns data from its first line on that is neither blank nor a comment.
func withoutComments(data []byte) []byte {
	for len(data) > 0 {
		line, rest, _ := bytes.Cut(data, []byte("\n"))
		if text := bytes.TrimSpace(line); len(text) > 0 && text[0] != '#' {
			return data
		}
		data = rest
	}
	return data
}

// splitDocuments cuts a stream of YAML into its documents.
func splitDocuments(data []byte) (documents [][]byte) {
	const most = 100
	start := 0
	for at := 0; at < len(data) && len(documents) < most; {
		end := lineEnd(data, at)
		line := bytes.TrimRight(data[at:end], " \t\r\n")
		if string(line) == "---" || string(line) == "..." || bytes.HasPrefix(line, []byte("--- ")) {
			documents = append(documents, data[start:at])
			start = at + len("---")
		}
		at = end
	}
	return append(documents, data[start:])
}

func lineEnd(data []byte, at int) int {
	if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(data)
}

// dedent takes the indentation of the first line off all lines.
func dedent(data []byte) []byte {
	first := withoutComments(data)
	depth := len(first) - len(bytes.TrimLeft(first, " "))
	if depth == 0 {
		return data
	}
	plain := make([]byte, 0, len(data))
	for line := range bytes.Lines(data) {
		n := 0
		for n < depth && n < len(line) && line[n] == ' ' {
			n++
		}
		plain = append(plain, line[n:]...)
	}
	return plain
}

const itemsKey = "items"

// clashParts are the parts that matter of a document that is not read as a whole.
type clashParts struct {
	items     [][]byte // the texts of its proxies
	flow      bool     // they are in brackets, separated by commas, and not one behind a dash each
	anchors   []byte   // what their aliases stand for
	providers []byte   // the section proxy-providers
}

// document returns a document with some of the items.
func (p clashParts) document(items [][]byte) []byte {
	var b bytes.Buffer
	b.Write(p.anchors)
	b.WriteString(itemsKey + ":")
	if p.flow {
		b.WriteString(" [" + string(bytes.Join(items, []byte(",\n"))) + "\n]\n")
	} else {
		b.WriteString("\n")
		for _, item := range items {
			b.Write(item)
		}
	}
	return b.Bytes()
}

// splitClash finds the parts of a document.
func splitClash(document []byte) (p clashParts) {
	if bytes.HasPrefix(withoutComments(document), []byte("-")) {
		p.items = splitBlock(withoutComments(document))
	}
	sections := splitSections(document)
	for _, section := range sections {
		switch section.key {
		case "proxies", "Proxy":
			if rest := bytes.TrimLeft(section.value, " \t\r\n"); bytes.HasPrefix(rest, []byte("[")) {
				p.items, p.flow = splitFlow(rest[1:]), true
			} else if i := bytes.IndexByte(section.value, '\n'); i >= 0 {
				p.items = splitBlock(section.value[i+1:])
			}
		case "proxy-providers":
			p.providers = section.text
		}
	}
	p.anchors = anchorsFor(p, sections)
	return p
}

// anchorsFor returns what the aliases in the items may stand for: other sections of the document
// with anchors, and items with anchors.
func anchorsFor(p clashParts, sections []clashSection) []byte {
	used := false
	for _, item := range p.items {
		used = used || alias.Match(item)
	}
	if !used {
		return nil
	}
	var anchors []byte
	add := func(text []byte) {
		if anchor.Match(text) && len(anchors)+len(text) <= maxAnchors {
			anchors = append(anchors, text...)
		}
	}
	for _, section := range sections {
		switch section.key {
		case "proxies", "Proxy", "proxy-providers", "rules", "rule-providers", itemsKey:
		default:
			add(section.text)
		}
	}
	if len(anchors) > 0 && anchors[len(anchors)-1] != '\n' {
		anchors = append(anchors, '\n')
	}
	anchored := clashParts{flow: p.flow}
	size := len(anchors)
	for _, item := range p.items {
		if size+len(item) <= maxAnchors && anchor.Match(item) {
			anchored.items = append(anchored.items, item)
			size += len(item)
		}
	}
	if len(anchored.items) > 0 {
		anchors = append(anchors, "anchored-"...)
		anchors = append(anchors, anchored.document(anchored.items)...)
		if anchors[len(anchors)-1] != '\n' {
			anchors = append(anchors, '\n')
		}
	}
	return anchors
}

// clashSection is a key of a document with its value.
type clashSection struct {
	key         string
	text, value []byte // text begins with the key, value behind its colon
}

// splitSections cuts a document at the keys that are not indented.
func splitSections(document []byte) (sections []clashSection) {
	const most = 1000
	var starts []int
	for at := 0; at < len(document); {
		end := lineEnd(document, at)
		if key := topKey(document[at:end]); key != nil && len(sections) < most {
			colon := at + bytes.IndexByte(document[at:end], ':')
			sections = append(sections, clashSection{key: string(key), value: document[colon+1:]})
			starts = append(starts, at)
		}
		at = end
	}
	for i, start := range starts {
		end := len(document)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		sections[i].value = sections[i].value[:end-(len(document)-len(sections[i].value))]
		sections[i].text = document[start:end]
	}
	return sections
}

// splitBlock cuts a list in block style, and what comes after it, into its items. Each is the text
// of a list with one element.
func splitBlock(rest []byte) (items [][]byte) {
	item, until, indent := -1, 0, -1 // until is where the last line ends that is no comment
	for at := 0; at < len(rest); {
		end := lineEnd(rest, at)
		line := rest[at:end]
		text := bytes.TrimLeft(line, " ")
		depth := len(line) - len(text)
		dash := len(text) > 1 && text[0] == '-' && bytes.IndexByte([]byte(" \t\r\n"), text[1]) >= 0
		switch {
		case len(bytes.TrimSpace(text)) == 0 || text[0] == '#':
			at = end
			continue
		case dash && (indent < 0 || depth == indent):
			if item >= 0 {
				items = append(items, rest[item:until])
			}
			item, indent = at, depth
			if len(items) > maxPositions { // the reader reports it
				return items
			}
		case depth == 0 && text[0] != '\t' || indent < 0:
			// The next key of the document.
			if item >= 0 {
				items = append(items, rest[item:until])
			}
			return items
		}
		at, until = end, end
	}
	if item >= 0 {
		items = append(items, withLineEnd(rest[item:until]))
	}
	return items
}

func withLineEnd(text []byte) []byte {
	if len(text) > 0 && text[len(text)-1] != '\n' {
		return append(text[:len(text):len(text)], '\n')
	}
	return text
}

// splitFlow cuts a list in flow style, of which the first bracket is taken off, into its items.
func splitFlow(rest []byte) (items [][]byte) {
	var open []byte // the brackets that are open within an item
	start := 0
	quote, before := byte(0), byte(',') // the last character that is not a space
	add := func(end int) {
		if item := rest[start:end]; len(bytes.TrimSpace(item)) > 0 {
			items = append(items, item)
		}
		start = end + 1
	}
	for i := 0; i < len(rest); i++ {
		b := rest[i]
		switch {
		case quote == '"' && b == '\\':
			i++
			continue
		case quote != 0:
			if b == quote {
				quote, before = 0, b
			}
			continue
		case (b == '"' || b == '\'') && strings.IndexByte("[{,:", before) >= 0:
			quote = b
		case b == '#' && (i == 0 || strings.IndexByte(" \t\n", rest[i-1]) >= 0):
			i = lineEnd(rest, i) - 1
			continue
		case b == '[' || b == '{':
			if len(open) < maxYAMLDepth { // a deeper item will not be read
				open = append(open, b)
			}
		case b == ']' && len(open) == 0:
			add(i)
			return items
		case b == ']' || b == '}':
			// It closes also those inside that nobody has closed: only this item is broken then.
			if n := bytes.LastIndexByte(open, b-2); n >= 0 {
				open = open[:n]
			}
		case b == ',' && len(open) == 0:
			if add(i); len(items) > maxPositions { // the reader reports it
				return items
			}
		}
		if b != ' ' && b != '\t' && b != '\r' && b != '\n' {
			before = b
		}
	}
	add(len(rest))
	return items
}
