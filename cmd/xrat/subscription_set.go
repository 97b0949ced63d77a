package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

const askingHelp = `How the provider is asked:
  --user-agent  Providers choose the format of their answer by the name of the client,
                and some answer nobody else. A text, or one of these names:
                %s
  --header      A header of the request, NAME=VALUE; @FILE reads them from a file, one
                a line. It is a secret like the address, and kept as one.
  --hwid        Providers that limit the number of devices want to know which one
                asks. They are told a random id of this installation, which stays the
                same, the system with its version, and the name of this computer.
  --ca, --pin   For a provider with a certificate of its own: a file with the one that
                signs it, or the SHA-256 hash of its public key, which is then all
                that counts.
Headers and id go to the server of the address alone, wherever it redirects.

Which of its servers may be chosen without being asked for:
  --only        One of these rules must fit: name:TEXT, name:/REGEX/, country:DE,
                protocol:vless, subscription:NAME or tag:NAME.
  --never       None of these may. Both hold for servers that come tomorrow, too, and
                beside rotation.only and rotation.never of the settings.

A flag replaces what was set before, and one with an empty value takes it away.`

// optionFlags are the flags that say how a subscription is asked for and used.
type optionFlags struct {
	options              ipc.SubscriptionOptions
	private, hwid        bool
	userAgent, ca, pin   string
	headers, only, never []string
}

// addTo gives a command the flags.
func (f *optionFlags) addTo(c *cobra.Command) {
	flags := c.Flags()
	flags.StringVar(&f.options.Name, "name", "", "what to call it; otherwise as the provider does")
	flags.DurationVar(&f.options.Interval, "interval", 0, "how often to update it, such as 24h")
	flags.BoolVar(&f.private, "private", false, "let it be, and name servers, on this machine and in private networks")
	flags.StringVar(&f.userAgent, "user-agent", "", "ask as this client")
	flags.StringArrayVar(&f.headers, "header", nil, "a header of the request, NAME=VALUE or @FILE; several: repeat it")
	flags.BoolVar(&f.hwid, "hwid", false, "tell the provider a random id and the name of this device")
	flags.StringVar(&f.ca, "ca", "", "file with the certificate that signs the provider's")
	flags.StringVar(&f.pin, "pin", "", "SHA-256 hash of the public key of the provider's certificate")
	flags.StringArrayVar(&f.only, "only", nil, "rule for the servers that may be chosen; several: repeat it")
	flags.StringArrayVar(&f.never, "never", nil, "rule for those that may not; several: repeat it")
	c.MarkFlagsMutuallyExclusive("ca", "pin")
}

// read returns the options that were given.
func (f *optionFlags) read(c *cobra.Command) (ipc.SubscriptionOptions, error) {
	o, given := f.options, c.Flags().Changed
	if given("interval") && (o.Interval < time.Hour || o.Interval > 365*24*time.Hour) {
		return o, &exitError{exitUsage, fmt.Errorf("--interval %s: use 1h to 8760h", o.Interval)}
	}
	if given("private") {
		o.Private = &f.private
	}
	if given("user-agent") {
		o.UserAgent = &f.userAgent
	}
	if given("hwid") {
		o.HWID = &f.hwid
	}
	if given("pin") {
		o.Pin = &f.pin
	}
	if given("only") {
		o.Only = present(f.only)
	}
	if given("never") {
		o.Never = present(f.never)
	}
	if given("header") {
		headers, err := readHeaders(c.Context(), f.headers)
		if err != nil {
			return o, err
		}
		o.Headers = headers
	}
	if given("ca") {
		text, err := readCA(f.ca)
		if err != nil {
			return o, err
		}
		o.CA = &text
	}
	return o, nil
}

// present returns the texts that are not empty: a list that is empty and not nil if there are none.
func present(texts []string) []string {
	list := []string{}
	for _, text := range texts {
		if text = strings.TrimSpace(text); text != "" {
			list = append(list, text)
		}
	}
	return list
}

