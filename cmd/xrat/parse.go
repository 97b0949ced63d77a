package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// parsedLine is what "xrat parse --json" prints for one line. Either Error is null, or both Config
// and Outbound are.
type parsedLine struct {
	Line     int             `json:"line"`
	OK       bool            `json:"ok"`
	Error    *parseError     `json:"error"`
	Config   *parsedConfig   `json:"config"`
	Outbound json.RawMessage `json:"outbound"` // contains secrets
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
		Short: "Say what share links mean, without the daemon",
		Long: `Read share links, one a line, and say what each of them means: nothing is stored,
no connection is made, and the daemon is not needed. Without an argument, or with
"-", they come from standard input. Blank lines and lines that begin with "#" or
"//" are skipped. A list in base64, as subscriptions are delivered, is decoded.

With --json, one object is printed for each link, in their order:

  line      its line, from 1
  ok        whether it is understood
  error     null, or the code and the message of what is wrong with it
  config    protocol, address, port, network, security and name; or null
  outbound  what the core would run for it, as in the core's configuration; or
            null. It contains the link's passwords and keys: mind where it goes.

The exit code is 0 if at least one link was understood, otherwise 1.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			in := a.in
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
				in = file
			}
			counts, err := parseLinks(c.Context(), in, a.out, a.asJSON)
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
				return errors.New("no link was understood")
			default:
				return errors.New("there was no link to parse: give a link, a file or standard input")
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

// parseBatch is a piece of the input on its way through the workers, and its result.
type parseBatch struct {
	lines  []numberedLine
	page   bytes.Buffer
	counts parseCounts
	done   chan struct{} // closed when page and counts are there
}

type numberedLine struct {
	number int
	text   string
	err    *link.Error // instead of text: the line cannot be read
}

// parseLinks parses what r has and prints it to w, in order. It keeps a few batches in memory,
// whatever the size of the input. When ctx ends, a read that hangs goes on until the program ends.
func parseLinks(ctx context.Context, r io.Reader, w io.Writer, asJSON bool) (parseCounts, error) {
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
		readErr = readBatches(r, func(batch *parseBatch) bool {
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
		if _, err := w.Write(batch.page.Bytes()); err != nil {
			return all, fmt.Errorf("printing: %w", err)
		}
	}
	group.Wait()
	if readErr != nil {
		return all, fmt.Errorf("reading the links: %w", readErr)
	}
	return all, nil
}

// parse fills in the page and the counts.
func (b *parseBatch) parse(asJSON bool) {
	b.counts.rejected = make(map[string]int)
	encoder := json.NewEncoder(&b.page)
	encoder.SetEscapeHTML(false)
	for _, line := range b.lines {
		p := parseLine(line)
		if p.OK {
			b.counts.ok++
		} else {
			b.counts.rejected[p.Error.Code]++
		}
		if asJSON {
			_ = encoder.Encode(p) // strings, numbers and valid JSON always can be
			continue
		}
		b.page.WriteString(p.text())
	}
}

func parseLine(line numberedLine) parsedLine {
	p := parsedLine{Line: line.number}
	var l link.Link
	var err error
	if line.err != nil {
		err = line.err
	} else {
		l, err = link.Parse(line.text)
	}
	if err == nil {
		p.Outbound, err = xray.Outbound(l)
	}
	if err != nil {
		code := link.Code(err)
		if code == "" {
			code = "invalid" // as for an import
		}
		p.Error = &parseError{code, err.Error()}
		return p
	}
	p.OK = true
	p.Config = &parsedConfig{string(l.Protocol), l.Host, l.Port, l.Network(), l.Security(), l.Name}
	return p
}

// text is the line for people. It has no secrets.
func (p parsedLine) text() string {
	if !p.OK {
		return fmt.Sprintf("%6d  %-11s %s\n", p.Line, "-", fit(p.Error.Message, 300))
	}
	c := p.Config
	address := fmt.Sprintf("%s:%d", c.Address, c.Port)
	if strings.Contains(c.Address, ":") {
		address = fmt.Sprintf("[%s]:%d", c.Address, c.Port)
	}
	return fmt.Sprintf("%6d  %-11s %-32s %-11s %-7s %s\n", p.Line, c.Protocol, fit(address, 60), c.Network, c.Security, fit(c.Name, 60))
}
