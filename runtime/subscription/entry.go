package subscription

import (
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// converter writes one entry of a document as a link. If both results are nil, the entry is no
// server and nobody misses it (direct, block).
type converter func(o *object) (*uri, *link.Error)

// entry adds the server that one entry of a document describes. A name that is not empty comes
// before the name that convert finds.
func (c *collector) entry(value any, name string, convert converter) {
	position, ok := c.next()
	if !ok {
		return
	}
	fields, ok := value.(map[string]any)
	if !ok {
		c.problem(Problem{Position: position, Code: CodeNotAnEntry, Message: "the entry is not a mapping of settings"})
		return
	}
	o := &object{fields: fields}
	u, rejection := convert(o)
	switch {
	case u == nil && rejection == nil:
		return
	case rejection != nil:
		if name == "" && u != nil {
			name = u.name
		}
		c.reject(position, name, rejection)
		return
	}
	if name != "" {
		u.name = name
	}
	if !c.link(position, u.String(), u.name) {
		return
	}
	if left := o.left(); len(left) > 0 {
		const most = 8
		names := strings.Join(left[:min(len(left), most)], ", ")
		if len(left) > most {
			names += " and others"
		}
		c.problem(Problem{
			Position: position, Name: c.body.Entries[len(c.body.Entries)-1].Link.Name, Code: CodeLeftOut, Kept: true,
			Message: "left out of the entry, because xrat does not support it: " + names + "; the server may work without",
		})
	}
}

// chained rejects an entry that reaches its server through another server.
func chained(field string) *link.Error {
	return reject(CodeChained, "the entry goes through another server ("+field+"), which xrat does not support; ask the provider for one without")
}
