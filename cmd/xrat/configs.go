package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/link"
)

const (
	// maxImport bounds one source of an import.
	maxImport = 32 << 20
	// importChunk is how much one request carries; the protocol's limit is 1 MiB,
	// and JSON may need more characters than the text has.
	importChunk = 256 << 10
)

// importResult is what "xrat import --json" prints.
type importResult struct {
	Added    []ipc.ConfigPayload `json:"added"`
	Existing []ipc.ConfigPayload `json:"existing"`
	Errors   []importError       `json:"errors"`
}

type importError struct {
	Source  string `json:"source"`
	Line    int    `json:"line"`
	Code    string `json:"code"`
	Message string `json:"message"`
}

func (a *app) importCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "import [LINK | FILE | -]...",
		Short: "Add servers by their share links",
		Long: `Add servers from share links (vless, vmess, trojan, ss, socks, http): given as
arguments, in files with one link a line, or on standard input ("-", or no argument).
A server that is there already is not added again. Good links are added also when
others are not understood; those are named by their line.

Arguments are seen by other users of the machine and kept in the shell's history:
give links in a file or on standard input if that matters.`,
		RunE: func(c *cobra.Command, args []string) error {
			sources, err := a.readSources(c.Context(), args)
			if err != nil {
				return err
			}
			if err := a.ensureDaemon(c.Context()); err != nil {
				return err
			}
			result := importResult{Added: []ipc.ConfigPayload{}, Existing: []ipc.ConfigPayload{}, Errors: []importError{}}
			var good []string
			for _, source := range sources {
				for _, line := range link.ParseList(source.text) {
					if line.Err == nil {
						good = append(good, line.Link.URI())
						continue
					}
					e := importError{Source: source.name, Line: line.Number, Code: "invalid", Message: line.Err.Error()}
					var bad *link.Error
					if errors.As(line.Err, &bad) {
						e.Code = bad.Code
					}
					result.Errors = append(result.Errors, e)
				}
			}
			if err := a.sendImport(c.Context(), good, &result); err != nil {
				return err
			}
			if err := a.print(result, func(w io.Writer) { printImport(w, result) }); err != nil {
				return err
			}
			switch {
			case len(good) > 0:
				return nil
			case len(result.Errors) > 0:
				return errors.New("no link was understood")
			default:
				return errors.New("there was no link to import: give links, files or standard input")
			}
		},
	}
}

// source is one text with links.
type source struct{ name, text string }

func (a *app) readSources(ctx context.Context, args []string) ([]source, error) {
	if len(args) == 0 {
		args = []string{"-"}
	}
	var sources []source
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

// sendImport hands links to the daemon in requests of a bounded size.
func (a *app) sendImport(ctx context.Context, links []string, result *importResult) error {
	for len(links) > 0 {
		n, bytes := 0, 0
		for n < len(links) && (n == 0 || bytes+len(links[n]) < importChunk) {
			bytes += len(links[n]) + 1
			n++
		}
		var p ipc.ConfigImportPayload
		if _, err := a.client.Do(ctx, ipc.Request{Type: ipc.KindConfigImport, Text: strings.Join(links[:n], "\n")}, &p); err != nil {
			return fmt.Errorf("importing (%d were added before): %w", len(result.Added), err)
		}
		links = links[n:]
		result.Added = append(result.Added, p.Added...)
		result.Existing = append(result.Existing, p.Existing...)
		for _, e := range p.Errors {
			// This program understood what the daemon did not: they differ in version.
			result.Errors = append(result.Errors, importError{Source: "the daemon", Line: e.Line, Code: e.Code, Message: e.Message})
		}
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
	for _, e := range r.Errors {
		fmt.Fprintf(w, "%s, line %d: %s\n", fit(e.Source, 100), e.Line, fit(e.Message, 300))
	}
	fmt.Fprintf(w, "%d added, %d there already, %d not understood.\n", len(r.Added), len(r.Existing), len(r.Errors))
}

func (a *app) listCommand() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the stored configs", Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			configs, err := a.configs(c.Context())
			if err != nil {
				return err
			}
			return a.print(configs, func(w io.Writer) { printConfigs(w, configs) })
		},
	}
}

func server(c ipc.ConfigPayload) string {
	return net.JoinHostPort(c.Address, strconv.Itoa(int(c.Port)))
}

func printConfigs(w io.Writer, configs []ipc.ConfigPayload) {
	if len(configs) == 0 {
		fmt.Fprintln(w, "There are no configs yet: add some with `xrat import`.")
		return
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tID\tNAME\tPROTOCOL\tSERVER\tNETWORK\tSECURITY\tLATENCY")
	for _, c := range configs {
		mark, latency := "", "-"
		if c.Active {
			mark = "*"
		}
		if c.LatencyMillis > 0 {
			latency = fmt.Sprintf("%d ms", c.LatencyMillis)
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", mark, c.ID, fit(c.Name, 40), c.Protocol,
			fit(server(c), 45), c.Network, c.Security, latency)
	}
	table.Flush()
}

func (a *app) showCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show REF", Short: "Show one config, without its secrets", Long: "Show one config.\n\n" + refHelp, Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			configs, err := a.configs(c.Context())
			if err != nil {
				return err
			}
			config, err := resolve(configs, args[0])
			if err != nil {
				return err
			}
			return a.print(config, func(w io.Writer) { printConfig(w, config, time.Now()) })
		},
	}
}

func printConfig(w io.Writer, c ipc.ConfigPayload, now time.Time) {
	fmt.Fprintf(w, "%s\n", fit(c.Name, 100))
	fmt.Fprintf(w, "  Id        %d\n", c.ID)
	fmt.Fprintf(w, "  Server    %s\n", fit(server(c), 262))
	fmt.Fprintf(w, "  Protocol  %s over %s, security %s\n", c.Protocol, c.Network, c.Security)
	fmt.Fprintf(w, "  Added     %s (%s)\n", c.CreatedAt.Local().Format(time.DateTime), c.Source)
	active := "no"
	if c.Active {
		active = "yes"
	}
	fmt.Fprintf(w, "  Active    %s\n", active)
	if c.LastSuccess != nil {
		fmt.Fprintf(w, "  Worked    %s ago, %d ms (%d times)\n", ago(now.Sub(*c.LastSuccess)), c.LatencyMillis, c.Successes)
	}
	if c.LastFailure != nil {
		fmt.Fprintf(w, "  Failed    %s ago (%d times)\n", ago(now.Sub(*c.LastFailure)), c.Failures)
	}
}

func (a *app) removeCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remove REF...", Short: "Remove configs", Long: "Remove configs. The one in use stays.\n\n" + refHelp, Args: cobra.MinimumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			configs, err := a.configs(c.Context())
			if err != nil {
				return err
			}
			var ids []int64
			for _, ref := range args {
				config, err := resolve(configs, ref)
				if err != nil {
					return err // before anything was removed
				}
				ids = append(ids, config.ID)
			}
			var p ipc.ConfigRemovePayload
			message, err := a.client.Do(c.Context(), ipc.Request{Type: ipc.KindConfigRemove, IDs: ids}, &p)
			if err != nil {
				return fmt.Errorf("removing: %w", err)
			}
			return a.print(p, func(w io.Writer) { fmt.Fprintln(w, sentence(message)) })
		},
	}
}
