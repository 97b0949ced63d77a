package catalog_test

import (
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store/storetest"
)

// keptAway returns what the list says of rules: "b:rotation.never name:b …".
func keptAway(h *daemontest.Harness) string {
	h.T.Helper()
	payload, err := h.Do(ipc.Request{Type: ipc.KindConfigList})
	if err != nil {
		h.T.Fatal(err)
	}
	var all []string
	for _, c := range payload.(ipc.ConfigListPayload).Configs {
		if c.KeptAway != "" {
			all = append(all, c.Name+":"+c.KeptAway)
		}
		if (c.Rank == 0) != (c.KeptAway != "" || c.Excluded) {
			h.T.Errorf("%s has the rank %d, and is kept away by %q", c.Name, c.Rank, c.KeptAway)
		}
	}
	return strings.Join(all, "; ")
}

// never sets rotation.never.
func never(rules ...string) func(*settings.Settings) {
	return func(c *settings.Settings) { c.Rotation.Never = rules }
}

// What rules keep away is not chosen, whatever speaks for it, but connects when it is asked for.
func TestRulesKeepAway(t *testing.T) {
	daemontest.Bubble(t, "a b c", never("name:b"), func(h *daemontest.Harness) {
		h.Edit(func(r *storetest.Records) {
			b := r.Configs[2]
			b.Pinned = true
			r.Configs[2] = b
		})
		if got := keptAway(h); got != "b:rotation.never name:b" {
			t.Errorf("kept away: %q", got)
		}
		h.Connect(1)
		for range 4 {
			p, err := h.Rotate(nil)
			if err != nil || p.NewConfigName == "b" {
				t.Fatalf("rotated to %q: %v", p.NewConfigName, err)
			}
		}
		h.Connect(2)
		h.Want(ipc.StateConnected, "b")
		if _, err := h.Do(ipc.Request{Type: ipc.KindRuntimeDisconnect}); err != nil {
			t.Fatal(err)
		}
		// Not by the next connect, which asks for no config: the one used last was kept away.
		payload, err := h.Do(ipc.Request{Type: ipc.KindRuntimeConnect})
		if p, _ := payload.(ipc.ConnectPayload); err != nil || p.ConfigName == "b" || p.ConfigName == "" {
			t.Errorf("connected to %q: %v", p.ConfigName, err)
		}
	})
}

// A core that ends is replaced by one for the same server, also if a rule keeps that away: the user
// has asked for it.
func TestAskedForOutlivesItsCore(t *testing.T) {
	daemontest.Bubble(t, "a b", never("name:b"), func(h *daemontest.Harness) {
		h.Connect(2)
		h.Kill("b", "")
		time.Sleep(2 * time.Second)
		h.Want(ipc.StateConnected, "b")
	})
}

// When rules leave nothing the message says so and what helps.
func TestRulesThatLeaveNothing(t *testing.T) {
	daemontest.Bubble(t, "a b", func(c *settings.Settings) { c.Rotation.Only = []string{"country:DE"} }, func(h *daemontest.Harness) {
		_, err := h.Do(ipc.Request{Type: ipc.KindRuntimeConnect})
		if ipc.CodeOf(err) != ipc.CodeInvalidState || !strings.Contains(err.Error(), "rules keep") || !strings.Contains(err.Error(), "xrat connect NAME") {
			t.Errorf("%v", err)
		}
		h.Connect(1)
		h.Want(ipc.StateConnected, "a")
		if _, err := h.Rotate(nil); err == nil || !strings.Contains(err.Error(), "rules keep") {
			t.Errorf("%v", err)
		}
		h.Want(ipc.StateConnected, "a")
	})
}

// Rules hold for servers that come tomorrow, and for names that change.
func TestRulesHoldForNewServers(t *testing.T) {
	daemontest.Bubble(t, "", never("country:RU"), func(h *daemontest.Harness) {
		h.Offer(func(p *daemontest.Provider) { p.Body = "socks://a:1#one\nsocks://b:1#RU-2\n" })
		h.Add(ipc.Request{})
		if got := keptAway(h); got != "RU-2:rotation.never country:RU" {
			t.Errorf("kept away: %q", got)
		}
		h.Offer(func(p *daemontest.Provider) {
			p.Body = "socks://a:1#🇷🇺 one\nsocks://b:1#FI-2\nsocks://c:1#[RU] new\n"
		})
		h.Update()
		if got := keptAway(h); got != "🇷🇺 one:rotation.never country:RU; [RU] new:rotation.never country:RU" {
			t.Errorf("kept away: %q", got)
		}
	})
}

// The rules of a subscription are for its servers alone; those that another subscription lets
// through, or that the user has imported, may be chosen.
func TestRulesOfSubscriptions(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a", "b", "c")
		h.Add(ipc.Request{Name: "first"})
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigImport, Text: daemontest.Body("c")}); err != nil {
			t.Fatal(err)
		}
		h.Serve("b", "d")
		if _, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionAdd, URL: "https://other.test/x", Name: "second"}); err != nil {
			t.Fatal(err)
		}
		set := func(id int64, only, never []string) {
			h.Edit(func(r *storetest.Records) {
				sub := r.Subscriptions[id]
				sub.Only, sub.Never = only, never
				r.Subscriptions[id] = sub
			})
		}
		set(1, []string{"name:x"}, nil)
		if got := keptAway(h); got != "a:only name:x (first)" {
			t.Errorf("kept away: %q", got)
		}
		set(2, nil, []string{"protocol:socks"})
		if got := keptAway(h); got != "a:only name:x (first); b:only name:x (first); d:never protocol:socks (second)" {
			t.Errorf("kept away: %q", got)
		}
		set(1, nil, nil)
		// A rule that another version has written does not count, and breaks nothing.
		set(2, nil, []string{"moon:full"})
		if got := keptAway(h); got != "" {
			t.Errorf("kept away: %q", got)
		}
	})
}

// A standby that an earlier daemon left, and that rules keep away by now, steps in for nobody.
func TestStandbyThatIsKeptAwayGoes(t *testing.T) {
	daemontest.Bubble(t, "a b c", daemontest.WithStandby, func(h *daemontest.Harness) {
		h.World.Locked(func() { h.World.Outlives = true })
		h.Settle()
		first := h.State().Standby
		if first == nil {
			t.Fatal("there is no standby")
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigUpdate, IDs: []int64{first.ConfigID}, AddTags: []string{"out"}}); err != nil {
			t.Fatal(err)
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindDaemonShutdown, Keep: true}); err != nil {
			t.Fatal(err)
		}
		h.Stop()
		h.Boot(func(c *settings.Settings) { c.Rotation.Standby, c.Rotation.Never = true, []string{"tag:out"} })
		time.Sleep(20 * time.Second)
		if s := h.State().Standby; s == nil || s.ConfigID == first.ConfigID {
			t.Errorf("the standby is %+v", s)
		}
		h.World.Locked(func() { h.World.Outlives = false })
	})
}
