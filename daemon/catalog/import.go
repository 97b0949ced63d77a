package catalog

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// importConfigs stores the servers of a text, or of what an address serves, and names the entries
// that are not understood.
func (cat *Catalog) importConfigs(ctx context.Context, r ipc.Request) (any, string, error) {
	var body subscription.Body
	var unread error
	switch {
	case (r.Text == "") == (r.URL == ""):
		return nil, "", ipc.Errorf(ipc.CodeInvalidState, `config_import needs either "text" or "url"`)
	case r.Text != "":
		body, unread = subscription.Parse([]byte(r.Text))
	default:
		address := plainAddress(r.URL)
		if err := checkAddress(address); err != nil {
			return nil, "", err
		}
		var f fetched
		f, unread = cat.fetch(ctx, subscription.Request{URL: address})
		if ctx.Err() != nil {
			return nil, "", context.Cause(ctx)
		}
		body = f.body
	}
	payload := ipc.ConfigImportPayload{Added: []ipc.ConfigPayload{}, Existing: []ipc.ConfigPayload{}, Errors: problems(body, unread), Notices: append([]string{}, body.Notices...)}
	if cat.tooMany(len(body.Entries)) {
		return nil, "", ipc.Errorf(ipc.CodeInvalidState, "there would be more than %d configs: remove some with `xrat remove`", maxConfigs)
	}
	configs := make([]store.Config, len(body.Entries))
	for i, entry := range body.Entries {
		configs[i] = configOf(entry.Link)
	}
	added, existing, err := cat.merge(ctx, configs)
	if err != nil {
		return nil, "", fmt.Errorf("storing the configs: %w", err)
	}
	for _, c := range added {
		payload.Added = append(payload.Added, configPayload(c))
	}
	for _, c := range existing {
		payload.Existing = append(payload.Existing, configPayload(c))
	}
	return payload, fmt.Sprintf("%d added, %d there already, %d not understood", len(added), len(existing), lost(payload.Errors)+body.Unlisted), nil
}

// tooMany reports whether so many more configs would be more than there may be.
func (cat *Catalog) tooMany(more int) bool {
	cat.counting.Lock()
	defer cat.counting.Unlock()
	return cat.count+more > maxConfigs
}

// merge stores configs that the user has imported. Those that are stored already are the user's
// from now on, whatever their subscriptions do.
func (cat *Catalog) merge(ctx context.Context, configs []store.Config) (added, existing []store.Config, err error) {
	revived := false
	cat.counting.Lock()
	added, existing, err = cat.Store.MergeConfigs(ctx, configs, func(stored *store.Config, given store.Config) {
		stored.Source = store.SourceImport
		take(stored, given)
		if stored.Retired() {
			stored.RetiredAt, stored.Subscriptions = time.Time{}, nil
			revived = true
		}
	})
	if err == nil && !revived { // counting all would take longer than the import of a few
		cat.count += len(added)
		cat.Supervisor.Changed(cat.count, nil)
	}
	cat.counting.Unlock()
	if err != nil || revived {
		cat.changed(ctx)
	}
	return added, existing, err
}

func configOf(l link.Link) store.Config {
	c := store.Config{
		Link: l.URI(), Identity: l.Identity(), IdentityV: link.IdentityVersion,
		Protocol: string(l.Protocol), Address: l.Host, Port: l.Port, Network: l.Network(), Security: l.Security(),
		Source: store.SourceImport, CreatedAt: time.Now(),
	}
	c.Name = cmp.Or(l.Name, hostPort(c))
	return c
}

// hostPort returns the name of a config that comes without one.
func hostPort(c store.Config) string {
	return net.JoinHostPort(c.Address, strconv.Itoa(int(c.Port)))
}
