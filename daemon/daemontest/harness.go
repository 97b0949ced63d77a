package daemontest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/xrat-tray/xrat/daemon"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/store/storetest"
	"github.com/xrat-tray/xrat/daemon/supervisor"
	"github.com/xrat-tray/xrat/runtime/front"
)

// Kill ends the cores that serve a host, for a cause.
func (h *Harness) Kill(host, cause string) {
	for _, c := range h.Running() {
		if c.Host == host {
			c.Exit(cause)
		}
	}
}

// Harness is a supervisor among fakes, inside a bubble of fake time.
type Harness struct {
	T *testing.T
	*World
	*storetest.Memory
	Daemon *daemon.Daemon
	Stop   func() // ends Run and waits for it
}

// Deps returns what a daemon in the world works with.
func (h *Harness) Deps(config settings.Settings) daemon.Deps {
	return daemon.Deps{
		Deps: supervisor.Deps{
			Settings: config, Front: h.World, FrontOpen: h.World.Greet(), Cores: h.World, Probe: h.World.Probe, Work: h.World.Work, Online: h.World.Online, Slept: h.World.Slept,
			Own:       func(context.Context, string) bool { return false },
			Handshake: h.World.Handshake, HTTPInbound: h.World.Handshake, Locate: h.World.Locate,
			CheckFree: func(string) error { return nil }, CapLog: func() {}, Log: zerolog.Nop(),
		},
		Network: h.World.Network, Store: h.Memory, Tools: h.World.Tools(), Fetch: h.World.Fetch, Version: "test",
		Hung: func() { h.T.Error("the loop hangs") },
	}
}

// Bubble runs f with a supervisor whose configs are the hosts, with ids from 1.
func Bubble(t *testing.T, hosts string, adjust func(*settings.Settings), f func(h *Harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := NewHarness(t, hosts)
		h.Boot(adjust)
		f(h)
		h.Stop()
		if cores := h.Running(); len(cores) > 0 {
			t.Errorf("%d cores are left at the end", len(cores))
		}
		for _, s := range h.Records() {
			if s.Status.Live() {
				t.Errorf("session %d is still %s at the end", s.ID, s.Status)
			}
		}
		for id := range h.served {
			if n := len(slices.DeleteFunc(slices.Clone(h.forgotten), func(f int64) bool { return f != id })); n != 1 {
				t.Errorf("the front was told %d times to forget session %d", n, id)
			}
		}
	})
}

// NewHarness returns a harness whose configs are the hosts, with ids from 1. Nothing runs yet.
func NewHarness(t *testing.T, hosts string) *Harness {
	names := strings.Fields(hosts)
	return &Harness{T: t, World: NewWorld(names...), Memory: storetest.New(names...)}
}

// Boot starts a supervisor over the world and the store as they are.
func (h *Harness) Boot(adjust func(*settings.Settings)) {
	h.T.Helper()
	config := settings.Default()
	config.Rotation.Standby, config.Health.WorkURLs = false, nil // they have tests of their own
	if adjust != nil {
		adjust(&config)
	}
	h.Daemon = daemon.New(h.Deps(config))
	ctx, cancel := context.WithCancel(context.Background())
	if err := h.Daemon.Restore(ctx); err != nil {
		h.T.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Daemon.Run(ctx)
	}()
	h.Stop = func() {
		cancel()
		<-done
	}
}

// Do makes a request.
func (h *Harness) Do(r ipc.Request) (any, error) {
	payload, _, err := h.Daemon.Handle(context.Background(), r)
	return payload, err
}

// Connect connects to a config, or ends the test.
func (h *Harness) Connect(n int64) ipc.ConnectPayload {
	h.T.Helper()
	payload, err := h.Do(ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: new(int64(n))})
	if err != nil {
		h.T.Fatalf("connect %d: %v", n, err)
	}
	return payload.(ipc.ConnectPayload)
}

// Settle connects to the first config and gives it the time in which a standby gets ready.
func (h *Harness) Settle() ipc.ConnectPayload {
	h.T.Helper()
	payload := h.Connect(1)
	time.Sleep(20 * time.Second)
	return payload
}

// Rotate rotates by hand; nil: to whichever is next.
func (h *Harness) Rotate(candidate *int64) (ipc.ReplacePayload, error) {
	payload, err := h.Do(ipc.Request{Type: ipc.KindRuntimeReplace, Trigger: ipc.TriggerManual, CandidateID: candidate})
	p, _ := payload.(ipc.ReplacePayload)
	return p, err
}

// Status returns the state as the daemon last published it.
func (h *Harness) Status() ipc.StatusPayload {
	payload, _ := h.Do(ipc.Request{Type: ipc.KindStatus})
	return payload.(ipc.StatusPayload)
}

// State waits until nothing moves and returns the state.
func (h *Harness) State() ipc.StatusPayload {
	synctest.Wait()
	return h.Status()
}

// Want reports a state, or a target of the front, that is not the wanted one once nothing moves.
func (h *Harness) Want(state ipc.State, host string) {
	h.T.Helper()
	if got := h.State(); got.State != state || h.TargetHost() != host {
		h.T.Errorf("state %s (%s), target %q; want %s, %q", got.State, got.Message, h.TargetHost(), state, host)
	}
}

// Session returns the record of a session.
func (h *Harness) Session(id int64) store.Session { return h.Look().Sessions[id] }

// Records returns the records of sessions, the newest first.
func (h *Harness) Records() []store.Session {
	all, _ := h.Sessions(context.Background(), 0)
	return all
}

