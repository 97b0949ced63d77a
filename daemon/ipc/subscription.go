package ipc

import "time"

// SubscriptionPayload is a stored subscription without its secrets.
type SubscriptionPayload struct {
	ID   int64  `json:"id"`
	Name string `json:"name"`
	// Address is as much of the URL as is no secret: "https://provider.example/…".
	Address   string    `json:"address"`
	CreatedAt time.Time `json:"created_at"`
	// IntervalSecs is how often it is updated; 0: only by hand.
	IntervalSecs int64 `json:"interval_secs"`
	// AttemptedAt is when it was last asked for, UpdatedAt when that last succeeded,
	// NextAt when it is due next.
	AttemptedAt *time.Time `json:"attempted_at"`
	UpdatedAt   *time.Time `json:"updated_at"`
	NextAt      *time.Time `json:"next_at"`
	// Failures counts the attempts since the last success; Error says what went
	// wrong at the last one.
	Failures int           `json:"failures"`
	Error    *ErrorPayload `json:"error"`
	// Configs counts those that it has, Retired those that it had, Problems the
	// entries that could not be used.
	Configs  int `json:"configs"`
	Retired  int `json:"retired"`
	Problems int `json:"problems"`
	// Usage of the account, if the provider tells.
	Usage *UsagePayload `json:"usage"`
	// Notices are what the provider wrote into the names of entries that are no
	// servers.
	Notices []string `json:"notices"`
}

// ErrorPayload is something that went wrong in the background.
type ErrorPayload struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// UsagePayload is what an account at a provider has used, in bytes; total is 0 if it
// is not limited or not told.
type UsagePayload struct {
	Upload    uint64     `json:"upload"`
	Download  uint64     `json:"download"`
	Total     uint64     `json:"total"`
	ExpiresAt *time.Time `json:"expires_at"`
}

// SubscriptionListPayload answers subscription_list, by id.
type SubscriptionListPayload struct {
	Subscriptions []SubscriptionPayload `json:"subscriptions"`
}

// RefreshPayload tells what an update of a subscription came to.
type RefreshPayload struct {
	SubscriptionID int64  `json:"subscription_id"`
	Name           string `json:"name"`
	// OK is false if nothing came that could be used; everything is then as it was,
	// and Error says why.
	OK    bool          `json:"ok"`
	Error *ErrorPayload `json:"error"`
	// Via is "proxy" or "direct": how the answer came; empty if none did.
	Via string `json:"via"`
	// Added are new, Revived had been retired, Retired have vanished, Kept are the rest.
	Added   int `json:"added"`
	Revived int `json:"revived"`
	Retired int `json:"retired"`
	Kept    int `json:"kept"`
	// Problems are the entries that could not be used as they were; Unlisted counts
	// more of them.
	Problems []ImportErrorPayload `json:"problems"`
	Unlisted int                  `json:"unlisted"`
}

// SubscriptionAddPayload answers subscription_add.
type SubscriptionAddPayload struct {
	Subscription SubscriptionPayload `json:"subscription"`
	// Existed tells that the address was there already.
	Existed bool `json:"existed"`
	// Refresh is what the first update came to; null if there was none.
	Refresh *RefreshPayload `json:"refresh"`
}

// SubscriptionUpdatePayload answers subscription_update.
type SubscriptionUpdatePayload struct {
	Results []RefreshPayload `json:"results"`
}

// SubscriptionRemovePayload answers subscription_remove.
type SubscriptionRemovePayload struct {
	Removed int `json:"removed"`
	// ConfigsRemoved counts those that went with them, ConfigsKept those that stay:
	// because that was asked for, or they are in use.
	ConfigsRemoved int `json:"configs_removed"`
	ConfigsKept    int `json:"configs_kept"`
}
