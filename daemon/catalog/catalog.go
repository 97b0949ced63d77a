// Package catalog keeps the configs: importing and editing them, the subscriptions that bring them
// and their refresh, the history of how they did, and which of them are candidates. It answers the
// requests config_* and subscription_*.
//
// It does not decide when to rotate (daemon/supervisor), in what order candidates come
// (daemon/rotation), how a link is read (runtime/link) or a body (runtime/subscription), and it
// does not hold a config in memory: the store does.
//
// Begin with handle.go for the requests, candidates.go for what a rotation asks, history.go for
// what it learns, and schedule.go for what happens by itself.
package catalog

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sync/singleflight"

	"github.com/xrat-tray/xrat/daemon/rules"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// Store is what the catalogue needs of the store.
type Store interface {
	MergeConfigs(ctx context.Context, configs []store.Config, merge func(stored *store.Config, given store.Config)) (added, existing []store.Config, err error)
	Configs(ctx context.Context) ([]store.Config, error)
	Config(ctx context.Context, id int64) (store.Config, error)
	UpdateConfigs(ctx context.Context, ids []int64, edit func(*store.Config)) (updated []store.Config, err error)
	RenewConfigs(ctx context.Context, ids []int64, edit func(*store.Config)) (renewed []store.Config, err error)
	RemoveConfigs(ctx context.Context, ids []int64) (removed int, err error)
	Subscriptions(ctx context.Context) ([]store.Subscription, error)
	AddSubscription(ctx context.Context, s store.Subscription) (store.Subscription, error)
	UpdateSubscription(ctx context.Context, id int64, edit func(*store.Subscription)) (store.Subscription, error)
	RemoveSubscription(ctx context.Context, id int64) (removed bool, err error)
	KeepBody(ctx context.Context, id int64, body []byte) error
	Body(ctx context.Context, id int64) (body []byte, err error)
	DeviceID(ctx context.Context) (device string, err error)
	Outcomes(ctx context.Context) (map[int64]store.Outcome, error)
	UpdateOutcomes(ctx context.Context, ids []int64, edit func(*store.Outcome)) error
}

// Supervisor is what the catalogue needs of whoever runs the sessions. All of it may be called from
// any goroutine.
type Supervisor interface {
	// Active returns the config in use as of the last published state; the id is 0 if there is
	// none.
	Active() (id int64, name string)
	// InUse returns the ids of the configs that a session has, or is about to have. It waits for
	// the loop, and fails when ctx or the loop ends.
	InUse(ctx context.Context) (map[int64]bool, error)
	// Proxy returns the way through the front while that is of use, else nil, and whether there is
	// about to be one.
	Proxy() (proxy *subscription.Proxy, soon bool)
	// Stopping returns why nothing new may begin; nil: it may.
	Stopping() error
	// Changed reports that the stored configs have changed: count of them may be used now. eligible
	// has those that may be chosen; nil: none has lost that.
	Changed(count int, eligible map[int64]bool)
}

// Deps is what a Catalog works with. All fields are needed.
type Deps struct {
	Settings   settings.Settings
	Store      Store
	Supervisor Supervisor
	// Fetch gets what a subscription's address serves.
	Fetch func(ctx context.Context, r subscription.Request) (subscription.Response, error)
	// Online reports whether the machine has a route to the host, or to anywhere if that is a name.
	// It sends nothing.
	Online func(host string) bool
	// Network names the network that the machine is in; empty: it is not known.
	Network func() string
	Log     zerolog.Logger
}

// Catalog keeps the configs. Its methods may be called from any goroutine; Run at most once.
type Catalog struct {
	Deps
	startedAt time.Time
	rules     rules.Set // of the settings

	// subscribing is held while subscriptions, and what they say of configs, are changed, and not
	// while anything is fetched.
	subscribing sync.Mutex
	refreshing  singleflight.Group // by the id of the subscription
	// replan has one slot: the subscriptions have changed, so the next refresh is to be planned
	// anew.
	replan chan struct{}
	urgent chan struct{} // has one slot: nothing works, and the subscriptions may have what does

	// counting is held from counting the configs until the supervisor is told, so that it learns of
	// counts in their order.
	counting sync.Mutex
	count    int // of the configs that may be used
}

// storeTime bounds what is read and written on behalf of the supervisor.
const storeTime = 5 * time.Second

// New returns a catalogue over what the store has. It reads nothing yet.
func New(deps Deps) *Catalog {
	return &Catalog{
		Deps: deps, startedAt: time.Now(), rules: deps.Settings.Rotation.Rules(),
		replan: make(chan struct{}, 1),
		urgent: make(chan struct{}, 1),
	}
}

// Count reads how many configs may be used, and makes sure that the subscriptions can be read. It
// also brings what an earlier version has stored up to date. It is called once, before anything
// else.
func (cat *Catalog) Count(ctx context.Context) (int, error) {
	configs, err := cat.Store.Configs(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the configs: %w", err)
	}
	if _, err := cat.Store.Subscriptions(ctx); err != nil {
		return 0, fmt.Errorf("reading the subscriptions: %w", err)
	}
	if err := cat.renewIdentities(ctx, configs); err != nil {
		cat.Log.Error().Err(err).Msg("looking at configs of an earlier version") // the next start does it
	}
	cat.counting.Lock()
	defer cat.counting.Unlock()
	cat.count = usable(configs)
	return cat.count, nil
}

// changed counts the configs anew and tells the supervisor. A change that failed halfway counts,
// too.
func (cat *Catalog) changed(ctx context.Context) {
	cat.counting.Lock()
	defer cat.counting.Unlock()
	configs, err := cat.Store.Configs(ctx)
	if err != nil {
		cat.Log.Error().Err(err).Msg("counting the configs")
		return
	}
	ruling, err := cat.ruling(ctx)
	if err != nil {
		cat.Log.Error().Err(err).Msg("reading the rules")
		return
	}
	cat.count = usable(configs)
	eligible := make(map[int64]bool, cat.count)
	for _, c := range configs {
		eligible[c.ID] = !c.Retired() && !c.Excluded && ruling.keepsAway(c) == ""
	}
	cat.Supervisor.Changed(cat.count, eligible)
}

// usable counts the configs that are not retired.
func usable(configs []store.Config) (n int) {
	for _, c := range configs {
		if !c.Retired() {
			n++
		}
	}
	return n
}
