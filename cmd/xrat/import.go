package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// importResult is what "xrat import --json" prints.
type importResult struct {
	Added         []ipc.ConfigPayload          `json:"added"`
	Existing      []ipc.ConfigPayload          `json:"existing"`
	Errors        []importError                `json:"errors"`
	Notices       []string                     `json:"notices"` // of providers
	Subscriptions []ipc.SubscriptionAddPayload `json:"subscriptions"`
}

type importError struct {
	Source string `json:"source"`
	ipc.ImportErrorPayload
}

// found counts what could be imported, whether it was new or not.
func (r *importResult) found() (n int) {
	n = len(r.Added) + len(r.Existing)
	for _, s := range r.Subscriptions {
		if s.Refresh != nil && s.Refresh.OK {
			n++
		}
	}
	return n
}

func importCommand(a *app) *cobra.Command {
	var fromClipboard, subscribe bool
	c := &cobra.Command{
		Use:   "import [LINK | FILE | URL | -]...",
		Short: "Add servers from links, files, subscriptions, the clipboard",
		Long: `Add servers from share links (vless, vmess, trojan, ss, hysteria2, wireguard, socks,
http), files, standard input ("-", or no argument), the clipboard, or the http(s)
address of a subscription. A file, the clipboard and an address may hold links one a
line, the same in base64, SIP008, Xray JSON, Clash YAML, a WireGuard file, or lines
of Surge, Loon or Quantumult X. A server that is there already is not added again.
Good ones are added also when others are not understood; those are named by their
line or their place.

An address is fetched once. One that a page makes for another client, such as
clash://install-config?url=…, stands for the address or the link inside. With --subscribe it is added as a subscription, and
updated from then on ("xrat subscription").

Arguments are seen by other users of the machine and kept in the shell's history:
give links and addresses on standard input if that matters.`,
		RunE: func(c *cobra.Command, args []string) error {
			sources, err := readSources(c.Context(), args, a.in, fromClipboard)
			if err != nil {
				return err
			}
			send := func(ctx context.Context, client *ipc.Client, _ []string) error {
				return importSources(ctx, client, &a.printer, sources, subscribe)
			}
			return a.withDaemon(send)(c, args)
		},
	}
	c.Flags().BoolVar(&fromClipboard, "clipboard", false, "import what is in the clipboard")
	c.Flags().BoolVar(&subscribe, "subscribe", false, "add addresses as subscriptions, to be updated from now on")
	return c
}

// importSources hands the sources to the daemon, and prints the result.
func importSources(ctx context.Context, client *ipc.Client, p *printer, sources []source, subscribe bool) error {
	i := importer{client: client, result: importResult{
		Added: []ipc.ConfigPayload{}, Existing: []ipc.ConfigPayload{},
		Errors: []importError{}, Notices: []string{}, Subscriptions: []ipc.SubscriptionAddPayload{},
	}}
	for _, s := range sources {
		if err := i.add(ctx, s, subscribe); err != nil {
			return err
		}
	}
	if err := p.print(i.result, func(w io.Writer) { printImport(w, i.result) }); err != nil {
		return err
	}
	switch {
	case i.result.found() > 0:
		return nil
	case len(i.result.Errors) > 0:
		return errors.New("nothing was understood")
	default:
		return errors.New("there was nothing to import: give links, files, addresses or standard input")
	}
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
		fmt.Fprintf(w, "… and %d more; --json shows all\n", more)
	}
	for _, notice := range r.Notices {
		fmt.Fprintf(w, "the provider says: %s\n", fit(notice, 200))
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

// printProblem prints why an entry could not be used as it was.
func printProblem(w io.Writer, where string, p ipc.ImportErrorPayload) {
	if place := p.Place(); place != "" {
		where += place
	} else {
		where = strings.TrimSuffix(where, ", ")
	}
	if p.Name != "" {
		where += " (" + fit(p.Name, 40) + ")"
	}
	fmt.Fprintf(w, "%s: %s\n", where, fit(p.Message, 300))
}
