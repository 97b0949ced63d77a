package daemon

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/bulktest"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/front"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/subscription"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// Core is one running core process.
type Core interface {
	Identity() xray.Identity
	Inbound() xray.Inbound
	// Done is closed when the process has exited; ExitReason then says why.
	Done() <-chan struct{}
	ExitReason() string
	// Killed tells, after Done, whether a signal ended it.
	Killed() bool
	// Health tells why the inbound does not serve, or that somebody shares its port.
	Health(ctx context.Context) error
	Stop(ctx context.Context, grace time.Duration) error
}

// Cores starts core processes and takes over those of a daemon that is gone.
type Cores interface {
	Start(ctx context.Context, spec xray.Spec, started func(xray.Identity, xray.Inbound) error) (Core, error)
	Adopt(ctx context.Context, id xray.Identity, in xray.Inbound) (Core, error)
	End(ctx context.Context, id xray.Identity, grace time.Duration) error
	FindByNonce(nonce string) (xray.Identity, error)
}

// Front is the pair of stable listeners that applications use.
type Front interface {
	Open(ctx context.Context) error
	Close() error
	SetTarget(t *front.Target)
	SetStandby(t *front.Target)
	Cut(id int64, since time.Time) int
	Drain(ctx context.Context, id int64) (cut int)
	Counters(id int64) front.Counters
	Forget(id int64)
	Signals() <-chan front.Signal
	Addresses() (socks, http string)
}

// Store keeps what must outlive the process.
type Store interface {
	MergeConfigs(ctx context.Context, configs []store.Config, merge func(stored *store.Config, given store.Config)) (added, existing []store.Config, err error)
	Configs(ctx context.Context) ([]store.Config, error)
	Config(ctx context.Context, id int64) (store.Config, error)
	UpdateConfigs(ctx context.Context, ids []int64, edit func(*store.Config)) (updated []store.Config, err error)
	RemoveConfigs(ctx context.Context, ids []int64) (removed int, err error)
	Subscriptions(ctx context.Context) ([]store.Subscription, error)
	AddSubscription(ctx context.Context, s store.Subscription) (store.Subscription, error)
	UpdateSubscription(ctx context.Context, id int64, edit func(*store.Subscription)) (store.Subscription, error)
	RemoveSubscription(ctx context.Context, id int64) (removed bool, err error)
	CreateSession(ctx context.Context, s store.Session) (store.Session, error)
	UpdateSession(ctx context.Context, id int64, change func(*store.Session)) (store.Session, error)
	RemoveSession(ctx context.Context, id int64) error
	Sessions(ctx context.Context, limit int) ([]store.Session, error)
	LiveSessions(ctx context.Context) ([]store.Session, error)
	Desired(ctx context.Context) (store.Desired, error)
	SetDesired(ctx context.Context, d store.Desired) error
	Outcomes(ctx context.Context) (map[int64]store.Outcome, error)
	PutOutcome(ctx context.Context, o store.Outcome) error
}

// Deps is what a Supervisor works with. All fields are needed.
type Deps struct {
	Settings settings.Settings
	Store    Store
	Front    Front
	Cores    Cores
	// Probe makes one measurement of the way out through a core. The URL number
	// first, counted around, is asked first.
	Probe func(ctx context.Context, core probe.Proxy, first int) probe.Result
	// Measuring is for tests of many configs.
	Measuring bulktest.Tools
	// Fetch gets what a subscription's address serves.
	Fetch func(ctx context.Context, r subscription.Request) (subscription.Response, error)
	// Online tells whether the machine has a route to the host, or to anywhere if
	// that is a name. It sends nothing.
	Online func(host string) bool
	// Handshake asks a SOCKS inbound, and HTTPInbound an HTTP one, whether it answers.
	Handshake   func(ctx context.Context, inbound probe.Proxy) error
	HTTPInbound func(ctx context.Context, inbound probe.Proxy) error
	// CheckFree tells who has an address that could not be listened on.
	CheckFree func(address string) error
	// Locate returns the path of the core's executable.
	Locate func() (string, error)
	// CapLog bounds the file that the cores write to; it is called now and then.
	CapLog func()
	// CoreDir is the working directory of cores, CoreLog the file they write to.
	CoreDir, CoreLog string
	// Warnings are shown in every status.
	Warnings []string
	Version  string
	Log      zerolog.Logger
}
