package subscription

import (
	"errors"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// converter writes one entry of a document as a link. If both results are nil, the entry is no
// server and nobody misses it (direct, block).
type converter func(o *object) (*uri, *link.Error)

// entry adds the server that one entry of a document describes. A name that is not empty comes
// before the name that convert finds.
func (c *collector) entry(value any, name string, convert converter) {
	if position, ok := c.next(); ok {
		c.entryAt(position, value, name, convert)
	}
}

// entryAt is entry for one whose position is known.
func (c *collector) entryAt(position int, value any, name string, convert converter) {
	fields, ok := value.(map[string]any)
	if !ok {
		c.problem(Problem{Position: position, Code: CodeNotAnEntry, Message: "the entry is not a mapping of settings"})
		return
	}
	o := &object{fields: fields}
	u, rejection := convert(o)
	if u != nil && rejection == nil {
		rejection = u.checkComplete()
	}
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
	l, leftOut, err := link.Read(u.String())
	if !c.parsed(position, l, leftOut, inOtherWords(err), u.name) {
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

var aboutLinks = strings.NewReplacer(" a link", " an entry", "share links", "entries", "share link", "entry", " links", " entries", " link", " entry", "the parameter ", "the setting ")

// inOtherWords says of an entry what runtime/link says of the link that was made of it.
func inOtherWords(err error) error {
	if e, ok := errors.AsType[*link.Error](err); ok {
		return reject(e.Code, aboutLinks.Replace(e.Message))
	}
	return err
}

// chained rejects an entry that reaches its server through another server.
func chained(field string) *link.Error {
	return reject(CodeChained, "the entry goes through another server ("+field+"), which xrat does not support; ask the provider for one without")
}

// checkComplete says what an entry lacks. A link without it could be taken for one of another form.
func (u *uri) checkComplete() *link.Error {
	needed := map[string]string{"vless": "user ID", "vmess": "user ID", "trojan": "password", "ss": "method and password"}[u.scheme]
	switch {
	case strings.TrimSpace(u.host) == "":
		return reject(link.CodeBadHost, "the entry has no address of a server; ask the provider for a complete one")
	case needed == "" || u.user != "" && u.user != "UUID":
		return nil
	case u.user == "":
		return reject(link.CodeMissingCredentials, "the entry has no "+needed+"; ask the provider for a complete one")
	case needed == "user ID":
		// Clients that want a server in every configuration are given this one where only the
		// sending of packets is configured.
		return reject(link.CodeMissingCredentials, `the entry is a dummy: its user ID is the word "UUID"; such configurations use no server and only change how this machine sends, which xrat does not do`)
	}
	return nil
}
