// Package subscription fetches what a provider of proxy servers serves, reads it in every usual
// format, and compares it with what is known already.
//
// It owns the formats (lists of links, base64, Clash YAML, the JSON of Xray, sing-box, v2rayN and
// Shadowsocks, WireGuard files, lines of Surge, Loon and Quantumult X), the limits within which a
// body is read, the rules by which an address may be fetched, and the comparison. It does not own
// the grammar of links: every entry is written as a share link and read by runtime/link, so that
// one parser decides what a server may be. It stores, schedules and logs nothing.
//
// Bodies are treated as hostile. Of a whole configuration of the core only known settings of its
// outbounds are read; inbounds, log files, API, DNS and routing are ignored. Where a setting is
// left out that somebody could miss, a [Problem] names it. Neither errors nor problems contain
// secrets: no link, password or key, and of an address neither path nor query.
//
// Begin with [Parse] in this file, which recognizes the format, with [Fetcher.Fetch] in fetch.go
// and [Reconcile] in reconcile.go. entry.go takes an entry from a document to a link; xray.go,
// singbox.go, v2rayn.go, clash.go, sip008.go, surge.go and wgfile.go know the fields. linktext.go
// finds the links in a line of a list, about.go what a provider says of itself, and notice.go what
// it says in the place of servers.
//
// SIP008 is described at shadowsocks.org, the Clash format in the documentation of mihomo, the
// outbounds of sing-box in its own, the JSON of outbounds in that of Xray.
package subscription

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
)

// MaxBody is the largest body that is read, in bytes, after decompression.
const MaxBody = 8 << 20

const (
	maxPositions = 50_000   // entries, good and bad, that are looked at in one body
	maxEntry     = 64 << 10 // bytes of one entry of a document; runtime/link has the same limit for links
	maxProblems  = 1_000    // that are kept; the others are counted
	maxNotices   = 20
	maxWrapping  = 2 // layers of base64: two happen, more do not
)

// Body is what a subscription contains.
type Body struct {
	Entries  []Entry
	Problems []Problem // what was left out and why, in the order of the body, the first 1,000
	Unlisted int       // number of further problems
	Notices  []string  // what the provider says in entries that are no servers ("3 GB left"), cleaned for display
	Lines    bool      // positions are those of lines; otherwise of entries of a document
	About    About     // what the comments at its head say of the provider

	// Partial means that the body broke off or was too long: servers that it does not name may
	// still be offered.
	Partial bool
}

// Entry is one server.
type Entry struct {
	Link     link.Link // with its name, which may be empty
	Position int       // as in Problem
}

// Problem is an entry that cannot be used, or a part of an entry that was left out.
type Problem struct {
	// Position counts from 1: the line of a list, which is that of the decoded text if the body was
	// base64, or the place among the servers of a document (see Body.Lines). 0 is the body as a
	// whole.
	Position int
	Name     string // of the entry, cleaned for display; may be empty
	Code     string // one of the codes of runtime/link, or of this package
	Message  string // what is wrong, why, and what to do about it; for users
	Kept     bool   // the entry is usable all the same and is among the Entries
}

// The codes of [Problem] and [Error], beside those of runtime/link and of fetcherror.go. They are
// part of the wire protocol.
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
	CodeChained       = link.CodeChained
	CodeElsewhere     = "other_addresses" // servers are offered at addresses that the body names
	CodeNotRead       = "part_not_read"   // a second document, which other clients do not read either
	CodePrivate       = "private_address" // see Body.DropPrivate
	CodeNotice        = "notice_only"     // a message of the provider in the place of the servers
	CodeShrank        = "list_shrank"     // see Body.Doubt
)

// Error says why a body cannot be used or an address not be fetched. It contains nothing secret.
type Error struct {
	Code    string
	Message string
	cause   error
}

func (e *Error) Error() string { return e.Message }

// Unwrap returns context.Canceled, context.DeadlineExceeded or nil.
func (e *Error) Unwrap() error { return e.cause }

func fail(code, message string) *Error { return &Error{Code: code, Message: message} }

// Parse reads a body. The error, always an *Error, means that the body is empty, a web page,
// broken, or without a single usable entry: nothing that is known may then be dropped. The Body is
// returned in any case, with the Problems that explain the error.
func Parse(data []byte) (Body, error) {
	var c collector
	if len(data) > MaxBody {
		return c.body, fail(CodeTooLarge, "the subscription is larger than 8 MiB; check that its address is right")
	}
	if err := c.read(data, maxWrapping); err != nil {
		return c.body, err
	}
	if len(c.body.Entries) == 0 {
		return c.body, noEntries(&c.body, c.positions)
	}
	return c.body, nil
}

