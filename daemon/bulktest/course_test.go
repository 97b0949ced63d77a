package bulktest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/store/storetest"
)

func TestConfigTest(t *testing.T) {
	daemontest.Bubble(t, "good dead refusing unreachable bad", nil, func(h *daemontest.Harness) {
		h.Edit(func(r *storetest.Records) {
			r.Configs[6] = store.Config{ID: 6, Name: "broken", Link: "vless://nonsense"}
		})
		h.Edit(func(r *storetest.Records) { r.Configs[7] = store.Config{ID: 7, Name: "left-out", Excluded: true} })
		results, summary := h.Tested(ipc.TestArguments{})
		want := "bad core_refuses, broken bad_link, dead timeout, good ok, refusing unreachable, unreachable unreachable"
		if got := daemontest.Codes(results); got != want {
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
			if k := h.Outcome(name); k.Failures != 1 || k.CooldownUntil.IsZero() {
				t.Errorf("%s: %+v", name, k)
			}
		}
		if k := h.Outcome("good"); k.Successes != 1 || k.LatencyMS != 50 {
			t.Errorf("good: %+v", k)
		}
		// One that is excluded is measured when it is asked for.
		if results, _ := h.Tested(ipc.TestArguments{}, 7, 1, 7); daemontest.Codes(results) != "good ok, left-out bad_link" {
			t.Error(daemontest.Codes(results))
		}
	})
}

// Work tells those that answer and strangle from those that work; alone among themselves nothing
// does.
func TestConfigTestWork(t *testing.T) {
	pages := func(config *settings.Settings) { config.Health.WorkURLs = []string{"https://page.test/"} }
	daemontest.Bubble(t, "good strangling dead", pages, func(h *daemontest.Harness) {
		results, summary := h.Tested(ipc.TestArguments{Work: true})
		if g, s := results["good"], results["strangling"]; g.Work != "ok" || s.Work != "stalls" || !s.OK || s.WorkMessage == "" || results["dead"].Work != "" {
			t.Errorf("%+v", results)
		}
		if summary.OK != 2 || h.Outcome("strangling").Limit != "stalls" || h.Outcome("good").Limit != "" {
			t.Errorf("%+v, %+v", summary, h.Look().Outcomes)
		}
		if _, err := h.Testing(context.Background(), ipc.TestArguments{Work: true, TCPOnly: true}); err == nil {
			t.Error("work without requests")
		}
	})
	daemontest.Bubble(t, "strangling dead", pages, func(h *daemontest.Harness) {
		if h.Tested(ipc.TestArguments{Work: true}); h.Outcome("strangling").Limit != "" {
			t.Errorf("blamed: %+v", h.Outcome("strangling"))
		}
	})
}

// While nothing works the network may be at fault.
func TestConfigTestBlamesNobody(t *testing.T) {
	daemontest.Bubble(t, "dead refusing unreachable", nil, func(h *daemontest.Harness) {
		_, summary := h.Tested(ipc.TestArguments{})
		if summary.Failed != 3 || !summary.Unblamed || len(h.Look().Outcomes) != 0 {
			t.Errorf("%+v, %v", summary, h.Look().Outcomes)
		}
	})
}