// readHeaders returns headers as they are given, and those of files.
func readHeaders(ctx context.Context, given []string) ([]string, error) {
	list := []string{}
	for _, header := range present(given) {
		path, isFile := strings.CutPrefix(header, "@")
		if !isFile {
			list = append(list, header)
			continue
		}
		file, err := os.Open(path)
		if err != nil {
			return nil, &exitError{exitUsage, fmt.Errorf("--header: %w", err)}
		}
		text, err := readBounded(ctx, file)
		file.Close()
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", path, err)
		}
		list = append(list, present(strings.Split(text, "\n"))...)
	}
	return list, nil
}

// readCA returns the certificates of a file; of none none.
func readCA(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", &exitError{exitUsage, fmt.Errorf("--ca: %w", err)}
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, 1<<20))
	if err != nil {
		return "", fmt.Errorf("reading %s: %w", path, err)
	}
	text, err := subscription.ReadCA(data)
	if err != nil {
		return "", &exitError{exitUsage, fmt.Errorf("--ca %s: %w", path, err)}
	}
	return text, nil
}

// optionsHelp is askingHelp with the names of the clients.
func optionsHelp() string {
	const indent, width = "                ", 84
	lines := []string{""}
	for i, name := range subscription.Clients() {
		if i > 0 {
			name = " " + name
			lines[len(lines)-1] += ","
		}
		if last := &lines[len(lines)-1]; len(indent)+len(*last)+len(name) < width {
			*last += name
		} else {
			lines = append(lines, strings.TrimSpace(name))
		}
	}
	return fmt.Sprintf(askingHelp, strings.Join(lines, "\n"+indent))
}

func subscriptionSet(a *app) *cobra.Command {
	var f optionFlags
	c := &cobra.Command{
		Use: "set REF...", Aliases: []string{"edit"}, Short: "Change how subscriptions are asked for, and which of their servers may be chosen", Args: cobra.MinimumNArgs(1),
		Long: "Change how subscriptions are asked for, and which of their servers may be chosen. The\nnext update is made so; `xrat subscription update` makes it now.\n\n" +
			optionsHelp() + "\n\n" + subscriptionRefHelp,
		RunE: func(c *cobra.Command, args []string) error {
			options, err := f.read(c)
			if err != nil {
				return err
			}
			return a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
				ids, err := subscriptionIDs(ctx, client, args)
				if err != nil {
					return err
				}
				list, err := client.SetSubscriptions(ctx, ids, options)
				if err != nil {
					return fmt.Errorf("changing: %w", err)
				}
				return a.print(list, func(w io.Writer) {
					for _, s := range list {
						how := manner(s)
						if how == "" {
							how = "nothing special"
						}
						fmt.Fprintf(w, "%s: %s\n", fit(s.Name, 60), fit(how, 500))
					}
				})
			})(c, args)
		},
	}
	f.addTo(c)
	return c
}

// manner says how a subscription is asked for and used, where that is anything special.
func manner(s ipc.SubscriptionPayload) string {
	var parts []string
	add := func(is bool, format string, arguments ...any) {
		if is {
			parts = append(parts, fmt.Sprintf(format, arguments...))
		}
	}
	add(s.UserAgent != "", "asks as %s", s.UserAgent)
	add(len(s.Headers) > 0, "with the headers %s", strings.Join(s.Headers, ", "))
	add(s.HWID, "tells the id of this device")
	add(s.CA, "has a certificate of its own")
	add(s.Pin != "", "has a pinned key")
	add(s.Private && !subscription.Local(s.Address), "may be private")
	add(len(s.Only) > 0, "only %s", strings.Join(s.Only, ", "))
	add(len(s.Never) > 0, "never %s", strings.Join(s.Never, ", "))
	return strings.Join(parts, "; ")
}

func subscriptionReparse(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "reparse [REF]...", Short: "Read the last answers again, without asking for them: those named, or all",
		Long: "Read the last good answers again, without the network: those of the subscriptions named,\nor all. A newer version of xrat may understand more of them.\n\n" + subscriptionRefHelp,
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
			ids, err := subscriptionIDs(ctx, client, args)
			if err != nil {
				return err
			}
			results, err := client.ReparseSubscriptions(ctx, ids)
			if err != nil {
				return fmt.Errorf("reading again: %w", err)
			}
			return printUpdate(&a.printer, results, "read again")
		}),
	}
}
