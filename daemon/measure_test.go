package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/bulktest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/probe"
	"github.com/xrat-tray/xrat/runtime/xray"
)

// A host's name tells how it behaves in a test: "refusing" and "unreachable" as
// a server, "dead" through it, "bad" for the core, and "fatal" is the end of the
// core that goes out through it.

// fakeBatch is a fakeCore with several ways out.
type fakeBatch struct {
	*fakeCore
	hosts []string
}

func (b *fakeBatch) Inbound(i int) xray.Inbound {
	return xray.Inbound{Address: b.in.Address, User: strconv.Itoa(i), Password: "p"}
}

func (b *fakeBatch) Refused(i int) error {
	if strings.HasPrefix(b.hosts[i], "bad") {
		return errors.New("the core refuses it: for a reason")
	}
	return nil
}

// measuring fakes what tests work with; batches count among the world's cores.
func (w *world) measuring() bulktest.Tools {
	var mu sync.Mutex
	batches := map[string]*fakeBatch{}
	wait := func(ctx context.Context, d time.Duration) error {
		select {
		case <-time.After(d):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	way := func(p probe.Proxy) (*fakeBatch, string) {
		mu.Lock()
		defer mu.Unlock()
		i, _ := strconv.Atoi(p.User)
		return batches[p.Address], batches[p.Address].hosts[i]
	}
	return bulktest.Tools{
		StartBatch: func(ctx context.Context, spec xray.BatchSpec) (bulktest.Batch, error) {
			w.mu.Lock()
			w.lastPID++
			w.started++
			b := &fakeBatch{fakeCore: &fakeCore{
				w: w, host: "batch", done: make(chan struct{}),
				id: xray.Identity{PID: w.lastPID}, in: xray.Inbound{Address: fmt.Sprintf("core-%d", w.lastPID)},
			}}
			for _, l := range spec.Links {
				b.hosts = append(b.hosts, l.Host)
			}
			w.cores[b.id.PID] = b.fakeCore
			w.maxCores = max(w.maxCores, len(w.cores))
			w.mu.Unlock()
			mu.Lock()
			batches[b.in.Address] = b
			mu.Unlock()
			if len(spec.Links) > 200 {
				return nil, errors.New("too many")
			}
			if err := wait(ctx, 100*time.Millisecond); err != nil {
				b.exit("canceled")
				return nil, err
			}
			return b, nil
		},
		FindNonces: func(func(string) bool) ([]xray.Identity, error) { return nil, nil },
		Connect: func(ctx context.Context, address string) error {
			switch {
			case strings.HasPrefix(address, "refusing"):
				return errors.New("connection refused")
			case strings.HasPrefix(address, "unreachable"):
				<-ctx.Done()
				return ctx.Err()
			}
			return wait(ctx, 20*time.Millisecond)
		},
		Get: func(ctx context.Context, p probe.Proxy, _ []string, timeout time.Duration) probe.Result {
			b, host := way(p)
			took := 50 * time.Millisecond
			switch {
			case strings.HasPrefix(host, "dead"):
				took = timeout
			case strings.HasPrefix(host, "fatal"):
				took = 10 * time.Millisecond
			}
			if err := wait(ctx, took); err != nil {
				return probe.Result{Class: probe.ClassCanceled, Err: err}
			}
			switch {
			case strings.HasPrefix(host, "dead"):
				return probe.Result{Class: probe.ClassTimeout, Err: errors.New("no answer in time")}
			case strings.HasPrefix(host, "fatal"):
				b.exit("exit status 2: panic")
				return probe.Result{Class: probe.ClassClosed, Err: errors.New("closed")}
			}
			return probe.Result{OK: true, Class: probe.ClassOK, Latency: took}
		},
		Fetch: func(ctx context.Context, p probe.Proxy, _ string, most int64, _, limit time.Duration) probe.Download {
			_, host := way(p)
			if err := wait(ctx, time.Second); err != nil {
				return probe.Download{Class: probe.ClassCanceled, Err: err}
			}
			if strings.HasPrefix(host, "slow") {
				return probe.Download{Class: probe.ClassTimeout, Err: errors.New("sent nothing in time")}
			}
			return probe.Download{OK: true, Bytes: most / 2, Took: limit}
		},
	}
}

// testing starts a test of the hosts' configs, all if there are none.
func (h *harness) testing(ctx context.Context, arguments ipc.TestArguments, ids ...int64) (<-chan ipc.TestEventPayload, error) {
	return h.s.Test(ctx, ipc.Request{Type: ipc.KindConfigTest, IDs: ids, TestArguments: arguments})
}

// found reads a test to its end: the results by host, and the summary.
func (h *harness) found(events <-chan ipc.TestEventPayload) (map[string]ipc.TestResultPayload, ipc.TestSummaryPayload) {
	h.t.Helper()
	results := map[string]ipc.TestResultPayload{}
	var summary *ipc.TestSummaryPayload
	first := true
	for e := range events {
		switch {
		case first && e.Total == 0:
			h.t.Error("the first event has no total")
		case summary != nil:
			h.t.Errorf("after the summary: %+v", e)
		case e.Result != nil:
			if _, twice := results[e.Result.ConfigName]; twice {
				h.t.Errorf("%s has two results", e.Result.ConfigName)
			}
			results[e.Result.ConfigName] = *e.Result
		}
		summary, first = e.Summary, false
	}
	if summary == nil {
		h.t.Fatal("there is no summary")
	}
	return results, *summary
}

func (h *harness) tested(arguments ipc.TestArguments, ids ...int64) (map[string]ipc.TestResultPayload, ipc.TestSummaryPayload) {
	h.t.Helper()
	events, err := h.testing(context.Background(), arguments, ids...)
	if err != nil {
		h.t.Fatal(err)
	}
	return h.found(events)
}

func codes(results map[string]ipc.TestResultPayload) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(results)) {
		all = append(all, name+" "+results[name].Code)
	}
	return strings.Join(all, ", ")
}

