package catalog_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/settings"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// An update adds what is new, retires what has vanished and revives what is back, each under the id
// that it had.
func TestRefreshReconciles(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a", "b", "c")
		added := h.Add(ipc.Request{})
		if r := added.Refresh; r == nil || !r.OK || r.Added != 3 || r.Via != "direct" || added.Subscription.Configs != 3 || added.Subscription.Name != "provider.test" {
			t.Fatalf("%+v, %+v", added, added.Refresh)
		}
		h.WantList("a1 b2 c3")
		before := h.State().ConfigsRevision

		h.Serve("c", "d", "a")
		if r := h.Update(); r.Added != 1 || r.Retired != 1 || r.Kept != 2 || r.Revived != 0 {
			t.Errorf("%+v", r)
		}
		h.WantList("a1 (b2) c3 d4")
		if p := h.State(); p.Configs != 3 || p.ConfigsRevision == before {
			t.Errorf("%d configs, revision %d after %d", p.Configs, p.ConfigsRevision, before)
		}
		live, _ := h.Do(ipc.Request{Type: ipc.KindConfigList})
		retired, _ := h.Do(ipc.Request{Type: ipc.KindConfigList, Retired: true})
		if l, r := live.(ipc.ConfigListPayload).Configs, retired.(ipc.ConfigListPayload).Configs; len(l) != 3 || len(r) != 1 || r[0].ID != 2 || r[0].RetiredAt == nil || r[0].Rank != 0 {
			t.Errorf("listed %+v and %+v", l, r)
		}

		h.Serve("b", "a", "c", "d")
		if r := h.Update(); r.Added != 0 || r.Retired != 0 || r.Kept != 3 || r.Revived != 1 {
			t.Errorf("%+v", r)
		}
		h.WantList("a1 b2 c3 d4")
	})
}

// When no config works, the provider is asked at once for what may work, and that is tried at once.
func TestNothingWorksRefreshes(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a", "b")
		h.Add(ipc.Request{})
		h.Locked(func() {
			for _, host := range []string{"a", "b", "c"} {
				h.Servers[host] = &daemontest.Server{Latency: 50 * time.Millisecond}
			}
		})
		h.Connect(1)
		time.Sleep(10 * time.Minute)
		h.Requests()
		h.Serve("a", "b", "c")
		for _, host := range []string{"a", "b"} {
			h.Set(host, daemontest.Dead)
		}
		time.Sleep(time.Minute)
		if n := len(h.Requests()); n != 1 {
			t.Errorf("the provider was asked %d times", n)
		}
		h.Want(ipc.StateConnected, "c")
	})
}

// A subscription from the internet names servers in private networks only if the user allows it to,
// and no longer when that is withdrawn.
func TestPrivateServersNeedPermission(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Offer(func(p *daemontest.Provider) { p.Body = "socks://a.example:1080#a\nsocks://192.168.1.1:1080#b\n" })
		added := h.Add(ipc.Request{})
		if r := added.Refresh; !r.OK || r.Added != 1 || len(r.Problems) != 1 || r.Problems[0].Code != subscription.CodePrivate || added.Subscription.Private {
			t.Fatalf("%+v, %+v", added, r)
		}
		if added = h.Add(ipc.Request{Private: new(true)}); added.Refresh.Added != 1 || !added.Subscription.Private {
			t.Errorf("%+v, %+v", added, added.Refresh)
		}
		if added = h.Add(ipc.Request{}); added.Refresh.Kept != 2 || !added.Subscription.Private {
			t.Errorf("%+v, %+v", added, added.Refresh)
		}
		if added = h.Add(ipc.Request{Private: new(false)}); added.Refresh.Retired != 1 || added.Subscription.Private {
			t.Errorf("%+v, %+v", added, added.Refresh)
		}
		h.Offer(func(p *daemontest.Provider) { p.Body = "socks://192.168.1.1:1080#b\n" })
		if r := h.Update(); r.OK || r.Error.Code != subscription.CodePrivate || r.Retired != 0 {
			t.Errorf("%+v, %+v", r, r.Error)
		}
		h.WantList("a1 (b2)")
	})
}

