package daemon

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// provider serves subscriptions.
type provider struct {
	body     string
	response subscription.Response // the rest of the answer
	err      error
	proxyErr error // through the proxy only
	asked    []subscription.Request
	hold     chan struct{} // not nil: no answer before it is closed
}

// offer changes what the provider serves.
func (w *world) offer(change func(*provider)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(&w.provider)
}

// requests returns what the provider was asked, and forgets it.
func (w *world) requests() []subscription.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	asked := w.provider.asked
	w.provider.asked = nil
	return asked
}

func (w *world) fetch(ctx context.Context, r subscription.Request) (subscription.Response, error) {
	w.mu.Lock()
	w.provider.asked = append(w.provider.asked, r)
	p := w.provider
	w.mu.Unlock()
	if p.hold != nil {
		select {
		case <-p.hold:
		case <-ctx.Done():
			return subscription.Response{}, &subscription.Error{Code: subscription.CodeCanceled, Message: "stopped"}
		}
	}
	switch {
	case r.Proxy != nil && p.proxyErr != nil:
		return subscription.Response{}, p.proxyErr
	case p.err != nil:
		return subscription.Response{}, p.err
	case r.ETag != "" && r.ETag == p.response.ETag:
		return subscription.Response{NotModified: true, ETag: r.ETag}, nil
	}
	p.response.Body = []byte(p.body)
	return p.response, nil
}

// body lists servers by their names, each at a host of that name.
func body(names ...string) string {
	var b strings.Builder
	for _, name := range names {
		b.WriteString("socks://" + name + ":1080#" + name + "\n")
	}
	return b.String()
}

func (m *memory) MergeConfigs(_ context.Context, configs []store.Config, merge func(stored *store.Config, given store.Config)) (added, existing []store.Config, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return nil, nil, m.fail
	}
	for _, given := range configs {
		var found *store.Config
		last := int64(0)
		for id, c := range m.configs {
			if last = max(last, id); c.Identity == given.Identity {
				found = &c
			}
		}
		if found == nil {
			given.ID = last + 1
			m.configs[given.ID] = given
			added = append(added, given)
			continue
		}
		merge(found, given)
		m.configs[found.ID] = *found
		existing = append(existing, *found)
	}
	return added, existing, nil
}

func (m *memory) UpdateConfigs(_ context.Context, ids []int64, edit func(*store.Config)) (updated []store.Config, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, id := range ids {
		if c, there := m.configs[id]; there && m.fail == nil {
			c.Subscriptions = slices.Clone(c.Subscriptions)
			edit(&c)
			m.configs[id] = c
			updated = append(updated, c)
		}
	}
	return updated, m.fail
}

func (m *memory) Subscriptions(context.Context) ([]store.Subscription, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.SortedFunc(maps.Values(m.subs), func(a, b store.Subscription) int { return cmp.Compare(a.ID, b.ID) }), nil
}

func (m *memory) AddSubscription(_ context.Context, s store.Subscription) (store.Subscription, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		return s, m.fail
	}
	if m.subs == nil {
		m.subs = map[int64]store.Subscription{}
	}
	m.lastSub++
	s.ID = m.lastSub
	m.subs[s.ID] = s
	return s, nil
}

func (m *memory) UpdateSubscription(_ context.Context, id int64, edit func(*store.Subscription)) (store.Subscription, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, there := m.subs[id]
	switch {
	case !there:
		return s, store.ErrNotFound
	case m.fail != nil:
		return s, m.fail
	}
	edit(&s)
	m.subs[id] = s
	return s, nil
}

func (m *memory) RemoveSubscription(_ context.Context, id int64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_, there := m.subs[id]
	delete(m.subs, id)
	return there, m.fail
}
