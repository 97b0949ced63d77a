package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// maxImport bounds one source of an import, in bytes.
const maxImport = subscription.MaxBody

// source is a text with servers, or the address of one.
type source struct {
	name, text string
	file       bool // the name is that of a file
}

// readSources reads what the arguments name; in is the standard input.
func readSources(ctx context.Context, args []string, in io.Reader, fromClipboard bool) ([]source, error) {
	var sources []source
	if fromClipboard {
		text, err := readClipboard(ctx)
		if err != nil {
			return nil, err
		}
		sources = append(sources, source{name: "the clipboard", text: text})
	} else if len(args) == 0 {
		args = []string{"-"}
	}
	for i, arg := range args {
		switch {
		case arg == "-":
			text, err := readBounded(ctx, in)
			if err != nil {
				return nil, fmt.Errorf("reading standard input: %w", err)
			}
			sources = append(sources, source{name: "standard input", text: text})
		case strings.Contains(arg, "://"):
			sources = append(sources, source{name: fmt.Sprintf("argument %d", i+1), text: arg})
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
			sources = append(sources, source{name: arg, text: text, file: true})
		}
	}
	return sources, nil
}

// readBody reads what a source has. A tunnel, which has no name of its own, is named after its
// file.
func readBody(s source) (subscription.Body, error) {
	body, err := subscription.Parse([]byte(s.text))
	if s.file && len(body.Entries) == 1 && body.Entries[0].Link.Protocol == link.ProtocolWireGuard && body.Entries[0].Link.Name == "" {
		named := body.Entries[0].Link
		named.Name = strings.TrimSuffix(filepath.Base(s.name), filepath.Ext(s.name))
		if clean, err := link.Parse(named.URI()); err == nil {
			body.Entries[0].Link = clean
		}
	}
	return body, err
}

// ofSource says of a source what an error says of a subscription.
func ofSource(e *subscription.Error) string {
	return strings.NewReplacer("the subscription ", "it ", "the answer ", "it ", "; check the account at the provider", "",
		"; check the address, and whether the network asks for a login", "", "; try again, then ask the provider", "").Replace(e.Message)
}

// webAddress reports whether a text is nothing but the address of a subscription, which it returns.
// A bare http://host:port is an HTTP proxy, unless the user says otherwise by wanted.
func webAddress(text string, wanted bool) (string, bool) {
	text = strings.TrimSpace(text)
	if inner, ok := subscription.Unwrap(text); ok {
		text = inner
	}
	if strings.ContainsAny(text, " \r\n\t") || !hasPrefixFold(text, "http://") && !hasPrefixFold(text, "https://") {
		return "", false
	}
	_, err := link.Parse(text)
	return text, wanted || link.Code(err) == link.CodeWebAddress
}

// readBounded reads all of a source, unless it is too large or ctx ends first. In that case the
// read goes on until the program ends.
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
			return "", tooLarge()
		}
		return string(r.text), nil
	}
}

// isList reports whether a text is beyond doubt a list of links: its first line is one.
func isList(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			_, err := link.Parse(line)
			return err == nil
		}
	}
	return false
}
