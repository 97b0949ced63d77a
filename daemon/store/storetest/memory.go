package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/xrat-tray/xrat/daemon/store"
)

// Records are all that a store keeps, by their ids.
type Records struct {
	Configs       map[int64]store.Config
	Subscriptions map[int64]store.Subscription
	Sessions      map[int64]store.Session
	Outcomes      map[int64]store.Outcome // by the id of their config
	Desired       store.Desired
}

func (r Records) clone() Records {
	return Records{
		Configs:       clones(r.Configs, cloneConfig),
		Subscriptions: clones(r.Subscriptions, cloneSubscription),
		Sessions:      clones(r.Sessions, cloneSession),
		Outcomes:      clones(r.Outcomes, func(o store.Outcome) store.Outcome { return o }),
		Desired:       r.Desired,
	}
}

// Memory is a Store in memory. All methods may be called from many goroutines. It keeps every
// session, where the real store forgets the oldest of very many.
type Memory struct {
	mu      sync.Mutex
	records Records
	last    struct{ config, subscription, session int64 } // the highest ids so far
	hook    func(ctx context.Context, method string) error
	fail    error
	written int // outcomes
	bodies  map[int64][]byte

	// Old is what Stale returns; to be set while nobody uses the store.
	Old error
}

// New returns a store with a config for each of the hosts, named like it and with ids from 1.
func New(hosts ...string) *Memory {
	m := &Memory{}
	m.Edit(func(r *Records) {
		for i, host := range hosts {
			id := int64(i + 1)
			link := "vless://5783a3e7-e373-51cd-8642-c83782b807c5@" + host + ":443?encryption=none#" + host
			r.Configs[id] = store.Config{ID: id, Name: host, Identity: host, Link: link}
		}
	})
	return m
}

// Look returns a copy of all records.
func (m *Memory) Look() Records {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records.clone()
}

// Edit lets edit change any record, as if the store had always had them. It must not call m.
func (m *Memory) Edit(edit func(*Records)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r := m.records.clone()
	edit(&r)
	m.records = r.clone()
	m.last.config = max(m.last.config, highest(r.Configs))
	m.last.subscription = max(m.last.subscription, highest(r.Subscriptions))
	m.last.session = max(m.last.session, highest(r.Sessions))
}

// Fail makes every change fail with err from now on, or succeed again if it is nil.
func (m *Memory) Fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fail = err
}

// Before has hook called at the beginning of each call of a method of Store, with the method's
// name. It may take its time, as a slow disk does, and what it returns is what the method fails
// with. Nil ends that.
func (m *Memory) Before(hook func(ctx context.Context, method string) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.hook = hook
}

// Written counts the outcomes that were stored so far.
func (m *Memory) Written() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.written
}

// read calls f with the records, which it must not change. What it takes from them it clones.
func (m *Memory) read(ctx context.Context, method string, f func(r *Records) error) error {
	return m.call(ctx, method, func() error { return f(&m.records) })
}

// change calls f with the records unless changes are to fail. If f fails it has changed nothing.
func (m *Memory) change(ctx context.Context, method string, f func(r *Records) error) error {
	return m.call(ctx, method, func() error {
		if m.fail != nil {
			return m.fail
		}
		return f(&m.records)
	})
}

