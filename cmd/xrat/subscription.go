package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

const subscriptionRefHelp = `REF names a subscription: its id, its name, or the beginning of either when only one
begins so.`

func subscriptionCommand(a *app) *cobra.Command {
	g := group("subscription", "Lists of servers that are kept up to date",
		subscriptionAdd(a), subscriptionList(a), subscriptionSet(a), subscriptionUpdate(a), subscriptionReparse(a), subscriptionRemove(a))
	g.Aliases = []string{"sub"}
	g.Long = `Subscriptions are addresses at which providers offer servers. They are fetched now
and then: as often as you say, or else the provider, or else subscription.interval in
the settings. While connected they are fetched through the proxy, and directly if
that does not work and subscription.direct is on.

An update compares: new servers are added, those that are gone are retired (not
used any more, and kept for 30 days with their history, in case they come back), all
others stay as they are. An answer that is empty, broken or a web page changes
nothing.`
	return g
}

func subscriptionAdd(a *app) *cobra.Command {
	var f optionFlags
	c := &cobra.Command{
		Use: "add URL", Short: "Add a subscription and fetch it", Args: cobra.ExactArgs(1),
		Long: `Add a subscription by its http or https address, and fetch it. One that is there
already gets what the flags say, and is fetched. What follows a "#" in the address is
its name. One that a page makes for another client, such as
clash://install-config?url=…, stands for the address inside.

Servers on this machine and in private networks (192.168.x.x, localhost, …) are left
out, as no provider on the internet has any business with them, and a name that leads
there is not followed: --private says that this one is yours. A subscription whose
address is an IP address there, or localhost, needs no permission.

` + optionsHelp() + `

The address is a secret. Arguments are seen by other users of the machine and kept
in the shell's history: "-" reads it from standard input.`,
		RunE: func(c *cobra.Command, args []string) error {
			options, err := f.read(c)
			if err != nil {
				return err
			}
			address := args[0]
			if address == "-" {
				text, err := readBounded(c.Context(), a.in)
				if err != nil {
					return fmt.Errorf("reading standard input: %w", err)
				}
				address = strings.TrimSpace(text)
			}
			add := func(ctx context.Context, client *ipc.Client, _ []string) error {
				return addSubscription(ctx, client, &a.printer, address, options)
			}
			return a.withDaemon(add)(c, args)
		},
	}
	f.addTo(c)
	c.Flags().BoolVar(&f.options.NoUpdate, "no-update", false, "do not fetch it now")
	return c
}

func addSubscription(ctx context.Context, client *ipc.Client, p *printer, address string, options ipc.SubscriptionOptions) error {
	payload, message, err := client.AddSubscription(ctx, address, options)
	if err != nil {
		return fmt.Errorf("adding the subscription: %w", err)
	}
	refresh := payload.Refresh
	failed := refresh != nil && !refresh.OK
	err = p.print(payload, func(w io.Writer) {
		if failed {
			return // the error says it
		}
		fmt.Fprintln(w, fit(sentence(message), 500))
		if refresh != nil {
			printProblems(w, *refresh)
		}
	})
	if err == nil && failed {
		err = errors.New(fit(message, 1000))
	}
	return err
}

func subscriptionList(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the subscriptions", Args: cobra.NoArgs,
		Long: "List the subscriptions: how many servers each has, what of the account is used, when\nit was updated and will be, and what went wrong.",
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, _ []string) error {
			list, err := listSubscriptions(ctx, client)
			if err != nil {
				return err
			}
			return a.print(list, func(w io.Writer) { printSubscriptions(w, a.width(), list, time.Now()) })
		}),
	}
}

func printSubscriptions(w io.Writer, width int, list []ipc.SubscriptionPayload, now time.Time) {
	if len(list) == 0 {
		fmt.Fprintln(w, "There are no subscriptions yet: add one with `xrat subscription add URL`.")
		return
	}
	head := []column{
		{title: "ID", right: true}, {title: "NAME", least: 12}, {title: "ADDRESS", least: 16}, {title: "CONFIGS", right: true},
		{title: "USED"}, {title: "EXPIRES"}, {title: "UPDATED"}, {title: "NEXT"},
	}
	var rows [][]string
	for _, s := range list {
		updated, next := "never", "by hand"
		if s.UpdatedAt != nil {
			updated = ago(now.Sub(*s.UpdatedAt)) + " ago"
		}
		switch {
		case s.NextAt == nil:
		case s.NextAt.After(now):
			next = "in " + ago(s.NextAt.Sub(now))
		default:
			next = "now"
		}
		rows = append(rows, []string{
			fmt.Sprint(s.ID), fit(s.Name, 60), s.Address, fmt.Sprint(s.Configs), used(s.Usage), expires(s.Usage, now), updated, next,
		})
	}
	_ = table(w, width, head, rows) // writing to memory does not fail
	for _, s := range list {
		if how := manner(s); how != "" {
			fmt.Fprintf(w, "%s: %s\n", fit(s.Name, 60), fit(how, 500))
		}
		if s.Error != nil {
			times := ""
			if s.Failures > 1 {
				times = fmt.Sprintf(" (%d times)", s.Failures)
			}
			fmt.Fprintf(w, "%s: the last update failed%s: %s\n", fit(s.Name, 60), times, fit(s.Error.Message, 500))
		}
		for _, notice := range s.Notices {
			fmt.Fprintf(w, "%s says: %s\n", fit(s.Name, 60), fit(notice, 200))
		}
		for _, said := range [][2]string{{"announces", s.Announce}, {"helps at", s.SupportURL}, {"has a page", s.WebPageURL}} {
			if said[1] != "" {
				fmt.Fprintf(w, "%s %s: %s\n", fit(s.Name, 60), said[0], fit(said[1], 300))
			}
		}
	}
}

