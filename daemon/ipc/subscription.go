package ipc

import "time"

// SubscriptionArguments are what a subscription_add or a subscription_set changes of how a
// subscription is asked for and used. Absent: nothing; empty: what was set is taken away.
type SubscriptionArguments struct {
	// UserAgent is a text, or the name of a client.
	UserAgent *string `json:"user_agent,omitempty"`
	// Headers of the request, as "NAME=VALUE". They are secrets.
	Headers []string `json:"headers,omitzero"`
	// HWID says whether the provider is told which device asks.
	HWID *bool `json:"hwid,omitempty"`
	// CA are certificates in PEM: the provider's must be signed with one of them.
	CA *string `json:"ca,omitempty"`
	// Pin is the SHA-256 hash of the provider's public key, which is all that counts then.
	Pin *string `json:"pin,omitempty"`
	// Only and Never are rules for its servers.
	Only  []string `json:"only,omitzero"`
	Never []string `json:"never,omitzero"`
}

// SubscriptionPayload is a stored subscription without its secrets.
type SubscriptionPayload struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	// Address is the part of the URL that is no secret: "https://provider.example/…".
	Address   string    `json:"address"`
	CreatedAt time.Time `json:"created_at"`
	// IntervalSecs is the time between updates; 0: they are made only by hand.
	IntervalSecs int64 `json:"interval_secs"`
	// Private: it may name servers on this machine and in private networks.
	Private bool `json:"private"`
	// How it is asked for, and the rules for its servers: see SubscriptionArguments. Headers are
	// the names alone, and CA reports whether there are certificates.
	UserAgent string   `json:"user_agent"`
	Headers   []string `json:"headers"`
	HWID      bool     `json:"hwid"`
	CA        bool     `json:"ca"`
	Pin       string   `json:"pin"`
	Only      []string `json:"only"`
	Never     []string `json:"never"`
	// AttemptedAt is when it was last fetched, UpdatedAt when that last succeeded, and NextAt when
	// it is due.
	AttemptedAt *time.Time `json:"attempted_at"`
	UpdatedAt   *time.Time `json:"updated_at"`
	NextAt      *time.Time `json:"next_at"`
	// Failures counts the attempts since the last success. Error says what went wrong in the last
	// one.
	Failures int           `json:"failures"`
	Error    *ErrorPayload `json:"error"`
	// Configs counts the configs that it has, Retired those that it had, and Problems the entries
	// that could not be used.
	Configs  int `json:"configs"`
	Retired  int `json:"retired"`
	Problems int `json:"problems"`
	// Usage of the account; null: the provider does not say.
	Usage *UsagePayload `json:"usage"`
	// Notices are messages of the provider: the names of entries that are no servers.
	Notices []string `json:"notices"`
	// Announce is a message of the provider to all users, SupportURL where people find help, and
	// WebPageURL its page; empty: the provider does not say. Nothing opens them.
	Announce   string `json:"announce"`
	SupportURL string `json:"support_url"`
	WebPageURL string `json:"web_page_url"`
}

// ErrorPayload is something that went wrong in the background.
type ErrorPayload struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// UsagePayload is what an account at a provider has used, in bytes. Total is 0 if there is no limit
// or the provider does not say.
type UsagePayload struct {
	Upload    uint64     `json:"upload"`
	Download  uint64     `json:"download"`
	Total     uint64     `json:"total"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// SubscriptionListPayload answers subscription_list and, with those that were changed,
// subscription_set; by id.
type SubscriptionListPayload struct {
	Subscriptions []SubscriptionPayload `json:"subscriptions"`
}

// RefreshPayload is the result of one update of a subscription.
type RefreshPayload struct {
	SubscriptionID int64  `json:"subscription_id"`
	Name           string `json:"name"`
	// OK is false if nothing usable came. Error then says why, and nothing was changed.
	OK    bool          `json:"ok"`
	Error *ErrorPayload `json:"error"`
	// Via says how the answer came, "proxy", "direct" or, if one was read again, "kept"; empty:
	// none came.
	Via string `json:"via"`
	// Added counts new configs, Revived those that had been retired, Retired those that are gone
	// from the subscription, and Kept the others.
	Added   int `json:"added"`
	Revived int `json:"revived"`
	Retired int `json:"retired"`
	Kept    int `json:"kept"`
	// Problems are entries that could not be used as they were. Unlisted counts those beyond them.
	Problems []ImportErrorPayload `json:"problems"`
	Unlisted int                  `json:"unlisted"`
}

// SubscriptionAddPayload answers subscription_add.
type SubscriptionAddPayload struct {
	Subscription SubscriptionPayload `json:"subscription"`
	// Existed reports whether the address was there before.
	Existed bool `json:"existed"`
	// Refresh is the result of the update that comes with adding; null: there was none.
	Refresh *RefreshPayload `json:"refresh"`
}

// SubscriptionUpdatePayload answers subscription_update and subscription_reparse.
type SubscriptionUpdatePayload struct {
	Results []RefreshPayload `json:"results"`
}

// SubscriptionRemovePayload answers subscription_remove.
type SubscriptionRemovePayload struct {
	Removed int `json:"removed"`
	// ConfigsRemoved counts the configs that went with them, ConfigsKept those that stay, because
	// that was asked for or because they are in use.
	ConfigsRemoved int `json:"configs_removed"`
	ConfigsKept    int `json:"configs_kept"`
}
