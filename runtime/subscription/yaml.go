package subscription

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/xrat-tray/xrat/runtime/link"
)

const (
	maxWholeYAML = 128 << 10 // bytes of a document that is read as one
	maxYAMLDepth = 24
	maxYAMLNodes = 500_000 // nodes that are read in one body, those behind an alias each time again
	maxYAMLWork  = 800_000 // characters in one body that begin a token for the library; a proxy has about 40
)

// readYAML reads the proxies of a Clash configuration.
//
// A short document is read as a whole, so that anchors work. A long one, or one with errors, is cut
// into the texts of its proxies, which are read one by one: an error then spoils one of them only,
// and rules, groups and bombs elsewhere in the document cost nothing.
func (c *collector) readYAML(data []byte) error {
	r := yamlReader{nodes: maxYAMLNodes, work: maxYAMLWork}
	if len(data) <= maxWholeYAML {
		if list := r.proxies(data); list != nil {
			for _, node := range list.Content {
				c.yamlEntry(&r, node)
			}
			return nil
		}
	}
	for _, item := range splitProxies(data) {
		if c.full() {
			return nil
		}
		if len(item) > maxEntry {
			if position, ok := c.next(); ok {
				c.problem(Problem{Position: position, Code: link.CodeTooLong, Message: "the entry is longer than 64 KiB; no server needs that"})
			}
			continue
		}
		node := r.load(item)
		if r.work <= 0 || r.nodes <= 0 {
			c.cutShort("the subscription is too costly to read; the rest was not read")
			return nil
		}
		if node != nil && node.Kind == yaml.SequenceNode && len(node.Content) == 1 {
			c.yamlEntry(&r, node.Content[0])
		} else if position, ok := c.next(); ok {
			c.problem(Problem{Position: position, Code: CodeBrokenBody, Message: "the entry is not valid YAML"})
		}
	}
	return nil
}

func (c *collector) yamlEntry(r *yamlReader, node *yaml.Node) {
	value, ok := r.value(node, 0)
	if !ok {
		if position, more := c.next(); more {
			c.problem(Problem{Position: position, Code: CodeNotAnEntry, Message: "the entry, with what its aliases stand for, is too large or nested too deeply"})
		}
		return
	}
	c.entry(value, "", clashURI)
}

// splitProxies cuts the list of proxies of a document, if it is in block style, into its items.
// Each is the text of a list with one element.
func splitProxies(data []byte) [][]byte {
	start := clashHeader.FindIndex(data)
	if start == nil {
		return nil
	}
	rest := data[start[1]:]
	if end := bytes.IndexByte(rest, '\n'); end >= 0 {
		rest = rest[end+1:]
	} else {
		return nil
	}
	var items [][]byte
	item, indent := -1, -1
	for at := 0; at < len(rest); {
		end := bytes.IndexByte(rest[at:], '\n') + at + 1
		if end == at {
			end = len(rest)
		}
		line := rest[at:end]
		text := bytes.TrimLeft(line, " ")
		depth := len(line) - len(text)
		dash := len(text) > 1 && text[0] == '-' && bytes.IndexByte([]byte(" \t\r\n"), text[1]) >= 0
		switch {
		case len(bytes.TrimSpace(text)) == 0 || text[0] == '#':
		case dash && (indent < 0 || depth == indent):
			if item >= 0 {
				items = append(items, rest[item:at])
			}
			item, indent = at, depth
			if len(items) > maxPositions { // readYAML reports it
				return items
			}
		case depth == 0 && text[0] != '\t' || indent < 0:
			// The next key of the document.
			if item >= 0 {
				items = append(items, rest[item:at])
			}
			return items
		}
		at = end
	}
	if item >= 0 {
		items = append(items, rest[item:])
	}
	return items
}

// yamlReader loads YAML within limits for the body as a whole: what is left of maxYAMLNodes and of
// maxYAMLWork.
type yamlReader struct{ nodes, work int }

// load returns the root of a document, or nil if it is not valid.
func (r *yamlReader) load(text []byte) *yaml.Node {
	for _, b := range text {
		switch b {
		case ',', ':', '[', '{', '&', '*', '!', '?', '\n':
			r.work--
		}
	}
	if r.work <= 0 {
		return nil
	}
	var document yaml.Node
	if yaml.Load(text, &document, yaml.WithPlugin(loaderlimits.New(loaderlimits.DepthValue(maxYAMLDepth)))) != nil ||
		document.Kind != yaml.DocumentNode || len(document.Content) != 1 {
		return nil
	}
	return document.Content[0]
}

// proxies returns the list of proxies of a document, or nil.
func (r *yamlReader) proxies(text []byte) *yaml.Node {
	root := r.load(text)
	if root == nil || root.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		if key := root.Content[i].Value; key == "proxies" || key == "Proxy" {
			list := root.Content[i+1]
			if list.Kind == yaml.AliasNode {
				list = list.Alias
			}
			if list.Kind == yaml.SequenceNode {
				return list
			}
		}
	}
	return nil
}

// value turns a node into a value of an object. Scalars stay text: a short ID like 1e10 is not a
// number.
func (r *yamlReader) value(node *yaml.Node, depth int) (any, bool) {
	if r.nodes--; r.nodes < 0 || depth > maxYAMLDepth {
		return nil, false
	}
	switch node.Kind {
	case yaml.AliasNode:
		return r.value(node.Alias, depth+1)
	case yaml.SequenceNode:
		list := make([]any, 0, min(len(node.Content), 64))
		for _, item := range node.Content {
			value, ok := r.value(item, depth+1)
			if !ok {
				return nil, false
			}
			list = append(list, value)
		}
		return list, true
	case yaml.MappingNode:
		fields := make(map[string]any)
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i].Value
			value, ok := r.value(node.Content[i+1], depth+1)
			if !ok {
				return nil, false
			}
			if node.Content[i].Tag == "!!merge" || key == "<<" {
				merge(fields, value)
				continue
			}
			fields[key] = value
		}
		return fields, true
	default:
		if node.Tag == "!!null" {
			return nil, true
		}
		return strings.ToValidUTF8(node.Value, "\uFFFD"), true
	}
}

// merge adds the fields of value, a mapping or several, that are not there yet.
func merge(fields map[string]any, value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, v := range value {
			if _, own := fields[key]; !own {
				fields[key] = v
			}
		}
	case []any:
		for _, v := range value {
			if mapping, ok := v.(map[string]any); ok {
				merge(fields, mapping)
			}
		}
	}
}
