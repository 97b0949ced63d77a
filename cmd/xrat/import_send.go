package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

const (
	// importChunk is how many bytes of text one request carries; the protocol's limit is 1 MiB.
	importChunk = 768 << 10
	// maxLink is far above the length, in bytes, that a link may have.
	maxLink = 128 << 10
)

// importer hands sources to the daemon and collects the results.
type importer struct {
	client *ipc.Client
	result importResult
}

// add hands one source to the daemon.
func (im *importer) add(ctx context.Context, s source, subscribe bool) error {
	address, isAddress := webAddress(s.text, subscribe)
	switch {
	case isAddress && subscribe:
		return im.subscribe(ctx, s.name, address)
	case isAddress:
		payload, err := im.client.ImportURL(ctx, address)
		return im.note(subscription.Redact(address), payload, err)
	case isList(s.text):
		return im.sendList(ctx, s)
	default:
		return im.sendLinks(ctx, im.readLinks(s))
	}
}

// readLinks returns the links of a source that are understood, and collects the errors of the
// others. The daemon could do the same, but only with as much as fits into one request.
func (im *importer) readLinks(s source) (good []string) {
	body, err := readBody(s)
	im.notices(body.Notices)
	for _, entry := range body.Entries {
		good = append(good, entry.Link.URI())
	}
	for _, p := range body.Problems {
		problem := ipc.ImportErrorPayload{Name: p.Name, Code: p.Code, Message: p.Message, Kept: p.Kept}
		if body.Lines {
			problem.Line = p.Position
		} else {
			problem.Entry = p.Position
		}
		im.bad(s.name, problem)
	}
	var bad *subscription.Error
	if len(body.Problems) == 0 && errors.As(err, &bad) {
		im.bad(s.name, ipc.ImportErrorPayload{Code: bad.Code, Message: ofSource(bad)})
	}
	return good
}

// sendLinks hands links to the daemon in requests of a bounded size.
func (im *importer) sendLinks(ctx context.Context, links []string) error {
	for len(links) > 0 {
		n, bytes := 0, 0
		for n < len(links) && (n == 0 || bytes+len(links[n]) < importChunk) {
			bytes += len(links[n]) + 2 // a newline takes two characters in JSON
			n++
		}
		// The daemon finds errors only if it understands less than this program, because their
		// versions differ.
		if err := im.send(ctx, "the daemon", strings.Join(links[:n], "\n")); err != nil {
			return err
		}
		links = links[n:]
	}
	return nil
}

// sendList hands a list of links to the daemon as it is, in requests of a bounded size. The daemon
// parses it; it need not be parsed here, too.
func (im *importer) sendList(ctx context.Context, s source) error {
	before := 0
	var part strings.Builder
	var size, lines int
	flush := func() (err error) {
		if text := part.String(); strings.TrimSpace(text) != "" {
			first := len(im.result.Errors)
			err = im.send(ctx, s.name, text)
			for i := range im.result.Errors[first:] {
				if e := &im.result.Errors[first+i]; e.Line > 0 {
					e.Line += before
				}
			}
		}
		before, lines, size = before+lines, 0, 0
		part.Reset()
		return err
	}
	for line := range strings.Lines(s.text) {
		line = strings.ToValidUTF8(line, "\uFFFD")
		if len(line) > maxLink {
			im.bad(s.name, ipc.ImportErrorPayload{
				Line: before + lines + 1, Code: link.CodeTooLong, Message: "the line is too long to be a link",
			})
			line = "\n"
		}
		n := encodedSize(line)
		if size+n > importChunk && size > 0 {
			if err := flush(); err != nil {
				return err
			}
		}
		part.WriteString(line)
		size, lines = size+n, lines+1
	}
	return flush()
}

// encodedSize is an upper bound of the bytes that a text takes in JSON, without the quotes.
func encodedSize(text string) (n int) {
	for i := range len(text) {
		switch c := text[i]; {
		case c < ' ' || c == 0x7f || c == '"' || c == '\\':
			n += 6
		case c < 0x80:
			n++
		default:
			n += 2 // U+2028 and U+2029, three bytes each, take six characters
		}
	}
	return n
}

// send hands one text to the daemon.
func (im *importer) send(ctx context.Context, source, text string) error {
	payload, err := im.client.Import(ctx, text)
	return im.note(source, payload, err)
}

// note adds the result of one request to that of the whole import.
func (im *importer) note(source string, p ipc.ConfigImportPayload, err error) error {
	if err != nil {
		return fmt.Errorf("importing (%d were added before): %w", len(im.result.Added), err)
	}
	im.result.Added = append(im.result.Added, p.Added...)
	im.result.Existing = append(im.result.Existing, p.Existing...)
	for _, e := range p.Errors {
		im.bad(source, e)
	}
	im.notices(p.Notices)
	return nil
}

// notices adds what a provider says, once each.
func (im *importer) notices(texts []string) {
	for _, text := range texts {
		if !slices.Contains(im.result.Notices, text) {
			im.result.Notices = append(im.result.Notices, text)
		}
	}
}

func (im *importer) subscribe(ctx context.Context, source, address string) error {
	p, _, err := im.client.AddSubscription(ctx, address, ipc.SubscriptionOptions{})
	if err != nil {
		return fmt.Errorf("subscribing to %s: %w", source, err)
	}
	im.result.Subscriptions = append(im.result.Subscriptions, p)
	if r := p.Refresh; r != nil && !r.OK {
		im.bad(p.Subscription.Address, ipc.ImportErrorPayload{Code: r.Error.Code, Message: r.Error.Message})
	}
	return nil
}

// bad adds an entry that could not be used as it was.
func (im *importer) bad(source string, e ipc.ImportErrorPayload) {
	im.result.Errors = append(im.result.Errors, importError{source, e})
}