// Nothing that is not a list of servers takes anything away.
func TestBrokenBodiesKeepAll(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a", "b")
		h.Add(ipc.Request{})
		failures := 0
		for name, change := range map[string]func(*daemontest.Provider){
			"empty":       func(p *daemontest.Provider) { p.Body = "" },
			"HTML":        func(p *daemontest.Provider) { p.Body = "<html><body>Please log in</body></html>" },
			"no link":     func(p *daemontest.Provider) { p.Body = "vless://nonsense\nhttp://\n" },
			"broken YAML": func(p *daemontest.Provider) { p.Body = "proxies:\n  - {name: [" },
			"404": func(p *daemontest.Provider) {
				p.Err = &subscription.Error{Code: subscription.CodeBadStatus, Message: "404"}
			},
			"empty base64":   func(p *daemontest.Provider) { p.Body = "IA==" },
			"only a notice":  func(p *daemontest.Provider) { p.Body = "socks://127.0.0.1:1#Expired: 2026-01-01, renew" },
			"no Xray server": func(p *daemontest.Provider) { p.Body = `{"inbounds":[],"log":{"access":"/tmp/x"},"outbounds":[]}` },
		} {
			h.Serve()
			h.Offer(change)
			r := h.Update()
			failures++
			if r.OK || r.Error == nil || r.Error.Message == "" || r.Retired+r.Added != 0 {
				t.Errorf("%s: %+v, %+v", name, r, r.Error)
			}
			h.WantList("a1 b2")
			payload, _ := h.Do(ipc.Request{Type: ipc.KindSubscriptionList})
			sub := payload.(ipc.SubscriptionListPayload).Subscriptions[0]
			if sub.Failures != failures || sub.Error == nil || sub.Error.Code != r.Error.Code || sub.Configs != 2 {
				t.Errorf("%s: %+v", name, sub)
			}
		}
		h.Serve("a", "b")
		h.Update()
		payload, _ := h.Do(ipc.Request{Type: ipc.KindSubscriptionList})
		if sub := payload.(ipc.SubscriptionListPayload).Subscriptions[0]; sub.Error != nil || sub.Failures != 0 {
			t.Errorf("it works again: %+v", sub)
		}
	})
}

// The config in use stays when it vanishes, until another serves.
func TestConfigInUseIsNotRetired(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		for _, host := range []string{"a", "b"} {
			h.Servers[host] = &daemontest.Server{Latency: time.Millisecond}
		}
		h.Serve("a", "b")
		h.Add(ipc.Request{})
		h.Connect(1)
		h.Serve("b")
		if r := h.Update(); r.Retired != 0 || r.Kept != 2 {
			t.Errorf("%+v", r)
		}
		h.WantList("a1 b2")
		if _, err := h.Rotate(new(int64(2))); err != nil {
			t.Fatal(err)
		}
		if r := h.Update(); r.Retired != 1 {
			t.Errorf("%+v", r)
		}
		h.WantList("(a1) b2")
		// It is no candidate any more, not even as the one that was used last.
		h.Desire(store.Desired{ConfigID: 1})
		if _, err := h.Rotate(nil); err == nil {
			t.Error("a retired config was rotated to")
		}
		if _, err := h.Rotate(new(int64(1))); err != nil {
			t.Errorf("by its id: %v", err)
		}
	})
}

// What the user has imported is not retired when it vanishes from a subscription.
func TestConfigOfTheUserIsNotRetired(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigImport, Text: daemontest.Body("a")}); err != nil {
			t.Fatal(err)
		}
		h.Serve("a", "b")
		if r := h.Add(ipc.Request{}).Refresh; r.Added != 1 || r.Kept != 1 {
			t.Errorf("%+v", r)
		}
		h.Serve("c")
		h.Update()
		h.WantList("a1 (b2) c3")
		// An import makes them the user's own, a retired one, too.
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigImport, Text: daemontest.Body("b", "c")}); err != nil {
			t.Fatal(err)
		}
		h.Serve("d")
		h.Update()
		h.WantList("a1 b2 c3 d4")
	})
}

