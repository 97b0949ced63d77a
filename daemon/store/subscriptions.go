package store

import (
	"context"
	"fmt"
	"time"
)

// Subscription is an address at which a provider offers servers. URL, Headers and the two
// validators are secrets (a token in the address lets anybody use the account, and the validators
// may identify it): they are in the database and in the export, but neither in the JSON nor in any
// printed form of a Subscription.
type Subscription struct {
	ID        int64     `json:"id"`
	Name      string    `json:"name"`
	Named     bool      `json:"named,omitempty"` // the name was given by the user
	URL       string    `json:"-"`
	CreatedAt time.Time `json:"created_at"`
	Private   bool      `json:"private,omitempty"` // it may name servers in private networks

	// How the user wants the provider to be asked. UserAgent is a text or the name of a client, CA
	// are the only certificates, in PEM, that the provider's may be signed with, and Pin is the
	// hash of its public key; empty: nothing special.
	UserAgent string   `json:"user_agent,omitempty"`
	Headers   []Header `json:"-"`
	HWID      bool     `json:"hwid,omitempty"` // the provider is told which device asks
	CA        string   `json:"ca,omitempty"`
	Pin       string   `json:"pin,omitempty"`
	// Only and Never are rules for its servers; see package rules.
	Only  []string `json:"only,omitempty"`
	Never []string `json:"never,omitempty"`

	// IntervalSecs is how often the user wants it updated, ProviderSecs how often the provider
	// does; 0: not said.
	IntervalSecs int64 `json:"interval_secs,omitempty"`
	ProviderSecs int64 `json:"provider_secs,omitempty"`

	// AttemptedAt is when it was last asked for, UpdatedAt when that last succeeded.
	AttemptedAt time.Time `json:"attempted_at,omitzero"`
	UpdatedAt   time.Time `json:"updated_at,omitzero"`
	// Failures counts the attempts since then. ErrorCode and Error say what went wrong at the last
	// one; they hold no secret.
	Failures  int    `json:"failures,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
	Error     string `json:"error,omitempty"`
	// Doubted counts the answers in a row, since DoubtedSince, that had so few servers that they
	// were not believed.
	Doubted      int       `json:"doubted,omitempty"`
	DoubtedSince time.Time `json:"doubted_since,omitzero"`

	// What the answer was worth the last time that there was one.
	ETag         string   `json:"-"`
	LastModified string   `json:"-"`
	Problems     int      `json:"problems,omitempty"` // entries that could not be used
	Notices      []string `json:"notices,omitempty"`  // of the provider
	Announce     string   `json:"announce,omitempty"` // likewise, to all users
	SupportURL   string   `json:"support_url,omitempty"`
	WebPageURL   string   `json:"web_page_url,omitempty"`
	Usage        *Usage   `json:"usage,omitempty"` // nil: not said
}

// Header is a header of the request to a provider. The value is a secret.
type Header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Format prints the header without its value, whatever the verb.
func (h Header) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "%s: …", h.Name) }

// Usage is what an account at a provider has used of its Total, in bytes; 0: not said. A zero
// ExpiresAt: it does not expire, or that was not said.
type Usage struct {
	Upload    uint64    `json:"upload"`
	Download  uint64    `json:"download"`
	Total     uint64    `json:"total"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
}

// Format prints the subscription without its address, whatever the verb.
func (s Subscription) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "subscription %d %q", s.ID, s.Name)
}

// subscriptionRecord is a Subscription as the database has it, with its secrets.
type subscriptionRecord struct {
	Subscription
	SecretURL          string   `json:"url"`
	SecretETag         string   `json:"etag,omitempty"`
	SecretLastModified string   `json:"last_modified,omitempty"`
	SecretHeaders      []Header `json:"headers,omitempty"`
}

func newSubscriptionRecord(s Subscription) subscriptionRecord {
	return subscriptionRecord{s, s.URL, s.ETag, s.LastModified, s.Headers}
}

func (r subscriptionRecord) subscription() Subscription {
	r.URL, r.ETag, r.LastModified, r.Headers = r.SecretURL, r.SecretETag, r.SecretLastModified, r.SecretHeaders
	return r.Subscription
}

// AddSubscription stores a new subscription and returns it with its id; an ID in the argument is
// ignored. Ids start at 1 and are never used again.
func (s *Store) AddSubscription(ctx context.Context, subscription Subscription) (Subscription, error) {
	err := s.update(ctx, func(c *change) error {
		c.dirty = true
		c.meta.LastSubscription++
		subscription.ID = c.meta.LastSubscription
		return c.putSubscription(subscription)
	})
	if err != nil {
		return Subscription{}, fmt.Errorf("adding a subscription: %w", err)
	}
	// A database that was made anew counts from where its export ended.
	s.dropBody(subscription.ID)
	return subscription, nil
}

func (c *change) putSubscription(s Subscription) error {
	value, err := encode(newSubscriptionRecord(s))
	if err != nil {
		return err
	}
	return c.put(idKey(prefixSubscription, s.ID), value)
}

func getSubscription(r reader, id int64) (Subscription, error) {
	value, err := r.get(idKey(prefixSubscription, id))
	if err != nil {
		return Subscription{}, err
	}
	var rec subscriptionRecord
	if err := decode(value, &rec); err != nil {
		return Subscription{}, err
	}
	return rec.subscription(), nil
}

// Subscriptions returns all subscriptions in order of their ids.
func (s *Store) Subscriptions(ctx context.Context) ([]Subscription, error) {
	var all []Subscription
	err := s.view(ctx, func(r reader) error {
		all = nil
		return r.scan([]byte{prefixSubscription}, false, func(_, value []byte) error {
			var rec subscriptionRecord
			if err := decode(value, &rec); err != nil {
				return err
			}
			all = append(all, rec.subscription())
			return nil
		})
	})
	if err != nil {
		return nil, fmt.Errorf("listing subscriptions: %w", err)
	}
	return all, nil
}

// UpdateSubscription stores what edit makes of the subscription, and returns it. It returns
// ErrNotFound if there is none. Edit must not call the store, and may be called twice; it cannot
// change the id.
func (s *Store) UpdateSubscription(ctx context.Context, id int64, edit func(*Subscription)) (subscription Subscription, err error) {
	err = s.update(ctx, func(c *change) (err error) {
		subscription, err = getSubscription(c, id)
		if err != nil {
			return err
		}
		edit(&subscription)
		subscription.ID = id
		c.dirty = true
		return c.putSubscription(subscription)
	})
	if err != nil {
		return Subscription{}, fmt.Errorf("updating subscription %d: %w", id, err)
	}
	return subscription, nil
}

// RemoveSubscription removes a subscription with the body that is kept of it, and reports whether
// there was one. What the configs say of it stays.
func (s *Store) RemoveSubscription(ctx context.Context, id int64) (removed bool, err error) {
	err = s.update(ctx, func(c *change) (err error) {
		c.dirty = true
		removed, err = c.remove(idKey(prefixSubscription, id))
		return err
	})
	if err != nil {
		return false, fmt.Errorf("removing subscription %d: %w", id, err)
	}
	s.dropBody(id)
	return removed, nil
}