// outcome returns what is known of the config of a host.
func (h *harness) outcome(host string) store.Outcome {
	h.memory.mu.Lock()
	defer h.memory.mu.Unlock()
	for id, c := range h.configs {
		if c.Name == host {
			return h.outcomes[id]
		}
	}
	h.t.Fatalf("no config is called %s", host)
	return store.Outcome{}
}

func TestConfigTest(t *testing.T) {
	bubble(t, "good dead refusing unreachable bad", nil, func(h *harness) {
		h.memory.configs[6] = store.Config{ID: 6, Name: "broken", Link: "vless://nonsense"}
		h.memory.configs[7] = store.Config{ID: 7, Name: "left-out", Excluded: true}
		results, summary := h.tested(ipc.TestArguments{})
		want := "bad core_refuses, broken bad_link, dead timeout, good ok, refusing unreachable, unreachable unreachable"
		if got := codes(results); got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if g := results["good"]; !g.OK || g.TCPMillis != 20 || g.DelayMillis != 50 || g.ConfigID != 1 {
			t.Errorf("good: %+v", g)
		}
		for name, r := range results {
			if r.OK == (r.Message != "") {
				t.Errorf("%s: %+v", name, r)
			}
		}
		if summary.OK != 1 || summary.Failed != 5 || summary.Canceled != 0 || summary.Unblamed {
			t.Errorf("%+v", summary)
		}
		for _, name := range []string{"bad", "broken", "dead", "refusing", "unreachable"} {
			if k := h.outcome(name); k.Failures != 1 || k.CooldownUntil.IsZero() {
				t.Errorf("%s: %+v", name, k)
			}
		}
		if k := h.outcome("good"); k.Successes != 1 || k.LatencyMS != 50 {
			t.Errorf("good: %+v", k)
		}
		// One that is excluded is measured when it is asked for.
		if results, _ := h.tested(ipc.TestArguments{}, 7, 1, 7); codes(results) != "good ok, left-out bad_link" {
			t.Error(codes(results))
		}
	})
}

