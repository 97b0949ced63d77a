// Package storetest is for tests only: a store in memory that tests can look into and break, and
// the contract that it and the real one keep. Nothing but tests imports it.
package storetest

import (
	"context"

	"github.com/xrat-tray/xrat/daemon/store"
)

// Store is what the daemon uses of a store. Package store says what each method promises.
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
	CreateSession(ctx context.Context, s store.Session) (store.Session, error)
	UpdateSession(ctx context.Context, id int64, edit func(*store.Session)) (store.Session, error)
	RemoveSession(ctx context.Context, id int64) error
	Sessions(ctx context.Context, limit int) ([]store.Session, error)
	LiveSessions(ctx context.Context) ([]store.Session, error)
	Desired(ctx context.Context) (store.Desired, error)
	SetDesired(ctx context.Context, d store.Desired) error
	Outcomes(ctx context.Context) (map[int64]store.Outcome, error)
	UpdateOutcomes(ctx context.Context, ids []int64, edit func(*store.Outcome)) error
}

var (
	_ Store = (*store.Store)(nil)
	_ Store = (*Memory)(nil)
)