// used says how much of an account is used: "1.5 GB of 100.0 GB".
func used(u *ipc.UsagePayload) string {
	switch {
	case u == nil:
		return ""
	case u.Total > 0:
		return size(u.Upload+u.Download) + " of " + size(u.Total)
	default:
		return size(u.Upload + u.Download)
	}
}

func expires(u *ipc.UsagePayload, now time.Time) string {
	switch {
	case u == nil || u.ExpiresAt == nil:
		return ""
	case u.ExpiresAt.Before(now):
		return "expired"
	default:
		return u.ExpiresAt.Local().Format(time.DateOnly)
	}
}

func subscriptionUpdate(a *app) *cobra.Command {
	var accept bool
	c := &cobra.Command{
		Use: "update [REF]...", Short: "Fetch subscriptions now: those named, or all",
		Long: `Fetch subscriptions now: those named, or all.

A list that has shrunk to less than half is not believed at first, because this is what
many providers send when an account has expired: nothing is taken away, and the update
counts as failed. It is believed after a day, or at once with --accept.

` + subscriptionRefHelp,
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
			ids, err := subscriptionIDs(ctx, client, args)
			if err != nil {
				return err
			}
			results, err := client.UpdateSubscriptions(ctx, ids, accept)
			if err != nil {
				return fmt.Errorf("updating: %w", err)
			}
			return printUpdate(&a.printer, results, "updated")
		}),
	}
	c.Flags().BoolVar(&accept, "accept", false, "believe what the providers send, however little it is")
	return c
}

// printUpdate prints what became of subscriptions, and fails if one was not done.
func printUpdate(p *printer, results []ipc.RefreshPayload, done string) error {
	if err := p.print(results, func(w io.Writer) { printRefreshes(w, results) }); err != nil {
		return err
	}
	failed := 0
	for _, r := range results {
		if !r.OK {
			failed++
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d could not be %s; their configs stay as they were", failed, len(results), done)
	}
	return nil
}

func printRefreshes(w io.Writer, results []ipc.RefreshPayload) {
	if len(results) == 0 {
		fmt.Fprintln(w, "There are no subscriptions yet: add one with `xrat subscription add URL`.")
	}
	for _, r := range results {
		if !r.OK {
			fmt.Fprintf(w, "%s: %s\n", fit(r.Name, 60), fit(r.Error.Message, 1000))
			continue
		}
		fmt.Fprintf(w, "%s: %s\n", fit(r.Name, 60), refreshed(r))
		printProblems(w, r)
	}
}

// refreshed sums up an update.
func refreshed(r ipc.RefreshPayload) string {
	text := fmt.Sprintf("%d added, %d retired, %d kept", r.Added, r.Retired, r.Kept)
	if r.Revived > 0 {
		text += fmt.Sprintf(", %d are back", r.Revived)
	}
	if r.Via != "" {
		text += " (" + map[string]string{"proxy": "fetched through the proxy", "direct": "fetched directly", "kept": "read again"}[r.Via] + ")"
	}
	return text
}

// printProblems names the first entries that could not be used as they were.
func printProblems(w io.Writer, r ipc.RefreshPayload) {
	const most = 10
	for _, p := range r.Problems[:min(len(r.Problems), most)] {
		printProblem(w, "  ", p)
	}
	if more := max(len(r.Problems)-most, 0) + r.Unlisted; more > 0 {
		fmt.Fprintf(w, "  … and %d more\n", more)
	}
}

func subscriptionRemove(a *app) *cobra.Command {
	var keep bool
	c := &cobra.Command{
		Use: "remove REF...", Short: "Remove subscriptions, and the configs that they brought", Args: cobra.MinimumNArgs(1),
		Long: "Remove subscriptions, and the configs that only they have. The one in use stays, and so\ndo those that you imported yourself.\n\n" + subscriptionRefHelp,
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
			ids, err := subscriptionIDs(ctx, client, args)
			if err != nil {
				return err
			}
			payload, message, err := client.RemoveSubscriptions(ctx, ids, keep)
			if err != nil {
				return fmt.Errorf("removing: %w", err)
			}
			return a.printMessage(payload, message)
		}),
	}
	c.Flags().BoolVar(&keep, "keep-configs", false, "keep the configs, as if you had imported them")
	return c
}

func listSubscriptions(ctx context.Context, client *ipc.Client) ([]ipc.SubscriptionPayload, error) {
	list, err := client.Subscriptions(ctx)
	if err != nil {
		return nil, fmt.Errorf("listing the subscriptions: %w", err)
	}
	return list, nil
}

// subscriptionIDs resolves REFs of subscriptions, all or none.
func subscriptionIDs(ctx context.Context, client *ipc.Client, refs []string) (ids []int64, err error) {
	if len(refs) == 0 {
		return nil, nil
	}
	list, err := listSubscriptions(ctx, client)
	if err != nil {
		return nil, err
	}
	for _, ref := range refs {
		s, err := choose(list, ref, "subscription", "xrat subscription list", func(s ipc.SubscriptionPayload) (int64, string) { return s.ID, s.Name })
		if err != nil {
			return nil, err
		}
		ids = append(ids, s.ID)
	}
	return ids, nil
}