// noEntries says why there is no usable server among so many positions.
func noEntries(b *Body, positions int) *Error {
	if len(b.Notices) > 0 {
		return noticeOnly(b.Notices)
	}
	switch n := len(b.Problems) + b.Unlisted; {
	case n == 0 && positions > 0:
		return fail(CodeNoEntries, "the configuration contains no server: it is a template, or only changes how this machine sends; ask the provider for servers")
	case n == 0:
		return fail(CodeNoEntries, "the subscription contains no server; check the account at the provider")
	case n == 1 && b.Problems[0].Code == CodeElsewhere:
		return fail(CodeNoEntries, b.Problems[0].Message)
	case n == 1:
		return fail(CodeNoEntries, "the subscription contains no usable server: "+b.Problems[0].Message)
	default:
		return fail(CodeNoEntries, fmt.Sprintf("the subscription contains no usable server; the first of %d problems: %s", n, b.Problems[0].Message))
	}
}

// read recognizes the format. wrappings is how many layers of base64 it may still take off.
func (c *collector) read(data []byte, wrappings int) error {
	data, _ = decodeUTF16(bytes.TrimPrefix(data, []byte("\uFEFF")))
	data = bytes.TrimRight(data, " \t\r\n")
	body := data[c.body.About.readHead(data):]
	rest, yaml := bytes.TrimSpace(body), dedent(body)
	isYAML, _ := isClash(yaml)
	switch {
	case len(data) == 0:
		return fail(CodeEmpty, "the subscription is empty; check the account at the provider")
	case bytes.HasPrefix(rest, []byte("<")):
		return fail(CodeWebPage, "the answer is a web page and not a subscription; check the address, and whether the network asks for a login")
	case isWireGuardFile(rest):
		c.readWireGuardFile(data)
		return nil
	case isSurge(rest):
		c.readSurge(data)
		return nil
	case startsJSON(rest):
		return c.readJSON(plainJSON(rest))
	case isYAML:
		return c.readYAML(yaml)
	case len(rest) == 0 || bytes.Contains(rest, []byte("://")):
		c.readList(data)
		return nil
	}
	if wrappings > 0 {
		if err, encoded := c.readBase64(rest, wrappings-1); encoded {
			return err
		}
	}
	return fail(CodeUnknownFormat, "the answer is none of the known formats: links, base64, Clash YAML, JSON of Xray, sing-box, v2rayN or Shadowsocks, WireGuard, Surge, Loon, Quantumult X")
}

// readBase64 reads what data is the encoding of, unless it is none.
func (c *collector) readBase64(data []byte, wrappings int) (err error, encoded bool) {
	if decoded, ok := decodeLines(data); ok {
		if err := c.read(decoded, wrappings); err == nil || err.(*Error).Code != CodeUnknownFormat {
			return err, true
		}
	}
	decoded, whole, ok := decodeBase64(data)
	if !ok {
		return nil, false
	}
	c.body.Partial = c.body.Partial || !whole
	return c.read(decoded, wrappings), true
}

// collector gathers what the readers of the formats find.
type collector struct {
	body      Body
	positions int  // entries so far, good and bad
	cut       bool // the rest of the body is not read
}

// full reports whether there have been enough entries. The first time it adds a problem that says
// so.
func (c *collector) full() bool {
	if c.positions < maxPositions {
		return false
	}
	c.cutShort("the subscription has more than 50,000 entries; the rest was not read")
	return true
}

// cutShort adds the problem that the rest of the body is not read, once.
func (c *collector) cutShort(why string) {
	if !c.cut {
		c.cut, c.body.Partial = true, true
		c.problem(Problem{Code: CodeTooMany, Message: why})
	}
}

// next returns the position of the next entry, or false if there have been enough.
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
	if text = cleanNotice(text); text != "" && len(c.body.Notices) < maxNotices {
		c.body.Notices = append(c.body.Notices, text)
	}
}

// link adds the server that a share link describes, and reports whether it did. name is for the
// problem if the link is bad.
func (c *collector) link(position int, uri, name string) bool {
	l, leftOut, err := parseLink(uri)
	if link.Code(err) == CodeChained {
		name = beforeChain(name)
	}
	return c.parsed(position, l, leftOut, err, name)
}

// parsed is link for a link that has been read, with what came of that.
func (c *collector) parsed(position int, l link.Link, leftOut []string, err error, name string) bool {
	if link.Code(err) == link.CodeNotAServer {
		c.notice(name)
		return false
	}
	if err != nil {
		c.reject(position, name, err)
		return false
	}
	if isNotice(l) {
		c.notice(l.Name)
		return false
	}
	if strings.Contains(l.Name, "://") {
		l.Name = cleanName(l.Name)
	}
	c.body.Entries = append(c.body.Entries, Entry{Link: l, Position: position})
	if len(leftOut) > 0 {
		c.problem(Problem{Position: position, Name: l.Name, Code: CodeLeftOut, Kept: true, Message: "left out: " + strings.Join(leftOut, "; ")})
	}
	return true
}

func (c *collector) reject(position int, name string, err error) {
	if len(c.body.Problems) < maxProblems { // cleaning what nobody will see takes time
		name = cleanName(name)
	}
	c.problem(Problem{Position: position, Name: name, Code: link.Code(err), Message: err.Error()})
}
