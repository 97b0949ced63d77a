package ipc

import (
	"context"
	"time"
)

// Client asks the daemon, one method for each kind of request. It holds no connection between two
// calls and may be used from many goroutines.
//
// The error of every method is ErrNotRunning when no daemon listens, an *Error when the daemon
// refused, ErrNoAnswer or ErrNoReply when it said nothing, and the context's when that ended. A
// message that a method returns is a sentence for the user, without a capital and a full stop.
type Client struct {
	// Socket is the path of the daemon's socket.
	Socket string

	// answerTime replaces the constant of this name in tests.
	answerTime time.Duration
}

// answerTime bounds how long a client waits for the daemon to take a request and then, if the
// answer needs no work, for the answer. A stopped daemon still accepts connections: only the
// missing answer shows it.
const answerTime = 3 * time.Second

// needsWork reports whether the daemon has to try servers, ask providers or use the disk for a
// request. How long that takes is up to the settings and the network, so the caller's context alone
// bounds it. Everything else is answered from memory, at once or not at all.
func needsWork(kind Kind) bool {
	switch kind {
	case KindDaemonPing, KindStatus, KindRuntimeStatus, KindProxyStart, KindProxyStop, KindProxyStatus:
		return false
	}
	return true
}

// call makes a request and decodes the payload of its reply.
func call[P any](ctx context.Context, c *Client, r Request) (payload P, message string, err error) {
	message, err = c.do(ctx, r, &payload)
	return payload, message, err
}

// Ping asks whether the daemon is there and ready; it is not ready while it ends.
func (c *Client) Ping(ctx context.Context) (PingPayload, error) {
	payload, _, err := call[PingPayload](ctx, c, Request{Type: KindDaemonPing})
	return payload, err
}

// Shutdown has the daemon stop the core and end. The answer comes before the daemon's end.
func (c *Client) Shutdown(ctx context.Context) (ShutdownPayload, error) {
	payload, _, err := call[ShutdownPayload](ctx, c, Request{Type: KindDaemonShutdown})
	return payload, err
}

// Leave has the daemon end and what serves applications go on for the next daemon. One that cannot
// do that stops the core as well. The answer comes before the daemon's end.
func (c *Client) Leave(ctx context.Context) (ShutdownPayload, error) {
	payload, _, err := call[ShutdownPayload](ctx, c, Request{Type: KindDaemonShutdown, Keep: true})
	return payload, err
}

// Status returns the whole state.
func (c *Client) Status(ctx context.Context) (StatusPayload, error) {
	payload, _, err := call[StatusPayload](ctx, c, Request{Type: KindStatus})
	return payload, err
}

// RuntimeStatus returns the part of the state that version 1 of the protocol began with.
func (c *Client) RuntimeStatus(ctx context.Context) (RuntimeStatusPayload, error) {
	payload, _, err := call[RuntimeStatusPayload](ctx, c, Request{Type: KindRuntimeStatus})
	return payload, err
}

// ConnectOptions say what to connect to, and how.
type ConnectOptions struct {
	// ConfigID is the config to connect to; 0: the one used last, or else the best.
	ConfigID int64
	// Unchecked connects even if the server gives no answer.
	Unchecked bool
}

// Connect connects, or moves to another config without a gap.
func (c *Client) Connect(ctx context.Context, o ConnectOptions) (payload ConnectPayload, message string, err error) {
	return call[ConnectPayload](ctx, c, Request{Type: KindRuntimeConnect, ConfigID: optional(o.ConfigID), Unchecked: o.Unchecked})
}

// Rotate moves to the candidate, or with 0 to the config used least recently. If that does not
// work, the session stays as it is.
func (c *Client) Rotate(ctx context.Context, candidateID int64) (payload ReplacePayload, message string, err error) {
	return call[ReplacePayload](ctx, c, Request{Type: KindRuntimeReplace, Trigger: TriggerManual, CandidateID: optional(candidateID)})
}

// Disconnect stops the session, and has the daemon stay disconnected.
func (c *Client) Disconnect(ctx context.Context) (payload DisconnectPayload, message string, err error) {
	return call[DisconnectPayload](ctx, c, Request{Type: KindRuntimeDisconnect})
}

// StartRotation switches automatic rotation on.
func (c *Client) StartRotation(ctx context.Context) (payload ProxySwitchPayload, message string, err error) {
	return call[ProxySwitchPayload](ctx, c, Request{Type: KindProxyStart})
}

// StopRotation switches automatic rotation off. The session stays.
func (c *Client) StopRotation(ctx context.Context) (payload ProxySwitchPayload, message string, err error) {
	return call[ProxySwitchPayload](ctx, c, Request{Type: KindProxyStop})
}

// ProxyStatus returns what automatic rotation does.
func (c *Client) ProxyStatus(ctx context.Context) (ProxyStatusPayload, error) {
	payload, _, err := call[ProxyStatusPayload](ctx, c, Request{Type: KindProxyStatus})
	return payload, err
}

// Configs lists the configs that may be used, by id.
func (c *Client) Configs(ctx context.Context) ([]ConfigPayload, error) {
	payload, _, err := call[ConfigListPayload](ctx, c, Request{Type: KindConfigList})
	return payload.Configs, err
}

// RetiredConfigs lists the configs that no subscription has any more, by id.
func (c *Client) RetiredConfigs(ctx context.Context) ([]ConfigPayload, error) {
	payload, _, err := call[ConfigListPayload](ctx, c, Request{Type: KindConfigList, Retired: true})
	return payload.Configs, err
}

