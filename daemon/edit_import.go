package daemon

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/rotation"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// importConfigs stores the good servers of a text, or of what an address serves, and
// names the bad ones.
func (s *Supervisor) importConfigs(ctx context.Context, r ipc.Request) (any, string, error) {
	var body subscription.Body
	var unread error
	switch {
	case (r.Text == "") == (r.URL == ""):
		return nil, "", ipc.Errorf(ipc.CodeInvalidState, `config_import needs either "text" or "url"`)
	case r.Text != "":
		body, unread = subscription.Parse([]byte(r.Text))
	default:
		address := strings.TrimSpace(r.URL)
		if err := checkAddress(address); err != nil {
			return nil, "", err
		}
		var f fetched
		f, unread = s.fetch(ctx, subscription.Request{URL: address})
		if ctx.Err() != nil {
			return nil, "", context.Cause(ctx)
		}
		body = f.body
	}
	payload := ipc.ConfigImportPayload{Added: []ipc.ConfigPayload{}, Existing: []ipc.ConfigPayload{}, Errors: problems(body, unread)}
	if s.snapshot.Load().status.Configs+len(body.Entries) > maxConfigs {
		return nil, "", ipc.Errorf(ipc.CodeInvalidState, "there would be more than %d configs: remove some with `xrat remove`", maxConfigs)
	}
	configs := make([]store.Config, len(body.Entries))
	for i, entry := range body.Entries {
		configs[i] = configOf(entry.Link)
	}
	revived := false
	s.counting.Lock()
	added, existing, err := s.Store.MergeConfigs(ctx, configs, func(stored *store.Config, _ store.Config) {
		// It is the user's from now on, whatever its subscriptions do.
		stored.Source = store.SourceImport
		if stored.Retired() {
			stored.RetiredAt, stored.Subscriptions = time.Time{}, nil
			revived = true
		}
	})
	if err == nil && !revived { // counting all would take longer than the import of a few
		s.tell(func() { s.countConfigs(s.st.configs + len(added)) })
	}
	s.counting.Unlock()
	if err != nil || revived {
		s.configsChanged(ctx)
	}
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

func configOf(l link.Link) store.Config {
	c := store.Config{
		Link: l.URI(), Identity: l.Identity(),
		Protocol: string(l.Protocol), Address: l.Host, Port: l.Port, Network: l.Network(), Security: l.Security(),
		Source: store.SourceImport, CreatedAt: time.Now(),
	}
	c.Name = cmp.Or(l.Name, hostPort(c))
	return c
}

// hostPort is what a config is called that has no name.
func hostPort(c store.Config) string {
	return net.JoinHostPort(c.Address, strconv.Itoa(int(c.Port)))
}

// listConfigs lists the configs that may be used or, if asked for, those that no
// subscription has any more.
func (s *Supervisor) listConfigs(ctx context.Context, retired bool) (ipc.ConfigListPayload, error) {
	payload := ipc.ConfigListPayload{Configs: []ipc.ConfigPayload{}}
	active := s.snapshot.Load().status.Rotation.ActiveConfigID
	add := func(c store.Config, h rotation.History, rank int) {
		p := configPayload(c)
		p.Rank = rank
		p.Active = active != nil && *active == c.ID
		p.Successes, p.Failures, p.LatencyMillis = h.Successes, h.Failures, h.Latency.Milliseconds()
		p.LastSuccess, p.LastFailure = timeOrNil(h.LastSuccess), timeOrNil(h.LastFailure)
		payload.Configs = append(payload.Configs, p)
	}
	if retired {
		configs, err := s.Store.Configs(ctx)
		if err != nil {
			return payload, fmt.Errorf("reading the configs: %w", err)
		}
		outcomes, err := s.Store.Outcomes(ctx)
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
	k, err := s.lookUp(ctx)
	if err != nil {
		return payload, err
	}
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
