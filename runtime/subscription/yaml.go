package subscription

import (
	"cmp"
	"strings"

	"go.yaml.in/yaml/v4"
	"go.yaml.in/yaml/v4/plugin/loaderlimits"

	"github.com/xrat-tray/xrat/runtime/link"
)

const (
	maxWholeYAML = 128 << 10 // bytes of a document that is read as one
	maxYAMLBatch = 32 << 10  // bytes of the items of a longer one that are read together
	maxAnchors   = 32 << 10  // bytes of what aliases in it stand for
	maxYAMLDepth = 24
	maxYAMLNodes = 500_000 // nodes that are read in one body, those behind an alias each time again
	maxYAMLWork  = 800_000 // characters in one body that begin a token for the library; a proxy has about 40
)

// readYAML reads the proxies of a Clash configuration: of the first document in which there are
// some, as Clash does.
//
// A short document is read as a whole. A long one, or one with errors, is cut into the texts of its
// proxies, which are read a few at a time, and one by one where that fails: an error then spoils
// one of them only, and rules, groups and bombs elsewhere in the document cost nothing.
func (c *collector) readYAML(data []byte) error {
	r := yamlReader{nodes: maxYAMLNodes, work: maxYAMLWork}
	var addresses []string
	read := false
	for _, document := range splitDocuments(data) {
		switch is, hasList := isClash(document); {
		case !is:
			continue
		case read && hasList:
			c.problem(Problem{Code: CodeNotRead, Message: "the YAML has a further document (behind ---), which was not read, as clients of Clash read the first one only; put all proxies into one list"})
			c.elsewhere(addresses)
			return nil
		}
		before := c.positions
		addresses = append(addresses, c.readClash(&r, document)...)
		read = read || c.positions > before
		if c.cut {
			break
		}
	}
	c.elsewhere(addresses)
	return nil
}

// readClash reads one document, and returns the addresses of the lists that it refers to.
func (c *collector) readClash(r *yamlReader, document []byte) (addresses []string) {
	if len(document) <= maxWholeYAML {
		if lists, addresses, ok := r.proxies(r.load(document)); ok {
			c.yamlLists(r, lists)
			return addresses
		}
	}
	parts := splitClash(document)
	c.yamlItems(r, parts)
	if provided := parts.providers; len(provided) > 0 && len(provided) <= maxWholeYAML && !c.cut {
		lists, addresses, _ := r.proxies(r.load(provided))
		c.yamlLists(r, lists)
		return addresses
	}
	return nil
}

func (c *collector) yamlLists(r *yamlReader, lists []yamlList) {
	for _, list := range lists {
		for _, node := range list.nodes {
			if c.yamlEntry(r, node, list.detour); c.cut {
				return
			}
		}
	}
}

// yamlItems reads the proxies of a document that is cut into parts.
func (c *collector) yamlItems(r *yamlReader, parts clashParts) {
	for items := parts.items; len(items) > 0 && !c.full(); {
		n, size := 0, 0
		for n < len(items) && (n == 0 || size+len(items[n]) <= maxYAMLBatch) {
			size += len(items[n])
			n++
		}
		if nodes := r.items(parts, items[:n]); len(nodes) == n {
			for _, node := range nodes {
				c.yamlEntry(r, node, "")
			}
		} else {
			for _, item := range items[:n] {
				c.yamlItem(r, parts, item)
			}
		}
		if r.work <= 0 || r.nodes <= 0 {
			c.cutShort("the subscription is too costly to read; the rest was not read")
			return
		}
		items = items[n:]
	}
}

// yamlItem reads a proxy that could not be read together with others.
func (c *collector) yamlItem(r *yamlReader, parts clashParts, item []byte) {
	if r.work <= 0 || r.nodes <= 0 {
		return
	}
	if len(item) > maxEntry {
		if position, ok := c.next(); ok {
			c.problem(Problem{Position: position, Code: link.CodeTooLong, Message: "the entry is longer than 64 KiB; no server needs that"})
		}
		return
	}
	if nodes := r.items(parts, [][]byte{item}); len(nodes) == 1 {
		c.yamlEntry(r, nodes[0], "")
	} else if r.work <= 0 {
		return
	} else if position, ok := c.next(); ok {
		c.problem(Problem{Position: position, Code: CodeBrokenBody, Message: "the entry is not valid YAML"})
	}
}

