package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

// listFilter says which configs "xrat list" shows. A zero field lets everything pass.
type listFilter struct {
	texts                        []string // all in the name or the server
	tags                         []string // all
	protocol, network, security  []string // one of them
	subscriptions                []int64  // one of them
	favourite, pinned, excluded  bool
	keptAway                     bool
	working, failed, onlyRetired bool
}

// takes reports whether a config is to be shown.
func (f listFilter) takes(c ipc.ConfigPayload) bool {
	for _, text := range f.texts {
		if !containsFold(c.Name, text) && !containsFold(server(c), text) {
			return false
		}
	}
	for _, tag := range f.tags {
		if !oneOf(tag, c.Tags) {
			return false
		}
	}
	among := func(value string, wanted []string) bool { return len(wanted) == 0 || oneOf(value, wanted) }
	of := func(id int64) bool { return slices.Contains(c.Subscriptions, id) }
	return among(c.Protocol, f.protocol) && among(c.Network, f.network) && among(c.Security, f.security) &&
		(len(f.subscriptions) == 0 || slices.ContainsFunc(f.subscriptions, of)) &&
		(!f.favourite || c.Favourite) && (!f.pinned || c.Pinned) && (!f.excluded || c.Excluded) && (!f.keptAway || c.KeptAway != "") &&
		(!f.working || works(c) && c.Limit == "") && (!f.failed || c.LastFailure != nil && !works(c))
}

// works reports whether a config worked when it was last tried.
func works(c ipc.ConfigPayload) bool {
	return c.LastSuccess != nil && (c.LastFailure == nil || c.LastSuccess.After(*c.LastFailure))
}

func oneOf(value string, wanted []string) bool {
	return slices.ContainsFunc(wanted, func(w string) bool { return strings.EqualFold(w, value) })
}

func containsFold(s, part string) bool {
	return strings.Contains(strings.ToLower(s), strings.ToLower(part))
}

// orders are the orders in which configs can be sorted. The id decides between equals; unknown
// values come last.
var orders = map[string]func(a, b ipc.ConfigPayload) int{
	"id":   func(a, b ipc.ConfigPayload) int { return 0 },
	"rank": func(a, b ipc.ConfigPayload) int { return cmp.Compare(uint(a.Rank-1), uint(b.Rank-1)) },
	"latency": func(a, b ipc.ConfigPayload) int {
		return cmp.Compare(uint64(a.LatencyMillis-1), uint64(b.LatencyMillis-1))
	},
	"name":     func(a, b ipc.ConfigPayload) int { return cmp.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)) },
	"protocol": func(a, b ipc.ConfigPayload) int { return cmp.Compare(a.Protocol, b.Protocol) },
	"added":    func(a, b ipc.ConfigPayload) int { return a.CreatedAt.Compare(b.CreatedAt) },
}

const orderNames = "id, rank, latency, name, protocol or added"

func sortConfigs(configs []ipc.ConfigPayload, order string, reverse bool) {
	slices.SortStableFunc(configs, func(a, b ipc.ConfigPayload) int {
		n := cmp.Or(orders[order](a, b), cmp.Compare(a.ID, b.ID))
		if reverse {
			return -n
		}
		return n
	})
}