// While nothing works the network may be at fault.
func TestConfigTestBlamesNobody(t *testing.T) {
	bubble(t, "dead refusing unreachable", nil, func(h *harness) {
		_, summary := h.tested(ipc.TestArguments{})
		if summary.Failed != 3 || !summary.Unblamed || len(h.outcomes) != 0 {
			t.Errorf("%+v, %v", summary, h.outcomes)
		}
	})
}

// A connection alone says little good of a server, and all that is bad.
func TestConfigTestTCPOnly(t *testing.T) {
	bubble(t, "good dead refusing", nil, func(h *harness) {
		h.locateErr = errors.New("there is no core")
		h.memory.configs[4] = store.Config{ID: 4, Name: "datagrams", Link: "hysteria2://secret@h.example:443#d"}
		results, _ := h.tested(ipc.TestArguments{TCPOnly: true})
		if got := codes(results); got != "datagrams no_tcp, dead ok, good ok, refusing unreachable" {
			t.Error(got)
		}
		if h.outcome("good").Successes != 0 || h.outcome("refusing").Failures != 1 || h.outcome("datagrams").Failures != 0 || h.starts() != 0 {
			t.Errorf("%v", h.outcomes)
		}
		if _, err := h.testing(context.Background(), ipc.TestArguments{}); err == nil {
			t.Error("without a core something was measured")
		}
	})
}

// A server that ends the core spoils nobody else's result.
func TestConfigTestFatal(t *testing.T) {
	var hosts []string
	for i := range 40 {
		hosts = append(hosts, fmt.Sprintf("good-%d", i))
	}
	hosts = append(hosts, "fatal-1", "fatal-2")
	bubble(t, strings.Join(hosts, " "), nil, func(h *harness) {
		results, summary := h.tested(ipc.TestArguments{})
		if summary.OK != 40 || summary.Failed != 2 {
			t.Errorf("%+v: %s", summary, codes(results))
		}
		r := results["fatal-1"]
		if r.Code != ipc.TestCodeCoreFailed || !strings.Contains(r.Message, "panic") || h.outcome("fatal-1").Failures != 0 {
			t.Errorf("%+v", r)
		}
		if h.maxCores != 1 {
			t.Errorf("%d cores at a time", h.maxCores)
		}
	})
}

// Many configs take a bounded time, also when half of them are dead, and one
// core at a time.
func TestConfigTestOfThousands(t *testing.T) {
	hosts := func(names ...string) string {
		var all []string
		for i := range 1000 {
			all = append(all, fmt.Sprintf("%s-%d", names[i%len(names)], i))
		}
		return strings.Join(all, " ")
	}
	for _, test := range []struct {
		hosts string
		ok    int
		limit time.Duration
	}{
		{hosts("good"), 1000, 3 * time.Second},
		{hosts("good", "refusing"), 500, 3 * time.Second},
		{hosts("good", "unreachable"), 500, 20 * time.Second}, // 500 at 128 at a time
		{hosts("good", "dead"), 500, 40 * time.Second},        // 500 at 64 at a time
	} {
		bubble(t, test.hosts, nil, func(h *harness) {
			began := time.Now()
			_, summary := h.tested(ipc.TestArguments{})
			took := time.Since(began)
			t.Logf("%s…: %v, %d cores", test.hosts[:20], took, h.starts())
			if summary.OK != test.ok || summary.Failed != 1000-test.ok || took > test.limit {
				t.Errorf("%+v in %v", summary, took)
			}
			if h.maxCores != 1 {
				t.Errorf("%d cores at a time", h.maxCores)
			}
		})
	}
}