func (m *Memory) call(ctx context.Context, method string, f func() error) error {
	m.mu.Lock()
	hook := m.hook
	m.mu.Unlock()
	if hook != nil {
		if err := hook(ctx, method); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return f()
}

// MergeConfigs implements Store.
func (m *Memory) MergeConfigs(ctx context.Context, configs []store.Config, merge func(stored *store.Config, given store.Config)) (added, existing []store.Config, err error) {
	err = m.change(ctx, "MergeConfigs", func(r *Records) error {
		for _, given := range configs {
			if given.Identity == "" {
				return errors.New("a config without an identity")
			}
		}
		ids := map[string]int64{}
		for id, c := range r.Configs {
			ids[c.Identity] = id
		}
		for _, given := range configs {
			id, known := ids[given.Identity]
			if known {
				existing = append(existing, r.editConfig(id, func(stored *store.Config) { merge(stored, cloneConfig(given)) }))
				continue
			}
			m.last.config++
			given.ID = m.last.config
			r.Configs[given.ID], ids[given.Identity] = cloneConfig(given), given.ID
			added = append(added, given)
		}
		return nil
	})
	return added, existing, err
}

// editConfig returns the config that edit has changed.
func (r *Records) editConfig(id int64, edit func(*store.Config)) store.Config {
	stored := r.Configs[id]
	c := cloneConfig(stored)
	edit(&c)
	c.ID, c.Identity = stored.ID, stored.Identity
	r.Configs[id] = cloneConfig(c)
	return c
}

// Configs implements Store.
func (m *Memory) Configs(ctx context.Context) (all []store.Config, err error) {
	err = m.read(ctx, "Configs", func(r *Records) error {
		all = sorted(clones(r.Configs, cloneConfig))
		return nil
	})
	return all, err
}

// Config implements Store.
func (m *Memory) Config(ctx context.Context, id int64) (c store.Config, err error) {
	err = m.read(ctx, "Config", func(r *Records) error {
		stored, there := r.Configs[id]
		if !there {
			return store.ErrNotFound
		}
		c = cloneConfig(stored)
		return nil
	})
	return c, err
}

// UpdateConfigs implements Store.
func (m *Memory) UpdateConfigs(ctx context.Context, ids []int64, edit func(*store.Config)) (updated []store.Config, err error) {
	err = m.change(ctx, "UpdateConfigs", func(r *Records) error {
		for _, id := range ids {
			if _, there := r.Configs[id]; there {
				updated = append(updated, r.editConfig(id, edit))
			}
		}
		return nil
	})
	return updated, err
}

// Stale returns Old.
func (m *Memory) Stale() error { return m.Old }

// RenewConfigs implements Store.
func (m *Memory) RenewConfigs(ctx context.Context, ids []int64, edit func(*store.Config)) (renewed []store.Config, err error) {
	err = m.change(ctx, "RenewConfigs", func(r *Records) error {
		for _, id := range ids {
			stored, there := r.Configs[id]
			if !there {
				continue
			}
			c := cloneConfig(stored)
			edit(&c)
			c.ID = id
			if r.taken(c) {
				continue
			}
			r.Configs[id] = cloneConfig(c)
			renewed = append(renewed, c)
		}
		return nil
	})
	return renewed, err
}

// taken reports whether another config has the identity of c.
func (r *Records) taken(c store.Config) bool {
	for id, other := range r.Configs {
		if other.Identity == c.Identity && id != c.ID {
			return true
		}
	}
	return false
}

// RemoveConfigs implements Store.
func (m *Memory) RemoveConfigs(ctx context.Context, ids []int64) (removed int, err error) {
	err = m.change(ctx, "RemoveConfigs", func(r *Records) error {
		before := len(r.Configs)
		for _, id := range ids {
			delete(r.Configs, id)
			delete(r.Outcomes, id)
		}
		removed = before - len(r.Configs)
		return nil
	})
	return removed, err
}

// Subscriptions implements Store.
func (m *Memory) Subscriptions(ctx context.Context) (all []store.Subscription, err error) {
	err = m.read(ctx, "Subscriptions", func(r *Records) error {
		all = sorted(clones(r.Subscriptions, cloneSubscription))
		return nil
	})
	return all, err
}

// AddSubscription implements Store.
func (m *Memory) AddSubscription(ctx context.Context, s store.Subscription) (added store.Subscription, err error) {
	err = m.change(ctx, "AddSubscription", func(r *Records) error {
		m.last.subscription++
		added, added.ID = s, m.last.subscription
		r.Subscriptions[added.ID] = cloneSubscription(added)
		return nil
	})
	return added, err
}

// UpdateSubscription implements Store.
func (m *Memory) UpdateSubscription(ctx context.Context, id int64, edit func(*store.Subscription)) (updated store.Subscription, err error) {
	err = m.change(ctx, "UpdateSubscription", func(r *Records) error {
		stored, there := r.Subscriptions[id]
		if !there {
			return store.ErrNotFound
		}
		updated = cloneSubscription(stored)
		edit(&updated)
		updated.ID = id
		r.Subscriptions[id] = cloneSubscription(updated)
		return nil
	})
	return updated, err
}

// RemoveSubscription implements Store.
func (m *Memory) RemoveSubscription(ctx context.Context, id int64) (removed bool, err error) {
	err = m.change(ctx, "RemoveSubscription", func(r *Records) error {
		_, removed = r.Subscriptions[id]
		delete(r.Subscriptions, id)
		delete(m.bodies, id)
		return nil
	})
	return removed, err
}

// KeepBody implements Store.
func (m *Memory) KeepBody(ctx context.Context, id int64, body []byte) error {
	return m.change(ctx, "KeepBody", func(*Records) error {
		if len(body) > store.MaxBody {
			return errors.New("the body is too large")
		}
		if m.bodies == nil {
			m.bodies = make(map[int64][]byte)
		}
		m.bodies[id] = slices.Clone(body)
		return nil
	})
}

// Body implements Store.
func (m *Memory) Body(ctx context.Context, id int64) (body []byte, err error) {
	err = m.read(ctx, "Body", func(*Records) error {
		kept, there := m.bodies[id]
		if !there {
			return store.ErrNotFound
		}
		body = slices.Clone(kept)
		return nil
	})
	return body, err
}

// DeviceID implements Store.
func (m *Memory) DeviceID(ctx context.Context) (string, error) {
	err := m.change(ctx, "DeviceID", func(*Records) error { return nil })
	return "0123456789abcdef0123456789abcdef", err
}

// CreateSession implements Store.
func (m *Memory) CreateSession(ctx context.Context, s store.Session) (created store.Session, err error) {
	err = m.change(ctx, "CreateSession", func(r *Records) error {
		m.last.session++
		created, created.ID = s, m.last.session
		r.Sessions[created.ID] = cloneSession(created)
		return nil
	})
	return created, err
}

// UpdateSession implements Store.
func (m *Memory) UpdateSession(ctx context.Context, id int64, edit func(*store.Session)) (updated store.Session, err error) {
	err = m.change(ctx, "UpdateSession", func(r *Records) error {
		stored, there := r.Sessions[id]
		if !there {
			return store.ErrNotFound
		}
		updated = cloneSession(stored)
		edit(&updated)
		updated.ID = id
		r.Sessions[id] = cloneSession(updated)
		return nil
	})
	return updated, err
}

// RemoveSession implements Store.
func (m *Memory) RemoveSession(ctx context.Context, id int64) error {
	return m.change(ctx, "RemoveSession", func(r *Records) error {
		delete(r.Sessions, id)
		return nil
	})
}

// Sessions implements Store.
func (m *Memory) Sessions(ctx context.Context, limit int) ([]store.Session, error) {
	all, err := m.sessions(ctx, "Sessions")
	if limit > 0 {
		all = all[:min(limit, len(all))]
	}
	return all, err
}

// LiveSessions implements Store.
func (m *Memory) LiveSessions(ctx context.Context) ([]store.Session, error) {
	all, err := m.sessions(ctx, "LiveSessions")
	return slices.DeleteFunc(all, func(s store.Session) bool { return !s.Status.Live() }), err
}

// sessions returns all sessions, the newest first.
func (m *Memory) sessions(ctx context.Context, method string) (all []store.Session, err error) {
	err = m.read(ctx, method, func(r *Records) error {
		all = sorted(clones(r.Sessions, cloneSession))
		slices.Reverse(all)
		return nil
	})
	return all, err
}

// Desired implements Store.
func (m *Memory) Desired(ctx context.Context) (d store.Desired, err error) {
	err = m.read(ctx, "Desired", func(r *Records) error {
		d = r.Desired
		return nil
	})
	return d, err
}

// SetDesired implements Store.
func (m *Memory) SetDesired(ctx context.Context, d store.Desired) error {
	return m.change(ctx, "SetDesired", func(r *Records) error {
		r.Desired = d
		return nil
	})
}

// Outcomes implements Store.
func (m *Memory) Outcomes(ctx context.Context) (all map[int64]store.Outcome, err error) {
	err = m.read(ctx, "Outcomes", func(r *Records) error {
		all = maps.Clone(r.Outcomes)
		return nil
	})
	return all, err
}

// UpdateOutcomes implements Store.
func (m *Memory) UpdateOutcomes(ctx context.Context, ids []int64, edit func(*store.Outcome)) error {
	return m.change(ctx, "UpdateOutcomes", func(r *Records) error {
		edited := map[int64]bool{}
		for _, id := range ids {
			if edited[id] {
				continue
			}
			edited[id] = true
			o := r.Outcomes[id]
			o.ConfigID = id
			edit(&o)
			o.ConfigID = id
			r.Outcomes[id] = o
			m.written++
		}
		return nil
	})
}

func clones[V any](of map[int64]V, clone func(V) V) map[int64]V {
	all := make(map[int64]V, len(of))
	for id, v := range of {
		all[id] = clone(v)
	}
	return all
}

// sorted returns the values in the order of their ids, nil if there are none.
func sorted[V any](of map[int64]V) []V {
	var all []V
	for _, id := range slices.Sorted(maps.Keys(of)) {
		all = append(all, of[id])
	}
	return all
}

func highest[V any](of map[int64]V) (id int64) {
	for n := range of {
		id = max(id, n)
	}
	return id
}

func cloneConfig(c store.Config) store.Config {
	c.Tags, c.Subscriptions = cloneSlice(c.Tags), cloneSlice(c.Subscriptions)
	return c
}

func cloneSubscription(s store.Subscription) store.Subscription {
	s.Notices, s.Headers = cloneSlice(s.Notices), cloneSlice(s.Headers)
	s.Only, s.Never = cloneSlice(s.Only), cloneSlice(s.Never)
	if s.Usage != nil {
		s.Usage = new(*s.Usage)
	}
	return s
}

func cloneSession(s store.Session) store.Session {
	s.Inbounds = cloneSlice(s.Inbounds)
	if s.Rotation != nil {
		r := *s.Rotation
		r.Checks, r.Considered = slices.Clone(r.Checks), slices.Clone(r.Considered)
		s.Rotation = &r
	}
	return s
}

// cloneSlice makes nothing of an empty slice, as the database does.
func cloneSlice[S ~[]E, E any](s S) S { return append(S(nil), s...) }
