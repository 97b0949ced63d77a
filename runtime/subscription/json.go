package subscription

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/xrat-tray/xrat/runtime/link"
)

// readJSON reads a document, or several one after the other: a configuration of the core, of
// sing-box, v2rayN or Shadowsocks, an array of configurations or of their servers, SIP008, or a
// Clash configuration as JSON.
//
// The document is walked token by token, and only what describes servers is decoded, one entry at a
// time: the memory that this takes does not depend on what else the document contains.
func (c *collector) readJSON(data []byte) error {
	d := newDecoder(data)
	for {
		err := c.readValue(d, data, 0)
		switch {
		case c.cut:
			return nil
		case errors.Is(err, io.EOF) && d.StackDepth() == 0:
			return nil
		case err == nil:
			continue
		case len(c.body.Entries) == 0:
			return fail(CodeBrokenBody, "the subscription is JSON with errors, or was cut off; try again, then ask the provider")
		}
		c.body.Partial = true
		c.problem(Problem{Code: CodeBrokenBody, Message: "the JSON has an error or was cut off; what comes after it was not read"})
		return nil
	}
}

func newDecoder(data []byte) *jsontext.Decoder {
	// jsontext reads a bytes.Buffer in place, without a copy.
	return jsontext.NewDecoder(bytes.NewBuffer(data), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
}

// rawValue reads a value from d, which reads data, and returns it as a part of data.
func rawValue(d *jsontext.Decoder, data []byte) ([]byte, error) {
	value, err := d.ReadValue()
	if err != nil {
		return nil, err
	}
	end := int(d.InputOffset())
	return data[end-len(value) : end], nil
}

// readValue reads what can be at the top of a document, or in an array that is there.
func (c *collector) readValue(d *jsontext.Decoder, data []byte, depth int) error {
	switch d.PeekKind() {
	case '[':
		if depth > 1 {
			return d.SkipValue()
		}
		if _, err := d.ReadToken(); err != nil {
			return err
		}
		for d.PeekKind() != ']' && d.PeekKind() != 0 {
			if c.full() {
				return nil
			}
			if err := c.readValue(d, data, depth+1); err != nil {
				return err
			}
		}
		_, err := d.ReadToken()
		return err
	case '{':
		value, err := rawValue(d, data)
		if err != nil {
			return err
		}
		return c.readObject(value)
	case '"':
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		if position, ok := c.next(); ok {
			uri := token.String()
			_, name, _ := strings.Cut(uri, "#")
			c.link(position, uri, name)
		}
		return nil
	default:
		return d.SkipValue()
	}
}

// readObject reads a configuration or an entry that stands alone.
func (c *collector) readObject(data []byte) error {
	known := map[string][]byte{
		"outbounds": nil, "endpoints": nil, "outbound": nil, "outboundDetour": nil, "servers": nil, "configs": nil, "vmess": nil, "proxies": nil,
		"protocol": nil, "type": nil, "tag": nil, "remarks": nil, "server": nil, "server_port": nil, "server_ports": nil, "private_key": nil,
		"configType": nil, "ConfigType": nil,
	}
	d := newDecoder(data)
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() == '"' {
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		if _, wanted := known[name]; !wanted {
			if err := d.SkipValue(); err != nil {
				return err
			}
			continue
		}
		if known[name], err = rawValue(d, data); err != nil {
			return err
		}
	}

	var remarks string
	if len(known["remarks"]) <= maxEntry {
		_ = json.Unmarshal(known["remarks"], &remarks) // anything but a text is no name
	}
	has := func(names ...string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return known[name] != nil })
	}
	switch {
	case has("protocol") && !has("server"): // ShadowsocksR has a protocol, too
		c.jsonEntry(data, remarks, xrayURI)
	case has("outbounds", "outbound", "endpoints"):
		// The oldest configurations have one outbound and a list of others.
		c.readConfig(remarks, known["outbound"], known["outbounds"], known["outboundDetour"], known["endpoints"])
	case has("vmess"):
		each(known["vmess"], func(entry []byte) { c.jsonEntry(entry, "", v2rayNURI) })
	case has("configType", "ConfigType"):
		c.jsonEntry(data, "", v2rayNURI)
	case has("servers"):
		each(known["servers"], func(entry []byte) { c.jsonEntry(entry, "", sip008URI) })
	case has("configs"):
		each(known["configs"], func(entry []byte) { c.jsonEntry(entry, "", sip008URI) })
	case has("proxies"):
		each(known["proxies"], func(entry []byte) { c.jsonEntry(entry, "", clashURI) })
	case has("type") && has("tag", "server_port", "server_ports", "private_key"):
		c.jsonEntry(data, "", func(o *object) (*uri, *link.Error) {
			return singBoxURI(o, func(tag string) bool { return tag == "direct" })
		})
	case has("type") && has("server"):
		c.jsonEntry(data, "", clashURI)
	case has("server"):
		c.jsonEntry(data, "", sip008URI)
	default:
		if position, ok := c.next(); ok {
			c.problem(Problem{Position: position, Code: CodeNotAnEntry, Message: "the JSON object describes neither a configuration nor a server"})
		}
	}
	return nil
}

// readConfig reads the outbounds of one configuration. In an array of configurations the remarks
// name each of them, and their outbounds all have the same tag: so the first server is named by the
// remarks, and further ones by remarks and tag.
func (c *collector) readConfig(remarks string, single []byte, lists ...[]byte) {
	direct := sync.OnceValue(func() map[string]bool { return directTags(lists...) })
	first := len(c.body.Entries)
	ways := findWays(single, lists...)
	read := func(entry []byte) {
		name := ""
		if remarks != "" && len(c.body.Entries) == first {
			name = remarks
		}
		c.jsonEntry(entry, name, func(o *object) (u *uri, err *link.Error) {
			if isSingBox(o) {
				u, err = singBoxURI(o, func(tag string) bool { return direct()[tag] })
			} else {
				u, err = ways.xrayURI(o)
			}
			if u != nil && remarks != "" && name == "" && u.name != "" {
				u.name = remarks + " " + u.name
			}
			return u, err
		})
	}
	if single != nil {
		read(single)
	}
	for _, list := range lists {
		each(list, read)
	}
}

// each calls visit for the elements of an array that is known to be valid JSON. Other values have
// no elements.
func each(data []byte, visit func([]byte)) {
	if len(data) == 0 || data[0] != '[' {
		return
	}
	d := newDecoder(data)
	if _, err := d.ReadToken(); err != nil {
		return
	}
	for d.PeekKind() != ']' {
		value, err := rawValue(d, data)
		if err != nil {
			return
		}
		visit(value)
	}
}

func (c *collector) jsonEntry(data []byte, name string, convert converter) {
	if c.full() {
		return
	}
	if len(data) > maxEntry {
		if position, ok := c.next(); ok {
			c.problem(Problem{Position: position, Name: cleanName(name), Code: link.CodeTooLong, Message: "the entry is longer than 64 KiB; no server needs that"})
		}
		return
	}
	c.entry(valueOf(data), name, convert)
}

// valueOf decodes a value for an object. It is nil if data is not JSON or nested too deeply.
func valueOf(data []byte) (value any) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber() // ports and short IDs become parts of a link as they are written
	if err := d.Decode(&value); err != nil {
		return nil
	}
	return value
}