func TestConfigTestSpeed(t *testing.T) {
	bubble(t, "good slow dead", nil, func(h *harness) {
		results, _ := h.tested(ipc.TestArguments{SpeedURL: "http://site/"})
		if g := results["good"]; !g.OK || g.SpeedBytes != 10<<20/2/5 || g.DelayMillis != 50 {
			t.Errorf("%+v", g)
		}
		if s := results["slow"]; !s.OK || s.SpeedBytes != 0 || s.SpeedMessage == "" {
			t.Errorf("%+v", s)
		}
	})
}

// What was measured before the end of the client is kept, and the core is gone.
func TestConfigTestCanceled(t *testing.T) {
	bubble(t, "good dead-1 dead-2 unreachable", nil, func(h *harness) {
		ctx, cancel := context.WithCancel(context.Background())
		events, err := h.testing(ctx, ipc.TestArguments{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.testing(context.Background(), ipc.TestArguments{}); ipc.CodeOf(err) != ipc.CodeBusy {
			t.Errorf("a second test: %v", err)
		}
		time.Sleep(time.Second)
		began := time.Now()
		cancel()
		// The next one waits for the end of this one.
		if _, summary := h.tested(ipc.TestArguments{}, 1); summary.OK != 1 {
			t.Errorf("after it: %+v", summary)
		}
		results, summary := h.found(events)
		if codes(results) != "good ok" || summary.OK != 1 || summary.Canceled != 3 || summary.Failed != 0 {
			t.Errorf("%s; %+v", codes(results), summary)
		}
		if h.outcome("good").Successes != 2 || h.outcome("dead-1").Failures != 0 {
			t.Errorf("%v", h.outcomes)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// The end of the daemon ends a test, and its core, at once.
func TestConfigTestShutdown(t *testing.T) {
	bubble(t, "good dead", nil, func(h *harness) {
		events, err := h.testing(context.Background(), ipc.TestArguments{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		began := time.Now()
		h.stop()
		if _, summary := h.found(events); summary.OK != 1 || summary.Canceled != 1 || time.Since(began) > time.Second {
			t.Errorf("%+v after %v", summary, time.Since(began))
		}
		if _, err := h.testing(context.Background(), ipc.TestArguments{}); err == nil {
			t.Error("a test after the end")
		}
	})
}

// The session in use is watched by the health check, and not disturbed.
func TestConfigTestWhileConnected(t *testing.T) {
	bubble(t, "good-a good-b", nil, func(h *harness) {
		if _, _, err := h.s.Handle(context.Background(), ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: new(int64(1))}); err != nil {
			t.Fatal(err)
		}
		before, revision := h.s.status(), h.s.status().ConfigsRevision
		h.memory.mu.Lock()
		c := h.memory.configs[1]
		c.Link = strings.ReplaceAll(c.Link, "good-a", "refusing-a")
		h.memory.configs[1] = c
		failures := h.outcomes[1].Failures
		h.memory.mu.Unlock()
		if _, summary := h.tested(ipc.TestArguments{}); summary.OK != 1 || summary.Failed != 1 {
			t.Errorf("%+v", summary)
		}
		if h.outcomes[1].Failures != failures {
			t.Error("the config in use was blamed")
		}
		synctest.Wait()
		after := h.s.status()
		if after.State != ipc.StateConnected || after.Session.ID != before.Session.ID || h.gaps != 0 {
			t.Errorf("the session was disturbed: %+v", after)
		}
		if after.ConfigsRevision == revision {
			t.Error("nobody was told that the list has changed")
		}
	})
}

func TestConfigTestRefused(t *testing.T) {
	bubble(t, "good", nil, func(h *harness) {
		for _, test := range []struct {
			arguments ipc.TestArguments
			ids       []int64
			code      ipc.Code
		}{
			{ipc.TestArguments{}, []int64{1, 99}, ipc.CodeNotFound},
			{ipc.TestArguments{Tags: []string{"none"}}, nil, ipc.CodeNotFound},
			{ipc.TestArguments{Concurrency: -1}, nil, ipc.CodeInvalidState},
			{ipc.TestArguments{Concurrency: 513}, nil, ipc.CodeInvalidState},
			{ipc.TestArguments{TimeoutMillis: 1}, nil, ipc.CodeInvalidState},
			{ipc.TestArguments{TimeoutMillis: 1 << 62}, nil, ipc.CodeInvalidState},
			{ipc.TestArguments{TimeoutMillis: -5}, nil, ipc.CodeInvalidState},
		} {
			if _, err := h.testing(context.Background(), test.arguments, test.ids...); ipc.CodeOf(err) != test.code {
				t.Errorf("%+v %v: %v", test.arguments, test.ids, err)
			}
		}
	})
	bubble(t, "", nil, func(h *harness) {
		if _, err := h.testing(context.Background(), ipc.TestArguments{}); ipc.CodeOf(err) != ipc.CodeInvalidState {
			t.Errorf("nothing to test: %v", err)
		}
	})
	bubble(t, "good", func(c *settings.Settings) { c.Health.URLs = nil }, func(h *harness) {
		if _, err := h.testing(context.Background(), ipc.TestArguments{}); ipc.CodeOf(err) != ipc.CodeInvalidState {
			t.Errorf("nothing to ask: %v", err)
		}
		if _, summary := h.tested(ipc.TestArguments{TCPOnly: true}); summary.OK != 1 {
			t.Errorf("%+v", summary)
		}
	})
}

// Without names, those that are described are measured, the most promising first.
func TestConfigTestChoice(t *testing.T) {
	bubble(t, "a b c d e", nil, func(h *harness) {
		now := time.Now()
		for id, change := range map[int64]func(*store.Config){
			2: func(c *store.Config) { c.Tags = []string{"Home", "x"} },
			3: func(c *store.Config) { c.Tags, c.Excluded = []string{"home"}, true },
			4: func(c *store.Config) { c.Tags = []string{"work"} },
		} {
			c := h.memory.configs[id]
			change(&c)
			h.memory.configs[id] = c
		}
		h.memory.configs[6] = store.Config{ID: 6, Name: "f", RetiredAt: now}
		h.memory.outcomes[5] = store.Outcome{ConfigID: 5, Successes: 1, LastSuccess: now, LatencyMS: 1, Good: 1}
		h.memory.outcomes[1] = store.Outcome{ConfigID: 1, Failures: 1, ConsecutiveFailures: 1, LastFailure: now, CooldownUntil: now.Add(time.Minute), Bad: 1}
		for _, test := range []struct {
			request ipc.Request
			want    string
		}{
			{ipc.Request{}, "ebda"},
			{ipc.Request{TestArguments: ipc.TestArguments{All: true}}, "ebcda"},
			{ipc.Request{Limit: 2}, "eb"},
			{ipc.Request{Limit: 9, TestArguments: ipc.TestArguments{Tags: []string{"home", "X"}}}, "b"},
			{ipc.Request{TestArguments: ipc.TestArguments{Tags: []string{"home"}, All: true}}, "bc"},
			{ipc.Request{IDs: []int64{3, 1, 3}}, "ca"},
			{ipc.Request{IDs: []int64{6}}, "f"},
		} {
			configs, err := h.s.catalog.Choose(context.Background(), test.request)
			var got string
			for _, c := range configs {
				got += c.Name
			}
			// Those of which nothing is known come in any order.
			if len(test.request.IDs) == 0 {
				got = sortMiddle(got, "bcd")
			}
			if err != nil || got != test.want && len(got) != test.request.Limit {
				t.Errorf("%+v: %s, %v; want %s", test.request, got, err, test.want)
			}
		}
	})
}

// sortMiddle sorts the run of the letters in a text.
func sortMiddle(text, letters string) string {
	i := strings.IndexAny(text, letters)
	j := strings.LastIndexAny(text, letters)
	if i < 0 {
		return text
	}
	middle := []byte(text[i : j+1])
	slices.Sort(middle)
	return text[:i] + string(middle) + text[j+1:]
}
