// Package subscription reads what a provider of proxy servers serves at a subscription's address, fetches it, and compares it
// with what is known already.
//
// It owns the formats of the bodies (lists of links, base64, SIP008, Xray JSON, Clash YAML), the limits within which a body is
// read, the rules by which an address may be fetched, and the reconciliation. It does not own the grammar of links: every entry is
// written as a share link and read by runtime/link, so one parser decides what a server may be. It stores nothing,
// schedules nothing and logs nothing.
//
// A body is hostile until proven otherwise. Of a whole core configuration only the known settings of its outbounds are looked at.
// Inbounds, log files, API, DNS and routing have no way through. Where a setting is left out that somebody could miss, a [Problem] names it.
// Neither errors nor problems contain secrets: no link, password, key, or path or query of an address.
//
// SIP008 is described at shadowsocks.org, the Clash format by the documentation of mihomo, the JSON of outbounds by that of Xray.
package subscription

import (
	"bytes"
	"fmt"
	"regexp"

	"github.com/xrat-tray/xrat/runtime/link"
)

// MaxBody is the largest body that is read, in bytes, after decompression.
const MaxBody = 8 << 20

const (
	maxPositions = 50_000   // entries, good and bad, that are looked at in one body
	maxEntry     = 64 << 10 // bytes of one entry that is not a link; link has the same limit of its own
	maxProblems  = 1_000    // that are kept; others are counted
	maxNotices   = 20
	maxWrapping  = 2 // base64 inside base64 happens, more does not
)

// Body is what a subscription contains.
type Body struct {
	Entries  []Entry
	Problems []Problem // what was left out and why, in the order of the body, the first 1,000
	Unlisted int       // problems beyond those
	Notices  []string  // what the provider says in the names of entries that are no servers ("3 GB left"); cleaned for display

	// Partial means that the body broke off or was too long: servers that it does not name may still be offered.
	Partial bool
}

// Entry is one server.
type Entry struct {
	Link     link.Link // with its name, which may be empty
	Position int       // as in Problem
}

// Problem is an entry that cannot be used, or a part of an entry that was left out.
type Problem struct {
	// Position counts from 1: the line of a list (of what was inside base64), or the place among the servers of a document.
	// 0 is the body as a whole.
	Position int
	Name     string // of the entry, cleaned for display; may be empty
	Code     string // one of the codes of runtime/link, or of this package
	Message  string // what, why, and the way out
	Kept     bool   // the entry is usable all the same, and among the Entries
}

// The codes of [Problem] and [Error], beside those of runtime/link.
const (
	CodeEmpty         = "empty_body"
	CodeWebPage       = "web_page"       // HTML: a login, an error or a block page
	CodeUnknownFormat = "unknown_format" // nothing that this package reads
	CodeBrokenBody    = "broken_body"    // a known format with errors of syntax, or cut off
	CodeNoEntries     = "no_entries"
	CodeTooLarge      = "too_large"
	CodeTooMany       = "too_many"
	CodeNotAnEntry    = "not_an_entry"     // something else where a server was expected
	CodeLeftOut       = "setting_left_out" // of an entry that is kept
	CodeChained       = "unsupported_chain"
)