// A config has the name that its subscription gives it last, unless the user has named it or the
// subscription gives none.
func TestNamesFollowTheSubscriptionUnlessTheUserNamed(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Offer(func(p *daemontest.Provider) { p.Body = "socks://a:1#one\nsocks://b:1#two\n" })
		h.Add(ipc.Request{})
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigUpdate, IDs: []int64{2}, Name: "mine"}); err != nil {
			t.Fatal(err)
		}
		h.Offer(func(p *daemontest.Provider) { p.Body = "socks://a:1#uno\nsocks://b:1#due\n" })
		h.Update()
		h.WantList("uno1 mine2")
		h.Offer(func(p *daemontest.Provider) { p.Body = "socks://a:1\nsocks://b:1\n" })
		h.Update()
		h.WantList("uno1 mine2")
	})
}

// A config that two subscriptions have is retired when both have lost it, and one whose last
// subscription is removed stays if the user wants that.
func TestTwoSubscriptionsShareAConfig(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a", "b")
		h.Add(ipc.Request{})
		h.Serve("b", "c")
		if _, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionAdd, URL: "https://other.test/x"}); err != nil {
			t.Fatal(err)
		}
		h.WantList("a1 b2 c3")
		refresh := func(id int64) {
			t.Helper()
			if _, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionUpdate, IDs: []int64{id}}); err != nil {
				t.Fatal(err)
			}
		}
		h.Serve("a")
		refresh(1)
		h.WantList("a1 b2 c3") // the second still has b
		h.Serve("c")
		refresh(2)
		h.WantList("a1 (b2) c3")
		payload, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionRemove, IDs: []int64{2}})
		if p, _ := payload.(ipc.SubscriptionRemovePayload); err != nil || p != (ipc.SubscriptionRemovePayload{Removed: 1, ConfigsRemoved: 2}) {
			t.Errorf("%+v, %v", payload, err)
		}
		h.WantList("a1")
		payload, err = h.Do(ipc.Request{Type: ipc.KindSubscriptionRemove, IDs: []int64{1}, KeepConfigs: true})
		if p, _ := payload.(ipc.SubscriptionRemovePayload); err != nil || p != (ipc.SubscriptionRemovePayload{Removed: 1, ConfigsKept: 1}) {
			t.Errorf("%+v, %v", payload, err)
		}
		if c, _ := h.Memory.Config(t.Context(), 1); c.Source != store.SourceImport || len(c.Subscriptions) != 0 {
			t.Errorf("%+v", c)
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionRemove, IDs: []int64{1}}); ipc.CodeOf(err) != ipc.CodeNotFound {
			t.Errorf("a second time: %v", err)
		}
	})
}

// What is in use stays when its subscription is removed, and is the user's then.
func TestRemovedSubscriptionLeavesWhatIsInUse(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Servers["a"] = &daemontest.Server{Latency: time.Millisecond}
		h.Serve("a", "b")
		h.Add(ipc.Request{})
		h.Connect(1)
		if _, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionRemove, IDs: []int64{1}}); err != nil {
			t.Fatal(err)
		}
		h.WantList("a1")
		if c, _ := h.Memory.Config(t.Context(), 1); c.Source != store.SourceImport {
			t.Errorf("%+v", c)
		}
	})
}

