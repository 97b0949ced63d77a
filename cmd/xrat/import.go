package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

const (
	// maxImport bounds one source of an import.
	maxImport = subscription.MaxBody
	// importChunk is how much one request carries; the protocol's limit is 1 MiB.
	importChunk = 768 << 10
	// maxLink is far above what a link may have.
	maxLink = 128 << 10
)

// importResult is what "xrat import --json" prints.
type importResult struct {
	Added         []ipc.ConfigPayload          `json:"added"`
	Existing      []ipc.ConfigPayload          `json:"existing"`
	Errors        []importError                `json:"errors"`
	Subscriptions []ipc.SubscriptionAddPayload `json:"subscriptions"`
}

type importError struct {
	Source string `json:"source"`
	ipc.ImportErrorPayload
}

// found counts what was there to import, new or not.
func (r *importResult) found() (n int) {
	n = len(r.Added) + len(r.Existing)
	for _, s := range r.Subscriptions {
		if s.Refresh != nil && s.Refresh.OK {
			n++
		}
	}
	return n
}

func (a *app) importCommand() *cobra.Command {
	var fromClipboard, subscribe bool
	c := &cobra.Command{
		Use:   "import [LINK | FILE | URL | -]...",
		Short: "Add servers from links, files, subscriptions, the clipboard",
		Long: `Add servers from share links (vless, vmess, trojan, ss, hysteria2, wireguard, socks,
http), files, standard input ("-", or no argument), the clipboard, or the http(s)
address of a subscription. A file, the clipboard and an address may hold links one a
line, the same in base64, SIP008, Xray JSON or Clash YAML. A server that is there
already is not added again. Good ones are added also when others are not
understood; those are named by their line.

An address is fetched once. With --subscribe it is added as a subscription, and
updated from then on ("xrat subscription").

Arguments are seen by other users of the machine and kept in the shell's history:
give links and addresses on standard input if that matters.`,
		RunE: func(c *cobra.Command, args []string) error {
			sources, err := a.readSources(c.Context(), args, fromClipboard)
			if err != nil {
				return err
			}
			if err := a.ensureDaemon(c.Context()); err != nil {
				return err
			}
			result := importResult{
				Added: []ipc.ConfigPayload{}, Existing: []ipc.ConfigPayload{},
				Errors: []importError{}, Subscriptions: []ipc.SubscriptionAddPayload{},
			}
			for _, source := range sources {
				address, isAddress := webAddress(source.text, subscribe)
				switch {
				case isAddress && subscribe:
					err = a.subscribe(c.Context(), source.name, address, &result)
				case isAddress:
					err = a.sendImport(c.Context(), subscription.Redact(address), ipc.Request{URL: address}, &result)
				case isList(source.text):
					err = a.sendList(c.Context(), source, &result)
				default:
					err = a.sendLinks(c.Context(), readLinks(source, &result), &result)
				}
				if err != nil {
					return err
				}
			}
			if err := a.print(result, func(w io.Writer) { printImport(w, result) }); err != nil {
				return err
			}
			switch {
			case result.found() > 0:
				return nil
			case len(result.Errors) > 0:
				return errors.New("no link was understood")
			default:
				return errors.New("there was no link to import: give links, files, addresses or standard input")
			}
		},
	}
	c.Flags().BoolVar(&fromClipboard, "clipboard", false, "import what is in the clipboard")
	c.Flags().BoolVar(&subscribe, "subscribe", false, "add addresses as subscriptions, to be updated from now on")
	return c
}

// source is one text with servers, or an address of such.
type source struct{ name, text string }

func (a *app) readSources(ctx context.Context, args []string, fromClipboard bool) ([]source, error) {
	var sources []source
	if fromClipboard {
		text, err := readClipboard(ctx)
		if err != nil {
			return nil, err
		}
		sources = append(sources, source{"the clipboard", text})
	} else if len(args) == 0 {
		args = []string{"-"}
	}
	for i, arg := range args {
		switch {
		case arg == "-":
			text, err := readBounded(ctx, a.in)
			if err != nil {
				return nil, fmt.Errorf("reading standard input: %w", err)
			}
			sources = append(sources, source{"standard input", text})
		case strings.Contains(arg, "://"):
			sources = append(sources, source{fmt.Sprintf("argument %d", i+1), arg})
		default:
			file, err := os.Open(arg)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, &exitError{exitUsage, fmt.Errorf("argument %d is neither a link (which has \"://\") nor a file that exists", i+1)}
			}
			if err != nil {
				return nil, fmt.Errorf("opening argument %d: %w", i+1, err)
			}
			text, err := readBounded(ctx, file)
			file.Close()
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", arg, err)
			}
			sources = append(sources, source{arg, text})
		}
	}
	return sources, nil
}

// webAddress tells whether a text is nothing but the address of a subscription. A bare
// http://host:port is an HTTP proxy, unless the user says otherwise.
func webAddress(text string, wanted bool) (string, bool) {
	text = strings.TrimSpace(text)
	if strings.ContainsAny(text, " \r\n\t") || !hasPrefixFold(text, "http://") && !hasPrefixFold(text, "https://") {
		return "", false
	}
	_, err := link.Parse(text)
	return text, wanted || link.Code(err) == link.CodeWebAddress
}

// readBounded reads all of a source, unless it is too large or ctx ends first; the
// read is then left to the end of the program.
func readBounded(ctx context.Context, r io.Reader) (string, error) {
	type result struct {
		text []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := io.ReadAll(io.LimitReader(r, maxImport+1))
		done <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", errors.New("interrupted")
	case r := <-done:
		if r.err != nil {
			return "", r.err
		}
		if len(r.text) > maxImport {
			return "", fmt.Errorf("it is larger than %s: split it", size(maxImport))
		}
		return string(r.text), nil
	}
}

