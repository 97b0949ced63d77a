package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon/bulktest"
	"github.com/xrat-tray/xrat/daemon/catalog"
	"github.com/xrat-tray/xrat/daemon/session"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/supervisor"
	"github.com/xrat-tray/xrat/runtime/probe"
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

// Deps is what a Daemon works with. All fields are needed.
type Deps struct {
	Settings settings.Settings
	Store    Store
	Front    supervisor.Front
	Cores    session.Cores
	// Probe makes one measurement of the way out through a core. The URL number first, counted
	// around, is asked first.
	Probe func(ctx context.Context, core probe.Proxy, first int) probe.Result
	// Tools are for tests of many configs.
	Tools bulktest.Tools
	// Fetch gets what a subscription's address serves.
	Fetch func(ctx context.Context, r subscription.Request) (subscription.Response, error)
	// Online reports whether the machine has a route to the host, or to anywhere if that is a name.
	// It sends nothing.
	Online func(host string) bool
	// Slept reports whether the machine slept between two readings of the clock; see
	// rotation.Slept.
	Slept func(before, now time.Time, tolerance time.Duration) bool
	// Handshake asks a SOCKS inbound, and HTTPInbound an HTTP one, whether it answers.
	Handshake   func(ctx context.Context, inbound probe.Proxy) error
	HTTPInbound func(ctx context.Context, inbound probe.Proxy) error
	// CheckFree returns who has an address that could not be listened on.
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
		Settings: deps.Settings, Store: deps.Store, Supervisor: remote, Fetch: deps.Fetch, Online: deps.Online, Log: deps.Log,
	})
	return &Daemon{
		supervisor: supervisor.New(supervisor.Deps{
			Settings: deps.Settings, Store: deps.Store, Front: deps.Front, Cores: deps.Cores, Catalog: configs, Remote: remote,
			Probe: deps.Probe, Online: deps.Online, Slept: deps.Slept, Handshake: deps.Handshake, HTTPInbound: deps.HTTPInbound,
			CheckFree: deps.CheckFree, Locate: deps.Locate, CapLog: deps.CapLog,
			CoreDir: deps.CoreDir, CoreLog: deps.CoreLog, Warnings: deps.Warnings, Log: deps.Log,
		}),
		remote: remote, catalog: configs, store: deps.Store, log: deps.Log,
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