// While connected, through the proxy; directly only if that does not work and may be.
func TestWays(t *testing.T) {
	vias := func(h *daemontest.Harness) string {
		var vias []string
		for _, r := range h.Requests() {
			if r.Proxy == nil {
				vias = append(vias, "direct")
				continue
			}
			if vias = append(vias, "proxy"); r.Proxy.Address != "front-socks" {
				t.Errorf("through %s", r.Proxy.Address)
			}
		}
		return strings.Join(vias, " ")
	}
	broken := &subscription.Error{Code: subscription.CodeUnreachable, Message: "unreachable"}
	for _, direct := range []bool{true, false} {
		daemontest.Bubble(t, "one", func(c *settings.Settings) { c.Subscription.Direct = direct }, func(h *daemontest.Harness) {
			h.Serve("a")
			want := map[bool][3]string{true: {"direct", "proxy", "proxy" + " " + "direct"}, false: {"", "proxy", "proxy"}}[direct]
			added := h.Add(ipc.Request{})
			if got := vias(h); got != want[0] || added.Refresh.OK != direct {
				t.Errorf("direct %v, disconnected: %q, %+v", direct, got, added.Refresh)
			}
			if !direct && (added.Refresh.Error.Code != "not_connected" || added.Subscription.Error.Code != "not_connected" || added.Subscription.Failures != 0) {
				t.Errorf("%+v", added)
			}
			h.Connect(1)
			if r := h.Update(); !r.OK || r.Via != "proxy" {
				t.Errorf("%+v", r)
			}
			if got := vias(h); got != want[1] {
				t.Errorf("direct %v, connected: %q", direct, got)
			}
			h.Offer(func(p *daemontest.Provider) { p.ProxyErr = broken })
			if r := h.Update(); r.OK != direct {
				t.Errorf("%+v", r)
			}
			if got := vias(h); got != want[2] {
				t.Errorf("direct %v, the proxy does not work: %q", direct, got)
			}
			// One's own network is nobody else's business.
			if _, err := h.Do(ipc.Request{Type: ipc.KindConfigImport, URL: "http://192.168.1.2/list"}); err != nil {
				t.Error(err)
			}
			if got := vias(h); got != "direct" {
				t.Errorf("direct %v, a local address: %q", direct, got)
			}
		})
	}
}

// A page that blocks the proxy's way out is no answer.
func TestBlockPageThroughTheProxy(t *testing.T) {
	daemontest.Bubble(t, "one", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		h.Serve("a")
		h.Offer(func(p *daemontest.Provider) {
			p.ProxyErr = &subscription.Error{Code: subscription.CodeWebPage, Message: "a web page"}
		})
		if r := h.Add(ipc.Request{}).Refresh; !r.OK || r.Via != "direct" {
			t.Errorf("%+v", r)
		}
		h.Offer(func(p *daemontest.Provider) { p.Body = "<html>" })
		r := h.Update()
		if r.OK || !strings.Contains(r.Error.Message, "through the proxy: a web page; directly: ") {
			t.Errorf("%+v", r.Error)
		}
	})
}

// A subscription is asked for once an interval and at most a tenth later, with the ETag of the last
// answer, and what was retired for long is removed.
func TestAutomaticUpdates(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		h.Offer(func(p *daemontest.Provider) { p.Response.ETag = `"1"` })
		h.Add(ipc.Request{IntervalSecs: 3600 * 6})
		h.Requests()
		time.Sleep(5*time.Hour + 59*time.Minute)
		if n := len(h.Requests()); n != 0 {
			t.Errorf("%d requests before the interval is over", n)
		}
		time.Sleep(38 * time.Minute) // and a tenth
		if asked := h.Requests(); len(asked) != 1 || asked[0].ETag != `"1"` {
			t.Errorf("%+v", asked)
		}
		h.WantList("a1")
		h.Serve("b")
		h.Offer(func(p *daemontest.Provider) { p.Response.ETag = `"2"` })
		time.Sleep(6*time.Hour + 37*time.Minute)
		synctest.Wait()
		h.WantList("(a1) b2")
		payload, _ := h.Do(ipc.Request{Type: ipc.KindSubscriptionList})
		sub := payload.(ipc.SubscriptionListPayload).Subscriptions[0]
		if sub.NextAt == nil || sub.NextAt.Before(time.Now()) || sub.NextAt.After(time.Now().Add(7*time.Hour)) {
			t.Errorf("next at %v, now %v", sub.NextAt, time.Now())
		}
		// What is retired for long goes.
		time.Sleep(31 * 24 * time.Hour)
		synctest.Wait()
		h.WantList("b2")
	})
}

