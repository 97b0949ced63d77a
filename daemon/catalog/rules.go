package catalog

import (
	"context"
	"fmt"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rules"
	"github.com/xrat-tray/xrat/daemon/store"
)

// ruling has the rules of the settings and of all subscriptions.
type ruling struct {
	general       rules.Set
	own           map[int64]rules.Set // of the subscriptions that have any
	subscriptions map[int64]store.Subscription
}

// ruling reads the rules as they are now.
func (cat *Catalog) ruling(ctx context.Context) (ruling, error) {
	all, err := cat.Store.Subscriptions(ctx)
	if err != nil {
		return ruling{}, fmt.Errorf("reading the subscriptions: %w", err)
	}
	r := ruling{cat.rules, make(map[int64]rules.Set), make(map[int64]store.Subscription, len(all))}
	for _, sub := range all {
		r.subscriptions[sub.ID] = sub
		set, err := rules.NewSet(sub.Only, sub.Never)
		if err != nil { // another version has stored it
			cat.Log.Warn().Err(err).Int64("subscription", sub.ID).Msg("the rules of the subscription are not understood and do not count")
			continue
		}
		if !set.Empty() {
			r.own[sub.ID] = set
		}
	}
	return r, nil
}

// keepsAway names the rule that keeps a config from being chosen without being asked for; empty:
// there is none.
func (r ruling) keepsAway(c store.Config) string {
	if r.general.Empty() && len(r.own) == 0 {
		return ""
	}
	server := rules.Server{Name: c.Name, Protocol: c.Protocol, Tags: c.Tags}
	for _, id := range c.Subscriptions {
		server.Subscriptions = append(server.Subscriptions, rules.Subscription{ID: id, Name: r.subscriptions[id].Name})
	}
	if rule, away := r.general.KeepsAway(&server); away {
		return "rotation." + rule
	}
	if c.Source != store.SourceSubscription { // it is the user's, whoever offers it, too
		return ""
	}
	first := ""
	for _, id := range c.Subscriptions {
		rule, away := r.own[id].KeepsAway(&server)
		if !away {
			return ""
		}
		if first == "" {
			first = fmt.Sprintf("%s (%s)", rule, r.subscriptions[id].Name)
		}
	}
	return first
}

// errKeptAway says that rules leave nothing to choose from.
var errKeptAway = ipc.Errorf(ipc.CodeInvalidState,
	"there is no other config that may be chosen, because rules keep some away: `xrat list` names the rules, and `xrat connect NAME` asks for a config all the same")