// Import adds the servers of a text: share links, one a line, or what a subscription serves. A text
// that is too long for the one line of a request (1 MiB in JSON) is refused.
func (c *Client) Import(ctx context.Context, text string) (ConfigImportPayload, error) {
	payload, _, err := call[ConfigImportPayload](ctx, c, Request{Type: KindConfigImport, Text: text})
	return payload, err
}

// ImportURL has the daemon fetch an address once and add the servers that it serves.
func (c *Client) ImportURL(ctx context.Context, url string) (ConfigImportPayload, error) {
	payload, _, err := call[ConfigImportPayload](ctx, c, Request{Type: KindConfigImport, URL: url})
	return payload, err
}

// ConfigChange is what UpdateConfigs changes. A field with its zero value changes nothing.
type ConfigChange struct {
	// Name is for one config only.
	Name                        string
	Pinned, Excluded, Favourite *bool
	AddTags, RemoveTags         []string
}

// UpdateConfigs changes configs, all or none, and returns them as they are then.
func (c *Client) UpdateConfigs(ctx context.Context, ids []int64, change ConfigChange) ([]ConfigPayload, error) {
	payload, _, err := call[ConfigUpdatePayload](ctx, c, Request{
		Type: KindConfigUpdate, IDs: ids, Name: change.Name,
		Pinned: change.Pinned, Excluded: change.Excluded, Favourite: change.Favourite,
		AddTags: change.AddTags, RemoveTags: change.RemoveTags,
	})
	return payload.Configs, err
}

// RemoveConfigs removes configs and their history.
func (c *Client) RemoveConfigs(ctx context.Context, ids []int64) (payload ConfigRemovePayload, message string, err error) {
	return call[ConfigRemovePayload](ctx, c, Request{Type: KindConfigRemove, IDs: ids})
}

// Sessions lists at most limit sessions, the newest first; 0 is the daemon's own limit.
func (c *Client) Sessions(ctx context.Context, limit int) ([]SessionRecordPayload, error) {
	payload, _, err := call[SessionListPayload](ctx, c, Request{Type: KindSessionList, Limit: limit})
	return payload.Sessions, err
}

// Subscriptions lists the subscriptions, by id.
func (c *Client) Subscriptions(ctx context.Context) ([]SubscriptionPayload, error) {
	payload, _, err := call[SubscriptionListPayload](ctx, c, Request{Type: KindSubscriptionList})
	return payload.Subscriptions, err
}

// SubscriptionOptions say how to keep a subscription.
type SubscriptionOptions struct {
	// Name to give to it; empty: as its provider calls it.
	Name string
	// Interval between two updates, in whole seconds; 0: as its provider says, or else the
	// settings.
	Interval time.Duration
	// NoUpdate adds it without fetching it now.
	NoUpdate bool
	// Private says whether it may name servers on this machine and in private networks; nil leaves
	// that as it is. One that comes from there itself may.
	Private *bool

	SubscriptionArguments
}

// AddSubscription adds the address of a subscription and, as a rule, fetches it. That this did not
// work is not an error: the payload's Refresh says so. One that is there already gets the options.
func (c *Client) AddSubscription(ctx context.Context, url string, o SubscriptionOptions) (payload SubscriptionAddPayload, message string, err error) {
	return call[SubscriptionAddPayload](ctx, c, Request{
		Type: KindSubscriptionAdd, URL: url, Name: o.Name, IntervalSecs: int64(o.Interval / time.Second), NoUpdate: o.NoUpdate, Private: o.Private,
		SubscriptionArguments: o.SubscriptionArguments,
	})
}

// SetSubscriptions changes subscriptions, all or none, and returns them as they are then. NoUpdate
// has no meaning for it.
func (c *Client) SetSubscriptions(ctx context.Context, ids []int64, o SubscriptionOptions) ([]SubscriptionPayload, error) {
	payload, _, err := call[SubscriptionListPayload](ctx, c, Request{
		Type: KindSubscriptionSet, IDs: ids, Name: o.Name, IntervalSecs: int64(o.Interval / time.Second), Private: o.Private,
		SubscriptionArguments: o.SubscriptionArguments,
	})
	return payload.Subscriptions, err
}

// ReparseSubscriptions reads again what is kept of the last answers, without ids of all. That one
// cannot be read is not an error: its result says so.
func (c *Client) ReparseSubscriptions(ctx context.Context, ids []int64) ([]RefreshPayload, error) {
	payload, _, err := call[SubscriptionUpdatePayload](ctx, c, Request{Type: KindSubscriptionReparse, IDs: ids})
	return payload.Results, err
}

// UpdateSubscriptions fetches subscriptions now, without ids all. That one could not be updated is
// not an error: its result says so.
func (c *Client) UpdateSubscriptions(ctx context.Context, ids []int64, accept bool) ([]RefreshPayload, error) {
	payload, _, err := call[SubscriptionUpdatePayload](ctx, c, Request{Type: KindSubscriptionUpdate, IDs: ids, Accept: accept})
	return payload.Results, err
}

// RemoveSubscriptions removes subscriptions, and the configs that only they have unless keepConfigs
// says otherwise.
func (c *Client) RemoveSubscriptions(ctx context.Context, ids []int64, keepConfigs bool) (payload SubscriptionRemovePayload, message string, err error) {
	return call[SubscriptionRemovePayload](ctx, c, Request{Type: KindSubscriptionRemove, IDs: ids, KeepConfigs: keepConfigs})
}

// optional is an id on the wire, where 0 is left out.
func optional(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}