// After failed updates the provider is asked ever more rarely, up to the interval, and an update
// that works is taken.
func TestFailedUpdatesAreRetriedEverMoreRarely(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Offer(func(p *daemontest.Provider) {
			p.Err = &subscription.Error{Code: subscription.CodeUnreachable, Message: "unreachable"}
		})
		h.Add(ipc.Request{})
		time.Sleep(time.Hour)
		if n := len(h.Requests()); n < 4 || n > 5 { // at 0, 5, 15, 35 minutes
			t.Errorf("%d requests in the first hour", n)
		}
		time.Sleep(10 * 24 * time.Hour)
		if n := len(h.Requests()); n < 9 || n > 18 {
			t.Errorf("%d requests in ten days", n)
		}
		h.Serve("a")
		time.Sleep(27 * time.Hour)
		synctest.Wait()
		h.WantList("a1")
	})
}

// Without a network no provider is asked, and the update comes soon after there is one.
func TestUpdatesWaitForANetwork(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		h.Add(ipc.Request{NoUpdate: true})
		h.Locked(func() { h.World.Offline = true })
		time.Sleep(48 * time.Hour)
		if n := len(h.Requests()); n != 0 {
			t.Errorf("%d requests while offline", n)
		}
		h.Locked(func() { h.World.Offline = false })
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		h.WantList("a1")
	})
}

// A disk that takes no writes does not have a provider asked again and again.
func TestFullDiskAsksAProviderOnceAMinuteAtMost(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		h.Add(ipc.Request{})
		h.Requests()
		h.Fail(errors.New("no space left"))
		time.Sleep(27 * time.Hour)
		synctest.Wait()
		if n := len(h.Requests()); n == 0 || n > 3*60+1 {
			t.Errorf("asked %d times in three hours", n)
		}
		h.Fail(nil)
	})
}

// Direct fetching off: nothing leaves this machine before there is a session.
func TestUpdatesWaitForAConnection(t *testing.T) {
	daemontest.Bubble(t, "one", func(c *settings.Settings) { c.Subscription.Direct = false }, func(h *daemontest.Harness) {
		h.Serve("a")
		h.Add(ipc.Request{NoUpdate: true})
		time.Sleep(48 * time.Hour)
		if n := len(h.Requests()); n != 0 {
			t.Errorf("%d requests while not connected", n)
		}
		payload, _ := h.Do(ipc.Request{Type: ipc.KindSubscriptionList})
		if sub := payload.(ipc.SubscriptionListPayload).Subscriptions[0]; sub.Error == nil || sub.Error.Code != "not_connected" {
			t.Errorf("%+v", sub)
		}
		h.Connect(1)
		time.Sleep(2 * time.Minute)
		if asked := h.Requests(); len(asked) != 1 || asked[0].Proxy == nil {
			t.Errorf("%+v", asked)
		}
	})
}

// The loop answers while a provider is silent, a second update waits for the first, and one that is
// removed meanwhile brings nothing back.
func TestSilentProvider(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		h.Add(ipc.Request{NoUpdate: true})
		hold := make(chan struct{})
		h.Offer(func(p *daemontest.Provider) { p.Hold = hold })
		results := make(chan error, 2)
		for range 2 {
			go func() {
				_, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionUpdate, IDs: []int64{1}})
				results <- err
			}()
		}
		synctest.Wait()
		if n := len(h.Requests()); n != 1 {
			t.Errorf("%d requests", n)
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindProxyStop}); err != nil {
			t.Error(err)
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionRemove, IDs: []int64{1}}); err != nil {
			t.Error(err)
		}
		close(hold)
		for range 2 {
			if err := <-results; ipc.CodeOf(err) != ipc.CodeNotFound {
				t.Errorf("%v", err)
			}
		}
		h.WantList("")
	})
}