// yamlEntry adds a proxy. detour is the server through which all of its list go, if not empty.
func (c *collector) yamlEntry(r *yamlReader, node *yaml.Node, detour string) {
	value, ok := r.value(node, 0)
	if !ok {
		if position, more := c.next(); more {
			c.problem(Problem{Position: position, Code: CodeNotAnEntry, Message: "the entry, with what its aliases stand for, is too large or nested too deeply"})
		}
		return
	}
	if fields, ok := value.(map[string]any); ok && detour != "" {
		fields["dialer-proxy"] = detour
	}
	c.entry(value, "", clashURI)
}

// yamlList is a list of proxies. detour is the server through which all of them go, if not empty.
type yamlList struct {
	nodes  []*yaml.Node
	detour string
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

// items loads some of the items of a document that is cut into parts.
func (r *yamlReader) items(parts clashParts, items [][]byte) []*yaml.Node {
	if len(items) == 1 && len(items[0]) > maxEntry {
		return nil
	}
	list := field(r.load(parts.document(items)), itemsKey)
	if list == nil || list.Kind != yaml.SequenceNode {
		return nil
	}
	return list.Content
}

// proxies returns the lists of proxies in a document, and the addresses of others.
func (r *yamlReader) proxies(root *yaml.Node) (lists []yamlList, addresses []string, ok bool) {
	if root == nil {
		return nil, nil, false
	}
	if root.Kind == yaml.SequenceNode {
		return []yamlList{{nodes: root.Content}}, nil, true
	}
	for _, key := range []string{"proxies", "Proxy"} {
		if list := field(root, key); list != nil && list.Kind == yaml.SequenceNode {
			lists = append(lists, yamlList{nodes: list.Content})
		}
	}
	providers := field(root, "proxy-providers")
	if providers == nil || providers.Kind != yaml.MappingNode {
		return lists, nil, root.Kind == yaml.MappingNode
	}
	for i := 1; i < len(providers.Content); i += 2 {
		provider := providers.Content[i]
		if provider.Kind == yaml.AliasNode {
			provider = provider.Alias
		}
		if list := field(provider, "payload"); list != nil && list.Kind == yaml.SequenceNode {
			detour := cmp.Or(text(field(provider, "dialer-proxy")), text(field(field(provider, "override"), "dialer-proxy")))
			lists = append(lists, yamlList{nodes: list.Content, detour: detour})
		}
		if address := text(field(provider, "url")); isPage(address) {
			addresses = append(addresses, address)
		}
	}
	return lists, addresses, true
}

// field returns the value of a key in a mapping, behind an alias, too; or nil. It may be that of a
// merge.
func field(mapping *yaml.Node, key string) *yaml.Node {
	if mapping == nil || mapping.Kind != yaml.MappingNode {
		return nil
	}
	var merged *yaml.Node
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		value := mapping.Content[i+1]
		if value.Kind == yaml.AliasNode {
			value = value.Alias
		}
		switch mapping.Content[i].Value {
		case key:
			return value
		case "<<":
			if value.Kind == yaml.MappingNode && value != mapping {
				merged = value
			}
		}
	}
	if merged != nil {
		for i := 0; i+1 < len(merged.Content); i += 2 { // no deeper: nobody does
			if merged.Content[i].Value == key && merged.Content[i+1].Kind != yaml.AliasNode {
				return merged.Content[i+1]
			}
		}
	}
	return nil
}

// text returns a scalar, or "".
func text(node *yaml.Node) string {
	if node == nil || node.Kind != yaml.ScalarNode {
		return ""
	}
	return strings.TrimSpace(node.Value)
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
