package catalog

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
)

// listConfigs lists the configs that may be used or, if asked for, those that no subscription has
// any more.
func (cat *Catalog) listConfigs(ctx context.Context, retired bool) (ipc.ConfigListPayload, error) {
	payload := ipc.ConfigListPayload{Configs: []ipc.ConfigPayload{}}
	active, _ := cat.Supervisor.Active()
	var keptAway map[int64]string // of retired ones nobody asks
	add := func(c store.Config, h rotation.History, rank int) {
		p := configPayload(c)
		p.Rank, p.KeptAway = rank, keptAway[c.ID]
		p.Active = active != 0 && active == c.ID
		p.Successes, p.Failures, p.LatencyMillis = h.Successes, h.Failures, h.Latency.Milliseconds()
		p.LastSuccess, p.LastFailure = timeOrNil(h.LastSuccess), timeOrNil(h.LastFailure)
		p.Limit = h.LimitNow(time.Now())
		payload.Configs = append(payload.Configs, p)
	}
	if retired {
		configs, err := cat.Store.Configs(ctx)
		if err != nil {
			return payload, fmt.Errorf("reading the configs: %w", err)
		}
		outcomes, err := cat.Store.Outcomes(ctx)
		if err != nil {
			return payload, fmt.Errorf("reading how the configs did: %w", err)
		}
		for _, c := range configs {
			if c.Retired() {
				add(c, historyOf(outcomes[c.ID]), 0)
			}
		}
		return payload, nil
	}
	k, err := cat.lookUp(ctx)
	if err != nil {
		return payload, err
	}
	keptAway = k.keptAway
	ranks := make(map[int64]int, len(k.candidates))
	for i, c := range rotation.Rank(time.Now(), rotation.PreferBest, 0, k.candidates) {
		ranks[c.ConfigID] = i + 1
	}
	payload.Configs = slices.Grow(payload.Configs, len(k.candidates))
	for _, c := range k.candidates {
		add(k.configs[c.ConfigID], c.History, ranks[c.ConfigID])
	}
	return payload, nil
}

func timeOrNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// configPayload is a config without its secrets.
func configPayload(c store.Config) ipc.ConfigPayload {
	return ipc.ConfigPayload{
		ID: c.ID, Name: c.Name, Protocol: c.Protocol, Address: c.Address, Port: c.Port,
		Network: c.Network, Security: c.Security, Source: c.Source, CreatedAt: c.CreatedAt,
		Pinned: c.Pinned, Excluded: c.Excluded, Favourite: c.Favourite, Tags: append([]string{}, c.Tags...),
		Subscriptions: append([]int64{}, c.Subscriptions...), RetiredAt: timeOrNil(c.RetiredAt),
	}
}