// What the provider says of its title, interval and usage is taken over, and what the user says
// comes before it.
func TestUsageAndTitle(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		expires := time.Unix(2_000_000_000, 0).UTC()
		h.Serve("a")
		h.Offer(func(p *daemontest.Provider) {
			p.Response.Usage = &subscription.Usage{Upload: 1, Download: 2, Total: 3, Expires: expires}
			p.Response.Title, p.Response.UpdateInterval = "My provider", 12*time.Hour
			p.Body += "vless://bad\n"
		})
		sub := h.Add(ipc.Request{}).Subscription
		if sub.Name != "My provider" || sub.IntervalSecs != 12*3600 || sub.Problems != 1 || sub.Usage == nil ||
			sub.Usage.Upload != 1 || sub.Usage.Download != 2 || sub.Usage.Total != 3 || !sub.Usage.ExpiresAt.Equal(expires) {
			t.Errorf("%+v, %+v", sub, sub.Usage)
		}
		again := h.Add(ipc.Request{Name: "Called so", IntervalSecs: 7200})
		if !again.Existed || again.Subscription.Name != "Called so" || again.Subscription.IntervalSecs != 7200 || again.Subscription.ID != sub.ID {
			t.Errorf("%+v", again)
		}
	})
}

// What follows a # in the address is its name, and is not sent; an address for another client
// stands for the one inside.
func TestNamedAddresses(t *testing.T) {
	const wrapped = "clash://install-config?url=https%3A%2F%2Fprovider.test%2Fsecret-token&name=From%20a%20page"
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		h.Offer(func(p *daemontest.Provider) { p.Response.Title = "My provider" })
		add := func(address, name string) ipc.SubscriptionAddPayload {
			t.Helper()
			payload, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionAdd, URL: address, Name: name})
			if err != nil {
				t.Fatal(err)
			}
			return payload.(ipc.SubscriptionAddPayload)
		}
		first := add(daemontest.ProviderAddress+"#Mine%20%F0%9F%87%A9%F0%9F%87%AA", "")
		if first.Existed || first.Subscription.Name != "Mine 🇩🇪" || first.Refresh.Added != 1 {
			t.Errorf("%+v, %+v", first, first.Refresh)
		}
		for _, test := range [][2]string{{daemontest.ProviderAddress, "Mine 🇩🇪"}, {wrapped, "From a page"}, {daemontest.ProviderAddress + "#", "From a page"}} {
			if again := add(test[0], ""); !again.Existed || again.Subscription.ID != first.Subscription.ID || again.Subscription.Name != test[1] {
				t.Errorf("%q: %+v", test[0], again)
			}
		}
		if again := add(wrapped, "Called so"); again.Subscription.Name != "Called so" {
			t.Errorf("%+v", again)
		}
		for _, asked := range h.Requests() {
			if asked.URL != daemontest.ProviderAddress {
				t.Errorf("asked for %q", asked.URL)
			}
		}
		payload, err := h.Do(ipc.Request{Type: ipc.KindConfigImport, URL: wrapped})
		if p, _ := payload.(ipc.ConfigImportPayload); err != nil || len(p.Existing) != 1 {
			t.Errorf("%+v, %v", payload, err)
		}
	})
}

// Addresses were once stored with what follows the #.
func TestStoredFragments(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		stored, err := h.Memory.AddSubscription(t.Context(), store.Subscription{Name: "old", URL: daemontest.ProviderAddress + "#old", CreatedAt: time.Now()})
		if err != nil {
			t.Fatal(err)
		}
		if again := h.Add(ipc.Request{}); !again.Existed || again.Subscription.ID != stored.ID {
			t.Errorf("%+v", again)
		}
	})
}

// What the headers do not say, the comments at the head of the body do.
func TestBodiesDescribeTheProvider(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		h.Offer(func(p *daemontest.Provider) {
			p.Response.UpdateInterval, p.Response.Announce = 12*time.Hour, "from the header"
			p.Body = "#profile-title: From the body\n#profile-update-interval: 5\n#announce: no\n#support-url: https://help.test/x\n#profile-web-page-url: https://page.test/\n#subscription-userinfo: total=7\n" + p.Body
		})
		sub := h.Add(ipc.Request{}).Subscription
		if sub.Name != "From the body" || sub.IntervalSecs != 12*3600 || sub.Announce != "from the header" || sub.SupportURL != "https://help.test/x" ||
			sub.WebPageURL != "https://page.test/" || sub.Usage == nil || sub.Usage.Total != 7 {
			t.Errorf("%+v", sub)
		}
		h.Serve("a")
		h.Offer(func(p *daemontest.Provider) { p.Response = subscription.Response{} })
		h.Update()
		list, _ := h.Do(ipc.Request{Type: ipc.KindSubscriptionList})
		if sub := list.(ipc.SubscriptionListPayload).Subscriptions[0]; sub.Announce != "" || sub.SupportURL != "" || sub.WebPageURL != "" || sub.Name != "From the body" {
			t.Errorf("what is no longer said is still shown: %+v", sub)
		}
	})
}