// Desire is what the user has asked an earlier daemon for.
func (h *Harness) Desire(d store.Desired) { h.Edit(func(r *storetest.Records) { r.Desired = d }) }

// SlowOutcomes makes reading the outcomes take a time that the test sets, in nanoseconds.
func (h *Harness) SlowOutcomes() *atomic.Int64 {
	wait := new(atomic.Int64)
	h.Before(func(_ context.Context, method string) error {
		if method == "Outcomes" {
			time.Sleep(time.Duration(wait.Load()))
		}
		return nil
	})
	return wait
}

// Hosts names n hosts, from h1 on.
func Hosts(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "h%d ", i+1)
	}
	return b.String()
}

// Testing starts a test of the hosts' configs, all if there are none.
func (h *Harness) Testing(ctx context.Context, arguments ipc.TestArguments, ids ...int64) (<-chan ipc.TestEventPayload, error) {
	return h.Daemon.Test(ctx, ipc.Request{Type: ipc.KindConfigTest, IDs: ids, TestArguments: arguments})
}

// Found reads a test to its end: the results by host, and the summary.
func (h *Harness) Found(events <-chan ipc.TestEventPayload) (map[string]ipc.TestResultPayload, ipc.TestSummaryPayload) {
	h.T.Helper()
	results := map[string]ipc.TestResultPayload{}
	var summary *ipc.TestSummaryPayload
	first := true
	for e := range events {
		switch {
		case first && e.Total == 0:
			h.T.Error("the first event has no total")
		case summary != nil:
			h.T.Errorf("after the summary: %+v", e)
		case e.Result != nil:
			if _, twice := results[e.Result.ConfigName]; twice {
				h.T.Errorf("%s has two results", e.Result.ConfigName)
			}
			results[e.Result.ConfigName] = *e.Result
		}
		summary, first = e.Summary, false
	}
	if summary == nil {
		h.T.Fatal("there is no summary")
	}
	return results, *summary
}

// Tested runs a test to its end and returns the results by name.
func (h *Harness) Tested(arguments ipc.TestArguments, ids ...int64) (map[string]ipc.TestResultPayload, ipc.TestSummaryPayload) {
	h.T.Helper()
	events, err := h.Testing(context.Background(), arguments, ids...)
	if err != nil {
		h.T.Fatal(err)
	}
	return h.Found(events)
}

// Outcome returns what is known of the config of a host.
func (h *Harness) Outcome(host string) store.Outcome {
	for id, c := range h.Look().Configs {
		if c.Name == host {
			return h.Look().Outcomes[id]
		}
	}
	h.T.Fatalf("no config is called %s", host)
	return store.Outcome{}
}

// WithStandby switches the standby on.
func WithStandby(c *settings.Settings) { c.Rotation.Standby = true }

// WaitRotation waits for a rotation and returns how long it took.
func (h *Harness) WaitRotation(limit time.Duration) time.Duration {
	h.T.Helper()
	begin := time.Now()
	rotatedAt := func() (at time.Time) {
		if last := h.State().LastRotation; last != nil {
			at = last.At
		}
		return at
	}
	for before := rotatedAt(); rotatedAt().Equal(before); {
		if time.Sleep(10 * time.Millisecond); time.Since(begin) > limit {
			h.T.Fatalf("no rotation within %v: %+v", limit, h.Status())
		}
	}
	return time.Since(begin)
}

// Rescued is the front's hint that another server has answered where the active one was silent.
func (h *Harness) Rescued() {
	h.Hints <- front.Signal{TargetID: h.Status().Session.ID, Kind: front.Rescued}
}

// Add adds the provider's subscription and updates it.
func (h *Harness) Add(r ipc.Request) ipc.SubscriptionAddPayload {
	h.T.Helper()
	r.Type, r.URL = ipc.KindSubscriptionAdd, ProviderAddress
	payload, err := h.Do(r)
	if err != nil {
		h.T.Fatal(err)
	}
	return payload.(ipc.SubscriptionAddPayload)
}

// Update updates all subscriptions and returns what the first came to.
func (h *Harness) Update() ipc.RefreshPayload {
	h.T.Helper()
	return h.update(false)
}

// Accept is Update that believes what comes.
func (h *Harness) Accept() ipc.RefreshPayload {
	h.T.Helper()
	return h.update(true)
}

func (h *Harness) update(accept bool) ipc.RefreshPayload {
	h.T.Helper()
	payload, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionUpdate, Accept: accept})
	if err != nil {
		h.T.Fatal(err)
	}
	return payload.(ipc.SubscriptionUpdatePayload).Results[0]
}

// List returns the names of the configs with their ids: "a1 b2", retired ones in brackets.
func (h *Harness) List() string {
	h.T.Helper()
	all, err := h.Memory.Configs(context.Background())
	if err != nil {
		h.T.Fatal(err)
	}
	var names []string
	for _, c := range all {
		name := fmt.Sprint(c.Name, c.ID)
		if c.Retired() {
			name = "(" + name + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// WantList reports a list of configs that is not the wanted one.
func (h *Harness) WantList(want string) {
	h.T.Helper()
	if got := h.List(); got != want {
		h.T.Errorf("the configs are %q, want %q", got, want)
	}
}

// Serve has the provider offer servers with these names.
func (h *Harness) Serve(names ...string) {
	h.Offer(func(p *Provider) { p.Body, p.Err = Body(names...), nil })
}
