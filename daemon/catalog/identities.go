package catalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/link"
)

// renewIdentities gives the configs that an earlier version has stored the identities of this one.
// Of several that are one server by now, one gets it: a live one before a retired one, and then the
// oldest. The others keep what they have, so that nothing is lost; their subscription retires them
// with its next update.
func (cat *Catalog) renewIdentities(ctx context.Context, configs []store.Config) error {
	taken := make(map[string]bool)
	var old []store.Config
	for _, c := range configs {
		if c.IdentityV == link.IdentityVersion {
			taken[c.Identity] = true
		} else {
			old = append(old, c)
		}
	}
	if len(old) == 0 {
		return nil
	}
	slices.SortStableFunc(old, func(a, b store.Config) int { return cmp.Compare(rank(a), rank(b)) })
	identities := make(map[int64]string, len(old))
	var ids []int64
	for _, c := range old {
		l, err := link.Parse(c.Link)
		if err != nil {
			continue // of a grammar that this version does not know: left for one that does
		}
		ids = append(ids, c.ID)
		if identity := l.Identity(); !taken[identity] {
			taken[identity] = true
			identities[c.ID] = identity
		}
	}
	renewed, err := cat.Store.RenewConfigs(ctx, ids, func(c *store.Config) {
		c.Identity, c.IdentityV = cmp.Or(identities[c.ID], c.Identity), link.IdentityVersion
	})
	if err != nil {
		return fmt.Errorf("renewing the identities of configs: %w", err)
	}
	cat.Log.Info().Int("configs", len(renewed)).Int("same_servers", len(ids)-len(identities)).Msg("the configs of an earlier version know who they are")
	return nil
}

// rank orders configs that are the same server.
func rank(c store.Config) int {
	if c.Retired() {
		return 1
	}
	return 0
}