// A connection alone says little good of a server, and all that is bad.
func TestConfigTestTCPOnly(t *testing.T) {
	daemontest.Bubble(t, "good dead refusing", nil, func(h *daemontest.Harness) {
		h.LocateErr = errors.New("there is no core")
		h.Edit(func(r *storetest.Records) {
			r.Configs[4] = store.Config{ID: 4, Name: "datagrams", Link: "hysteria2://secret@h.example:443#d"}
		})
		results, _ := h.Tested(ipc.TestArguments{TCPOnly: true})
		if got := daemontest.Codes(results); got != "datagrams no_tcp, dead ok, good ok, refusing unreachable" {
			t.Error(got)
		}
		if h.Outcome("good").Successes != 0 || h.Outcome("refusing").Failures != 1 || h.Outcome("datagrams").Failures != 0 || h.Starts() != 0 {
			t.Errorf("%v", h.Look().Outcomes)
		}
		if _, err := h.Testing(context.Background(), ipc.TestArguments{}); err == nil {
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
	daemontest.Bubble(t, strings.Join(hosts, " "), nil, func(h *daemontest.Harness) {
		results, summary := h.Tested(ipc.TestArguments{})
		if summary.OK != 40 || summary.Failed != 2 {
			t.Errorf("%+v: %s", summary, daemontest.Codes(results))
		}
		r := results["fatal-1"]
		if r.Code != ipc.TestCodeCoreFailed || !strings.Contains(r.Message, "panic") || h.Outcome("fatal-1").Failures != 0 {
			t.Errorf("%+v", r)
		}
		if h.MaxCores != 1 {
			t.Errorf("%d cores at a time", h.MaxCores)
		}
	})
}

// Many configs take a bounded time, also when half of them are dead, and one core at a time.
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
		daemontest.Bubble(t, test.hosts, nil, func(h *daemontest.Harness) {
			began := time.Now()
			_, summary := h.Tested(ipc.TestArguments{})
			took := time.Since(began)
			if summary.OK != test.ok || summary.Failed != 1000-test.ok || took > test.limit {
				t.Errorf("%s…: %+v in %v", test.hosts[:20], summary, took)
			}
			if h.MaxCores != 1 {
				t.Errorf("%d cores at a time", h.MaxCores)
			}
		})
	}
}

func TestConfigTestSpeed(t *testing.T) {
	daemontest.Bubble(t, "good slow dead", nil, func(h *daemontest.Harness) {
		results, _ := h.Tested(ipc.TestArguments{SpeedURL: "http://site/"})
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
	daemontest.Bubble(t, "good dead-1 dead-2 unreachable", nil, func(h *daemontest.Harness) {
		ctx, cancel := context.WithCancel(context.Background())
		events, err := h.Testing(ctx, ipc.TestArguments{})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Testing(context.Background(), ipc.TestArguments{}); ipc.CodeOf(err) != ipc.CodeBusy {
			t.Errorf("a second test: %v", err)
		}
		time.Sleep(time.Second)
		began := time.Now()
		cancel()
		// The next one waits for the end of this one.
		if _, summary := h.Tested(ipc.TestArguments{}, 1); summary.OK != 1 {
			t.Errorf("after it: %+v", summary)
		}
		results, summary := h.Found(events)
		if daemontest.Codes(results) != "good ok" || summary.OK != 1 || summary.Canceled != 3 || summary.Failed != 0 {
			t.Errorf("%s; %+v", daemontest.Codes(results), summary)
		}
		if h.Outcome("good").Successes != 2 || h.Outcome("dead-1").Failures != 0 {
			t.Errorf("%v", h.Look().Outcomes)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// The end of the daemon ends a test, and its core, at once.
func TestConfigTestShutdown(t *testing.T) {
	daemontest.Bubble(t, "good dead", nil, func(h *daemontest.Harness) {
		events, err := h.Testing(context.Background(), ipc.TestArguments{})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		began := time.Now()
		h.Stop()
		if _, summary := h.Found(events); summary.OK != 1 || summary.Canceled != 1 || time.Since(began) > time.Second {
			t.Errorf("%+v after %v", summary, time.Since(began))
		}
		if _, err := h.Testing(context.Background(), ipc.TestArguments{}); err == nil {
			t.Error("a test after the end")
		}
	})
}

// The session in use is watched by the health check, and not disturbed.
func TestConfigTestWhileConnected(t *testing.T) {
	daemontest.Bubble(t, "good-a good-b", nil, func(h *daemontest.Harness) {
		if _, _, err := h.Daemon.Handle(context.Background(), ipc.Request{Type: ipc.KindRuntimeConnect, ConfigID: new(int64(1))}); err != nil {
			t.Fatal(err)
		}
		before, revision := h.Status(), h.Status().ConfigsRevision
		h.Edit(func(r *storetest.Records) {
			c := r.Configs[1]
			c.Link = strings.ReplaceAll(c.Link, "good-a", "refusing-a")
			r.Configs[1] = c
		})
		failures := h.Look().Outcomes[1].Failures
		if _, summary := h.Tested(ipc.TestArguments{}); summary.OK != 1 || summary.Failed != 1 {
			t.Errorf("%+v", summary)
		}
		if h.Look().Outcomes[1].Failures != failures {
			t.Error("the config in use was blamed")
		}
		synctest.Wait()
		after := h.Status()
		if after.State != ipc.StateConnected || after.Session.ID != before.Session.ID || h.Gaps != 0 {
			t.Errorf("the session was disturbed: %+v", after)
		}
		if after.ConfigsRevision == revision {
			t.Error("nobody was told that the list has changed")
		}
	})
}

func TestConfigTestRefused(t *testing.T) {
	daemontest.Bubble(t, "good", nil, func(h *daemontest.Harness) {
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
			if _, err := h.Testing(context.Background(), test.arguments, test.ids...); ipc.CodeOf(err) != test.code {
				t.Errorf("%+v %v: %v", test.arguments, test.ids, err)
			}
		}
	})
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		if _, err := h.Testing(context.Background(), ipc.TestArguments{}); ipc.CodeOf(err) != ipc.CodeInvalidState {
			t.Errorf("nothing to test: %v", err)
		}
	})
	daemontest.Bubble(t, "good", func(c *settings.Settings) { c.Health.URLs = nil }, func(h *daemontest.Harness) {
		if _, err := h.Testing(context.Background(), ipc.TestArguments{}); ipc.CodeOf(err) != ipc.CodeInvalidState {
			t.Errorf("nothing to ask: %v", err)
		}
		if _, summary := h.Tested(ipc.TestArguments{TCPOnly: true}); summary.OK != 1 {
			t.Errorf("%+v", summary)
		}
	})
}
