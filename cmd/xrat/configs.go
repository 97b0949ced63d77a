package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
)

func server(c ipc.ConfigPayload) string {
	return net.JoinHostPort(c.Address, strconv.Itoa(int(c.Port)))
}

func showCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "show REF", Short: "Show one config, without its secrets", Long: "Show one config.\n\n" + refHelp, Args: cobra.ExactArgs(1),
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
			found, err := chosenConfigs(ctx, client, args)
			if err != nil {
				return err
			}
			subscriptions := map[int64]string{}
			if len(found[0].Subscriptions) > 0 {
				list, err := listSubscriptions(ctx, client)
				if err != nil {
					return err
				}
				for _, s := range list {
					subscriptions[s.ID] = s.Name
				}
			}
			return a.print(found[0], func(w io.Writer) { printConfig(w, found[0], subscriptions, time.Now()) })
		}),
	}
}

func printConfig(w io.Writer, c ipc.ConfigPayload, subscriptions map[int64]string, now time.Time) {
	fmt.Fprintf(w, "%s\n", fit(c.Name, 100))
	line := func(title, format string, args ...any) {
		fmt.Fprintf(w, "  %-13s %s\n", title, fmt.Sprintf(format, args...))
	}
	line("Id", "%d", c.ID)
	line("Server", "%s", fit(server(c), 262))
	line("Protocol", "%s over %s, security %s", c.Protocol, c.Network, c.Security)
	line("Added", "%s (%s)", c.CreatedAt.Local().Format(time.DateTime), c.Source)
	for _, id := range c.Subscriptions {
		line("Subscription", "%s", fit(fmt.Sprintf("%d %s", id, subscriptions[id]), 100))
	}
	if c.RetiredAt != nil {
		line("Retired", "%s ago: no subscription has it any more", ago(now.Sub(*c.RetiredAt)))
	}
	if words := decisions(c); len(words) > 0 {
		line("Marks", "%s", strings.Join(words, ", "))
	}
	if len(c.Tags) > 0 {
		line("Tags", "%s", fit(strings.Join(c.Tags, ", "), 200))
	}
	if c.KeptAway != "" {
		line("Kept away", "by the rule %s", fit(c.KeptAway, 100))
	}
	active := "no"
	if c.Active {
		active = "yes"
	}
	line("Active", "%s", active)
	if c.LastSuccess != nil {
		line("Worked", "%s ago, %d ms (%d times)", ago(now.Sub(*c.LastSuccess)), c.LatencyMillis, c.Successes)
	}
	if c.LastFailure != nil {
		line("Failed", "%s ago (%d times)", ago(now.Sub(*c.LastFailure)), c.Failures)
	}
	if c.Limit != "" {
		line("Limited", "it answers checks and %s", rotation.LimitText(fit(c.Limit, 20)))
	}
}

// decisions are the words for what the user has decided about a config.
func decisions(c ipc.ConfigPayload) (words []string) {
	for _, d := range []struct {
		word string
		set  bool
	}{{"pinned", c.Pinned}, {"excluded", c.Excluded}, {"favourite", c.Favourite}} {
		if d.set {
			words = append(words, d.word)
		}
	}
	return words
}

func removeCommand(a *app) *cobra.Command {
	return &cobra.Command{
		Use: "remove REF...", Short: "Remove configs", Args: cobra.MinimumNArgs(1),
		Long: "Remove configs and their history. The one in use stays. One that a subscription still\n" +
			"has comes back with its next update: exclude it instead.\n\n" + refHelp,
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) error {
			found, err := chosenConfigs(ctx, client, args)
			if err != nil {
				return err // before anything was removed
			}
			payload, message, err := client.RemoveConfigs(ctx, ids(found))
			if err != nil {
				return fmt.Errorf("removing: %w", err)
			}
			return a.printMessage(payload, message)
		}),
	}
}