func listCommand(a *app) *cobra.Command {
	var f listFilter
	var subscriptions []string
	var order string
	var reverse bool
	c := &cobra.Command{
		Use: "list [TEXT]...", Short: "List the stored configs",
		Long: `List the configs: those that have every TEXT in their name or server, and are as the
flags say. Before the id stands a mark for each that applies:

  *  in use now          +  pinned: preferred
  ♥  favourite           -  excluded: never chosen without being asked for
  ~  kept away by a rule, which the last column names: as if excluded

A config that answers checks and strangles what applications do has a word for that in the
place of its latency: stalls, throttled, cuts short, lossy or slow.`,
		PreRunE: func(*cobra.Command, []string) error {
			if _, known := orders[order]; !known {
				return &exitError{exitUsage, fmt.Errorf("--sort %s: use %s", fit(order, 40), orderNames)}
			}
			return nil
		},
		RunE: a.withDaemon(func(ctx context.Context, client *ipc.Client, args []string) (err error) {
			if f.subscriptions, err = subscriptionIDs(ctx, client, subscriptions); err != nil {
				return err
			}
			configs, err := listConfigs(ctx, client, f.onlyRetired)
			if err != nil {
				return err
			}
			f.texts = args
			configs = slices.DeleteFunc(configs, func(c ipc.ConfigPayload) bool { return !f.takes(c) })
			sortConfigs(configs, order, reverse)
			return a.print(configs, func(w io.Writer) { printConfigs(w, a.width(), configs, f) })
		}),
	}
	flags := c.Flags()
	flags.StringSliceVar(&f.tags, "tag", nil, "with this tag; several: with all")
	flags.StringSliceVar(&f.protocol, "protocol", nil, "vless, vmess, trojan, shadowsocks and so on")
	flags.StringSliceVar(&f.network, "network", nil, "tcp, ws, grpc, xhttp and so on")
	flags.StringSliceVar(&f.security, "security", nil, "none, tls or reality")
	flags.StringSliceVar(&subscriptions, "subscription", nil, "of this subscription (id or name)")
	flags.BoolVar(&f.favourite, "favourite", false, "favourites")
	flags.BoolVar(&f.pinned, "pinned", false, "pinned ones")
	flags.BoolVar(&f.excluded, "excluded", false, "excluded ones")
	flags.BoolVar(&f.keptAway, "kept-away", false, "those that a rule keeps away (rotation.only, rotation.never, or a subscription's)")
	flags.BoolVar(&f.working, "working", false, "those that worked when last tried")
	flags.BoolVar(&f.failed, "failed", false, "those that failed when last tried")
	flags.BoolVar(&f.onlyRetired, "retired", false, "those that no subscription has any more; they are kept for 30 days")
	flags.StringVar(&order, "sort", "id", "by "+orderNames)
	flags.BoolVarP(&reverse, "reverse", "r", false, "the other way around")
	return c
}

func printConfigs(w io.Writer, width int, configs []ipc.ConfigPayload, f listFilter) {
	if len(configs) == 0 {
		switch {
		case f.onlyRetired:
			fmt.Fprintln(w, "No config is retired.")
		default:
			fmt.Fprintln(w, "There are no such configs: `xrat list` shows all, `xrat import` adds some.")
		}
		return
	}
	head := []column{
		{title: ""}, {title: "ID", right: true}, {title: "NAME", least: 12}, {title: "PROTOCOL"}, {title: "SERVER", least: 15},
		{title: "NETWORK"}, {title: "SECURITY"}, {title: "LATENCY", right: true}, {title: "TAGS", least: 8},
		{title: "KEPT AWAY BY", least: 12},
	}
	rows := make([][]string, 0, len(configs))
	for _, c := range configs {
		latency := "-"
		if c.LatencyMillis > 0 {
			latency = fmt.Sprintf("%d ms", c.LatencyMillis)
		}
		if c.Limit != "" {
			latency = strings.ReplaceAll(fit(c.Limit, 20), "_", " ")
		}
		rows = append(rows, []string{
			marks(c), fmt.Sprint(c.ID), fit(c.Name, 60), c.Protocol, server(c), c.Network, c.Security, latency, strings.Join(c.Tags, ","),
			fit(c.KeptAway, 80),
		})
	}
	_ = table(w, width, head, rows) // writing to memory does not fail
}

// marks are those that the help of "list" explains.
func marks(c ipc.ConfigPayload) string {
	var b strings.Builder
	for _, m := range []struct {
		mark string
		set  bool
	}{{"*", c.Active}, {"+", c.Pinned}, {"♥", c.Favourite}, {"-", c.Excluded}, {"~", c.KeptAway != ""}} {
		if m.set {
			b.WriteString(m.mark)
		}
	}
	return b.String()
}