// The token in the address is in nothing that leaves the daemon.
func TestAddressStaysSecret(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		added := h.Add(ipc.Request{})
		h.Offer(func(p *daemontest.Provider) { p.Err = errors.New("something") })
		updated := h.Update()
		list, _ := h.Do(ipc.Request{Type: ipc.KindSubscriptionList})
		if text := fmt.Sprintf("%+v %+v %+v %+v", added, added.Refresh, updated, list); strings.Contains(text, "secret-token") || !strings.Contains(text, "https://provider.test/…") {
			t.Error(text)
		}
	})
}

// An address, interval or name that is no good is refused before anybody is asked, and so is the
// 101st subscription.
func TestRefusedSubscriptions(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		for name, r := range map[string]ipc.Request{
			"file":       {URL: "file:///etc/passwd"},
			"no host":    {URL: "https://"},
			"link":       {URL: "vless://x@y:1"},
			"too long":   {URL: "https://host.test/" + strings.Repeat("x", 8<<10)},
			"often":      {URL: daemontest.ProviderAddress, IntervalSecs: 60},
			"negative":   {URL: daemontest.ProviderAddress, IntervalSecs: -1},
			"overflow":   {URL: daemontest.ProviderAddress, IntervalSecs: 1 << 62},
			"escape":     {URL: daemontest.ProviderAddress, Name: "a\x1b[31m"},
			"right left": {URL: daemontest.ProviderAddress, Name: "a\u202eb"},
		} {
			r.Type = ipc.KindSubscriptionAdd
			if _, err := h.Do(r); ipc.CodeOf(err) != ipc.CodeInvalidState {
				t.Errorf("%s: %v", name, err)
			}
		}
		if all, _ := h.Memory.Subscriptions(t.Context()); len(all) != 0 || len(h.Requests()) != 0 {
			t.Errorf("%v", all)
		}
		for n := range 101 {
			_, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionAdd, URL: fmt.Sprintf("https://host.test/%d", n), NoUpdate: true})
			if (err != nil) != (n == 100) {
				t.Errorf("number %d: %v", n, err)
			}
		}
	})
}

// Updates of random bodies against a model: what is offered is there, what is not is retired, and
// every server keeps its first id for ever.
func TestRefreshModel(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("s0")
		h.Add(ipc.Request{})
		ids := map[string]int64{"s0": 1}
		random := h.World.Random
		for range 60 {
			var names []string
			for n := range 12 {
				if random.IntN(3) == 0 {
					names = append(names, fmt.Sprintf("s%d", n))
				}
			}
			random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
			before, live := h.List(), 0
			all, _ := h.Memory.Configs(t.Context())
			for _, c := range all {
				if !c.Retired() {
					live++
				}
			}
			h.Serve(names...)
			r := h.Update()
			if believed := len(names) > 0 && 2*len(names) >= live; r.OK != believed {
				t.Fatalf("%v: %+v", names, r)
			} else if !believed {
				h.WantList(before)
			}
			if len(names) == 0 {
				continue
			}
			if !r.OK {
				r = h.Accept()
			}
			if r.Added+r.Kept+r.Revived != len(names) {
				t.Fatalf("%v: %+v", names, r)
			}
			all, _ = h.Memory.Configs(t.Context())
			for _, c := range all {
				if first, seen := ids[c.Name]; seen && first != c.ID {
					t.Fatalf("%s had id %d and has %d", c.Name, first, c.ID)
				}
				ids[c.Name] = c.ID
				if c.Retired() == slices.Contains(names, c.Name) {
					t.Fatalf("%s: retired %v with %v", c.Name, c.Retired(), names)
				}
			}
		}
	})
}