// Error says why a body cannot be used or an address cannot be fetched. It contains nothing secret.
type Error struct {
	Code    string
	Message string
	cause   error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns the reason in the vocabulary of the context package, or nil.
func (e *Error) Unwrap() error { return e.cause }

func fail(code, message string) *Error { return &Error{Code: code, Message: message} }

// Parse reads a body. The error, always an *Error, means that it has nothing to offer: it is empty, a web page, broken, or without a single usable
// entry. Whoever refreshes keeps what he has. The Body is returned in any case, with the Problems that explain the error.
func Parse(data []byte) (Body, error) {
	var c collector
	if len(data) > MaxBody {
		return c.body, fail(CodeTooLarge, "the subscription is larger than 8 MiB; check that its address is right")
	}
	if err := c.read(data, maxWrapping); err != nil {
		return c.body, err
	}
	if len(c.body.Entries) == 0 {
		return c.body, noEntries(&c.body)
	}
	return c.body, nil
}

func noEntries(b *Body) *Error {
	switch n := len(b.Problems) + b.Unlisted; n {
	case 0:
		return fail(CodeNoEntries, "the subscription contains no server; check the account at the provider")
	case 1:
		return fail(CodeNoEntries, "the subscription contains no usable server: "+b.Problems[0].Message)
	default:
		return fail(CodeNoEntries, fmt.Sprintf("the subscription contains no usable server; the first of %d problems: %s", n, b.Problems[0].Message))
	}
}

// clashHeader finds the list of servers in a Clash configuration; Clash once called it Proxy.
var clashHeader = regexp.MustCompile(`(?m)^["']?(?:proxies|Proxy)["']?[ \t]*:`)

// read finds out the format. Of wrappings in base64 it takes as many off as it may.
func (c *collector) read(data []byte, wrappings int) error {
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\uFEFF")))
	switch {
	case len(data) == 0:
		return fail(CodeEmpty, "the subscription is empty; check the account at the provider")
	case data[0] == '<':
		return fail(CodeWebPage, "the answer is a web page and not a subscription; check the address, and whether the network asks for a login")
	case data[0] == '{' || data[0] == '[':
		return c.readJSON(data)
	case clashHeader.Match(data):
		return c.readYAML(data)
	case bytes.Contains(data, []byte("://")):
		c.readList(data)
		return nil
	}
	if wrappings > 0 {
		if decoded, whole, ok := decodeBase64(data); ok {
			c.body.Partial = c.body.Partial || !whole
			return c.read(decoded, wrappings-1)
		}
	}
	return fail(CodeUnknownFormat, "the answer is none of the known formats: links, base64, SIP008, Xray JSON, Clash YAML")
}

// collector makes a Body of what the readers of the formats find.
type collector struct {
	body      Body
	positions int
	cut       bool
}

// full reports that there have been enough entries, and says so once.
func (c *collector) full() bool {
	if c.positions < maxPositions {
		return false
	}
	c.cutShort("the subscription has more than 50,000 entries; the rest was not read")
	return true
}

// cutShort says that the rest of the body is not read.
func (c *collector) cutShort(why string) {
	if !c.cut {
		c.cut, c.body.Partial = true, true
		c.problem(Problem{Code: CodeTooMany, Message: why})
	}
}

// next returns the position of the next entry, or false when there have been enough.
func (c *collector) next() (int, bool) {
	if c.full() {
		return 0, false
	}
	c.positions++
	return c.positions, true
}

func (c *collector) problem(p Problem) {
	if len(c.body.Problems) == maxProblems {
		c.body.Unlisted++
		return
	}
	c.body.Problems = append(c.body.Problems, p)
}

func (c *collector) notice(text string) {
	if text = cleanName(text); text != "" && len(c.body.Notices) < maxNotices {
		c.body.Notices = append(c.body.Notices, text)
	}
}

// link adds the server that a share link describes. name is what to call it if the link is bad.
func (c *collector) link(position int, uri, name string) bool {
	l, err := link.Parse(uri)
	return c.parsed(position, l, err, name)
}

// parsed adds the server that a link describes, which may have been a bad one.
func (c *collector) parsed(position int, l link.Link, err error, name string) bool {
	if err != nil {
		c.reject(position, name, err)
		return false
	}
	if isNotice(l) {
		c.notice(l.Name)
		return false
	}
	c.body.Entries = append(c.body.Entries, Entry{Link: l, Position: position})
	return true
}

func (c *collector) reject(position int, name string, err error) {
	if len(c.body.Problems) < maxProblems { // do not clean what nobody will see
		name = cleanName(name)
	}
	c.problem(Problem{Position: position, Name: name, Code: link.Code(err), Message: err.Error()})
}
