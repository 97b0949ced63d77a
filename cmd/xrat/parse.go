package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// parsedLine is what "xrat parse --json" prints for one entry. Either Error is null, or both Config
// and Outbound are; of a notice, all three.
type parsedLine struct {
	Line     int             `json:"line"`
	Entry    int             `json:"entry,omitempty"` // of a document, which has no lines
	OK       bool            `json:"ok"`
	Error    *parseError     `json:"error"`
	Config   *parsedConfig   `json:"config"`
	Outbound json.RawMessage `json:"outbound"` // contains secrets
	Warnings []string        `json:"warnings,omitempty"`
	Notice   string          `json:"notice,omitempty"`
}

type parseError struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

type parsedConfig struct {
	Protocol string `json:"protocol"`
	Address  string `json:"address"`
	Port     uint16 `json:"port"`
	Network  string `json:"network"`
	Security string `json:"security"`
	Name     string `json:"name"`
}

func parseCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "parse [LINK | FILE | -]",
		Short: "Say what share links, files and subscriptions mean, without the daemon",
		Long: `Read share links, or a file with servers, and say what each of them means: nothing
is stored, no connection is made, and the daemon is not needed. Without an argument,
or with "-", they come from standard input. It reads what "xrat import" reads: links,
one a line, the same in base64, SIP008, Xray JSON, Clash YAML, a WireGuard file, and
lines of Surge, Loon or Quantumult X.

With --json, one object is printed for each entry, in their order:

  line      its line, from 1; 0 if it has none
  entry     its place, from 1, in a document without lines
  ok        whether it is understood
  error     null, or the code and the message of what is wrong with it
  config    protocol, address, port, network, security and name; or null
  outbound  what the core would run for it, as in the core's configuration; or
            null. It contains the link's passwords and keys: mind where it goes.
  warnings  what was left out of it, if something was
  notice    what the provider says, in place of a server

The exit code is 0 if at least one entry was understood, otherwise 1.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			in, name := a.in, ""
			switch {
			case len(args) == 0 || args[0] == "-":
			case strings.Contains(args[0], "://"):
				in = strings.NewReader(args[0])
			default:
				file, err := os.Open(args[0])
				if errors.Is(err, fs.ErrNotExist) {
					return &exitError{exitUsage, errors.New("the argument is neither a link (which has \"://\") nor a file that exists")}
				}
				if err != nil {
					return fmt.Errorf("opening the argument: %w", err)
				}
				defer file.Close()
				in, name = file, args[0]
			}
			counts, err := parseLinks(c.Context(), in, name, a.out, a.asJSON)
			if err != nil {
				return err
			}
			if !a.asJSON {
				if _, err := io.WriteString(a.out, counts.String()); err != nil {
					return fmt.Errorf("printing: %w", err)
				}
			}
			switch {
			case counts.ok > 0:
				return nil
			case counts.total() > 0:
				return errors.New("nothing was understood")
			default:
				return errors.New("there was nothing to parse: give a link, a file or standard input")
			}
		},
	}
}

// parseCounts counts links: those that were understood, and the others by their codes.
type parseCounts struct {
	ok       int
	rejected map[string]int
}

func (c *parseCounts) add(other parseCounts) {
	c.ok += other.ok
	for code, n := range other.rejected {
		c.rejected[code] += n
	}
}

func (c *parseCounts) total() int {
	n := c.ok
	for _, rejected := range c.rejected {
		n += rejected
	}
	return n
}

func (c *parseCounts) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d of %d understood.\n", c.ok, c.total())
	for _, code := range slices.Sorted(maps.Keys(c.rejected)) {
		fmt.Fprintf(&b, "%8d  %s\n", c.rejected[code], code)
	}
	return b.String()
}

// parseLinks parses what r has and prints it to w, in order. Of a list it keeps a few batches in
// memory, whatever its size. file is the name of the file that r reads, if it is one. When ctx
// ends, a read that hangs goes on until the program ends.
func parseLinks(ctx context.Context, r io.Reader, file string, w io.Writer, asJSON bool) (parseCounts, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := runtime.GOMAXPROCS(0)
	work := make(chan *parseBatch, workers)
	ordered := make(chan *parseBatch, 2*workers)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for batch := range work {
				batch.parse(asJSON)
				close(batch.done)
			}
		})
	}
	var readErr error // written before ordered is closed
	group.Go(func() {
		defer close(ordered)
		defer close(work)
		readErr = readBatches(r, file, func(batch *parseBatch) bool {
			for _, to := range []chan *parseBatch{ordered, work} {
				select {
				case to <- batch:
				case <-ctx.Done():
					return false
				}
			}
			return true
		})
	})

	all := parseCounts{rejected: make(map[string]int)}
	for {
		var batch *parseBatch
		select {
		case batch = <-ordered:
		case <-ctx.Done():
			return all, errors.New("interrupted")
		}
		if batch == nil {
			break
		}
		select {
		case <-batch.done:
		case <-ctx.Done():
			return all, errors.New("interrupted")
		}
		all.add(batch.counts)
		if batch.page.Len() == 0 {
			continue
		}
		if _, err := w.Write(batch.page.Bytes()); err != nil {
			return all, fmt.Errorf("printing: %w", err)
		}
	}
	group.Wait()
	if bad, ok := errors.AsType[*subscription.Error](readErr); ok {
		return all, errors.New(ofSource(bad))
	}
	if readErr != nil {
		return all, fmt.Errorf("reading the input: %w", readErr)
	}
	return all, nil
}

// parse fills in the page and the counts.
func (b *parseBatch) parse(asJSON bool) {
	b.counts.rejected = make(map[string]int)
	if b.lines != nil {
		b.items = readLines(b.lines)
	}
	encoder := json.NewEncoder(&b.page)
	encoder.SetEscapeHTML(false)
	for _, item := range b.items {
		p := item.parsed()
		switch {
		case p.OK:
			b.counts.ok++
		case p.Error != nil:
			b.counts.rejected[p.Error.Code] += item.times
		}
		if asJSON {
			_ = encoder.Encode(p) // strings, numbers and valid JSON always can be
			continue
		}
		b.page.WriteString(p.text())
	}
}

// parsedItem is an entry that was read: a link, the error in its place, or a notice of the
// provider.
type parsedItem struct {
	line, entry int
	link        link.Link
	err         *parseError
	warnings    []string // about what was left out of the link
	notice      string
	times       int // that the error occurs
}

// readLines reads some lines of a list.
func readLines(lines []numberedLine) []parsedItem {
	var text strings.Builder
	for _, line := range lines {
		text.WriteString(strings.TrimRight(line.text, "\r\n") + "\n") // empty if it cannot be read
	}
	items := itemsOf(subscription.ParseList([]byte(text.String())))
	for i := range items {
		if n := items[i].line; n > 0 {
			items[i].line = lines[n-1].number
		}
	}
	for _, line := range lines {
		if line.err != nil {
			items = append(items, parsedItem{line: line.number, err: &parseError{line.err.Code, line.err.Message}, times: 1})
		}
	}
	slices.SortStableFunc(items, func(a, b parsedItem) int { return a.line - b.line })
	return items
}

// itemsOf returns what a body has, in its order. What is about all of it comes first.
func itemsOf(body subscription.Body) []parsedItem {
	var items []parsedItem
	at := func(position int) parsedItem {
		if body.Lines {
			return parsedItem{line: position, times: 1}
		}
		return parsedItem{entry: position, times: 1}
	}
	for _, notice := range body.Notices {
		item := at(0)
		item.notice = notice
		items = append(items, item)
	}
	warnings := make(map[int][]string)
	for _, p := range body.Problems {
		if p.Kept && p.Position > 0 {
			warnings[p.Position] = append(warnings[p.Position], p.Message)
			continue
		}
		item := at(p.Position)
		item.err = &parseError{p.Code, p.Message}
		items = append(items, item)
	}
	for _, entry := range body.Entries {
		item := at(entry.Position)
		item.link, item.warnings = entry.Link, warnings[entry.Position]
		items = append(items, item)
	}
	if n := body.Unlisted; n > 0 {
		item := at(math.MaxInt)
		item.err, item.times = &parseError{"unlisted", fmt.Sprintf("there are %d more problems", n)}, n
		items = append(items, item)
	}
	slices.SortStableFunc(items, func(a, b parsedItem) int { return cmp.Compare(a.line+a.entry, b.line+b.entry) })
	if n := len(items); body.Unlisted > 0 {
		items[n-1].line, items[n-1].entry = 0, 0
	}
	return items
}

func (item parsedItem) parsed() parsedLine {
	p := parsedLine{Line: item.line, Entry: item.entry, Warnings: item.warnings, Notice: item.notice, Error: item.err}
	if item.err != nil || item.notice != "" {
		return p
	}
	var err error
	if p.Outbound, err = xray.Outbound(item.link); err != nil {
		code := link.Code(err)
		if code == "" {
			code = "invalid" // as for an import
		}
		p.Error = &parseError{code, err.Error()}
		return p
	}
	l := item.link
	p.OK = true
	p.Config = &parsedConfig{string(l.Protocol), l.Host, l.Port, l.Network(), l.Security(), l.Name}
	return p
}

// text is the line for people. It has no secrets.
func (p parsedLine) text() string {
	place := "-"
	if n := p.Line + p.Entry; n > 0 {
		place = strconv.Itoa(n)
	}
	if p.Notice != "" {
		return fmt.Sprintf("%6s  %-11s %s\n", place, "notice", fit(p.Notice, 200))
	}
	if !p.OK {
		return fmt.Sprintf("%6s  %-11s %s\n", place, "-", fit(p.Error.Message, 300))
	}
	c := p.Config
	address := fmt.Sprintf("%s:%d", c.Address, c.Port)
	if strings.Contains(c.Address, ":") {
		address = fmt.Sprintf("[%s]:%d", c.Address, c.Port)
	}
	text := fmt.Sprintf("%6s  %-11s %-32s %-11s %-7s %s\n", place, c.Protocol, fit(address, 60), c.Network, c.Security, fit(c.Name, 60))
	for _, warning := range p.Warnings {
		text += fmt.Sprintf("%6s  %s\n", "", fit(warning, 300))
	}
	return text
}
