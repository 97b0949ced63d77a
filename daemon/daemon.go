package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/bulktest"
	"github.com/xrat-tray/xrat/daemon/catalog"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/supervisor"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// partsTime bounds how long the parts beside the supervisor may take to end after it.
const partsTime = 5 * time.Second

// Store is what all parts need of the store.
type Store interface {
	supervisor.Store
	catalog.Store
	Sessions(ctx context.Context, limit int) ([]store.Session, error)
}

// Deps is what a Daemon works with: what its supervisor does, but for Catalog, Remote and the Store
// of that, which New sets, and what the other parts do. All other fields are needed.
type Deps struct {
	supervisor.Deps
	Store Store
	// Tools are for tests of many configs.
	Tools bulktest.Tools
	// Fetch gets what a subscription's address serves.
	Fetch func(ctx context.Context, r subscription.Request) (subscription.Response, error)
	// Network names the network that the machine is in; empty: it is not known.
	Network func() string
	Version string
	// Hung is called when the loop hangs; it is to end the process.
	Hung func()
}

// Daemon is the parts of the daemon. Make one with New, call Restore and then Run; the other
// methods may be called from any goroutine after Restore.
type Daemon struct {
	supervisor *supervisor.Supervisor
	remote     *supervisor.Remote
	catalog    *catalog.Catalog
	tester     *bulktest.Tester
	store      Store
	log        zerolog.Logger
}

// New wires the parts. Nothing happens yet.
func New(deps Deps) *Daemon {
	remote := supervisor.NewRemote(deps.Front, deps.Settings.Front, deps.Version)
	configs := catalog.New(catalog.Deps{
		Settings: deps.Settings, Store: deps.Store, Supervisor: remote, Fetch: deps.Fetch, Online: deps.Online, Network: deps.Network, Log: deps.Log,
	})
	deps.Deps.Store, deps.Catalog, deps.Remote = deps.Store, configs, remote
	deps.Watchdog = &watchdog{hung: deps.Hung, log: deps.Log}
	return &Daemon{
		supervisor: supervisor.New(deps.Deps),
		remote:     remote, catalog: configs, store: deps.Store, log: deps.Log,
		tester: bulktest.New(bulktest.Deps{
			Settings: deps.Settings, Catalog: configs, Supervisor: remote, Tools: deps.Tools, Handshake: deps.Handshake,
			Locate: deps.Locate, EndCore: deps.Cores.End, CoreDir: deps.CoreDir, CoreLog: deps.CoreLog, Log: deps.Log,
		}),
	}
}

// Restore takes over what an earlier daemon left; see supervisor.Supervisor.Restore.
func (d *Daemon) Restore(ctx context.Context) error {
	configs, err := d.catalog.Count(ctx)
	if err != nil {
		return err
	}
	if err := d.supervisor.Restore(ctx, configs); err != nil {
		return err
	}
	d.tester.EndOld()
	return nil
}

// Run runs all parts. It returns when a shutdown, or the end of ctx, has been carried out and every
// goroutine is gone, or does not end in time.
func (d *Daemon) Run(ctx context.Context) {
	// The other parts end with the loop, not with the signal that asks for its end.
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var parts sync.WaitGroup
	parts.Go(func() { d.catalog.Run(base) })
	parts.Go(func() {
		<-d.remote.Ended()
		cancel()
		d.tester.Close()
	})
	d.supervisor.Run(ctx)
	gone := make(chan struct{})
	go func() {
		parts.Wait()
		close(gone)
	}()
	select {
	case <-gone:
	case <-time.After(partsTime):
		d.log.Warn().Msg("a part of the daemon did not end in time")
	}
}