// readLinks returns the links of the good servers of a source, and notes the others.
// The daemon would do it as well, but only for as much as fits into a request.
func readLinks(s source, result *importResult) (good []string) {
	body, err := subscription.Parse([]byte(s.text))
	for _, entry := range body.Entries {
		good = append(good, entry.Link.URI())
	}
	for _, p := range body.Problems {
		result.Errors = append(result.Errors, importError{s.name, ipc.ImportErrorPayload{
			Line: p.Position, Name: p.Name, Code: p.Code, Message: p.Message, Kept: p.Kept,
		}})
	}
	var bad *subscription.Error
	if len(body.Problems) == 0 && errors.As(err, &bad) {
		result.Errors = append(result.Errors, importError{s.name, ipc.ImportErrorPayload{Code: bad.Code, Message: bad.Message}})
	}
	return good
}

// sendLinks hands links to the daemon in requests of a bounded size.
func (a *app) sendLinks(ctx context.Context, links []string, result *importResult) error {
	for len(links) > 0 {
		n, bytes := 0, 0
		for n < len(links) && (n == 0 || bytes+len(links[n]) < importChunk) {
			bytes += len(links[n]) + 2 // a newline takes two characters in JSON
			n++
		}
		// Errors come if this program understood what the daemon does not: they
		// differ in version.
		if err := a.sendImport(ctx, "the daemon", ipc.Request{Text: strings.Join(links[:n], "\n")}, result); err != nil {
			return err
		}
		links = links[n:]
	}
	return nil
}

// isList tells whether a text is, beyond doubt, a list of links: its first line is one.
func isList(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			_, err := link.Parse(line)
			return err == nil
		}
	}
	return false
}

// sendList hands a list of links to the daemon as it is, in requests of a bounded size:
// that the daemon parses it is enough.
func (a *app) sendList(ctx context.Context, s source, result *importResult) error {
	before := 0
	var part strings.Builder
	var size, lines int
	flush := func() (err error) {
		if text := part.String(); strings.TrimSpace(text) != "" {
			first := len(result.Errors)
			err = a.sendImport(ctx, s.name, ipc.Request{Text: text}, result)
			for i := range result.Errors[first:] {
				if e := &result.Errors[first+i]; e.Line > 0 {
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
			result.Errors = append(result.Errors, importError{s.name, ipc.ImportErrorPayload{
				Line: before + lines + 1, Code: link.CodeTooLong, Message: "the line is too long to be a link",
			}})
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

// encodedSize is at least what a text takes in JSON, without the quotes.
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

func (a *app) sendImport(ctx context.Context, source string, r ipc.Request, result *importResult) error {
	r.Type = ipc.KindConfigImport
	var p ipc.ConfigImportPayload
	if _, err := a.client.Do(ctx, r, &p); err != nil {
		return fmt.Errorf("importing (%d were added before): %w", len(result.Added), err)
	}
	result.Added = append(result.Added, p.Added...)
	result.Existing = append(result.Existing, p.Existing...)
	for _, e := range p.Errors {
		result.Errors = append(result.Errors, importError{source, e})
	}
	return nil
}

func (a *app) subscribe(ctx context.Context, source, address string, result *importResult) error {
	var p ipc.SubscriptionAddPayload
	if _, err := a.client.Do(ctx, ipc.Request{Type: ipc.KindSubscriptionAdd, URL: address}, &p); err != nil {
		return fmt.Errorf("subscribing to %s: %w", source, err)
	}
	result.Subscriptions = append(result.Subscriptions, p)
	if r := p.Refresh; r != nil && !r.OK {
		result.Errors = append(result.Errors, importError{p.Subscription.Address, ipc.ImportErrorPayload{Code: r.Error.Code, Message: r.Error.Message}})
	}
	return nil
}

func printImport(w io.Writer, r importResult) {
	const most = 20
	for i, c := range r.Added {
		if i == most {
			fmt.Fprintf(w, "… and %d more\n", len(r.Added)-most)
			break
		}
		fmt.Fprintf(w, "added %d  %s\n", c.ID, fit(c.Name, 60))
	}
	lost := 0
	for i, e := range r.Errors {
		if !e.Kept {
			lost++
		}
		if i < 5*most {
			printProblem(w, fit(e.Source, 100)+", ", e.ImportErrorPayload)
		}
	}
	if more := len(r.Errors) - 5*most; more > 0 {
		fmt.Fprintf(w, "… and %d more lines; --json shows all\n", more)
	}
	for _, s := range r.Subscriptions {
		if s.Refresh != nil && s.Refresh.OK {
			fmt.Fprintf(w, "subscribed to %s: %s\n", fit(s.Subscription.Name, 60), refreshed(*s.Refresh))
		}
	}
	if len(r.Subscriptions) > 0 && len(r.Added)+len(r.Existing)+lost == 0 {
		return
	}
	fmt.Fprintf(w, "%d added, %d there already, %d not understood.\n", len(r.Added), len(r.Existing), lost)
}

// printProblem tells of one entry that could not be used as it was.
func printProblem(w io.Writer, where string, p ipc.ImportErrorPayload) {
	if p.Line > 0 {
		where += fmt.Sprintf("line %d", p.Line)
	} else {
		where = strings.TrimSuffix(where, ", ")
	}
	if p.Name != "" {
		where += " (" + fit(p.Name, 40) + ")"
	}
	fmt.Fprintf(w, "%s: %s\n", where, fit(p.Message, 300))
}
