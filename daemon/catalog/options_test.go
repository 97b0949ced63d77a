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
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// set changes the first subscription.
func set(h *daemontest.Harness, private *bool, a ipc.SubscriptionArguments) (ipc.SubscriptionPayload, error) {
	h.T.Helper()
	payload, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionSet, IDs: []int64{1}, Private: private, SubscriptionArguments: a})
	if err != nil {
		return ipc.SubscriptionPayload{}, err
	}
	return payload.(ipc.SubscriptionListPayload).Subscriptions[0], nil
}

// The provider is asked as the user has said, by hand and by itself, until he says otherwise, and
// what is secret of that is in nothing that leaves the daemon.
func TestSubscriptionIsAskedAsSaid(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		pin := strings.Repeat("ab", 32)
		added := h.Add(ipc.Request{SubscriptionArguments: ipc.SubscriptionArguments{
			UserAgent: new("clash"), Headers: []string{"x-key: hidden", "Cookie=a=hidden"}, HWID: new(true), Pin: &pin,
		}})
		s := added.Subscription
		if s.UserAgent != "clash" || fmt.Sprint(s.Headers) != "[X-Key Cookie]" || !s.HWID || s.Pin == "" || s.CA {
			t.Errorf("%+v", s)
		}
		time.Sleep(27 * time.Hour)
		asked := h.Requests()
		if len(asked) != 2 {
			t.Fatalf("%d requests", len(asked))
		}
		for _, r := range asked {
			if r.UserAgent != "clash" || len(r.Headers) != 2 || r.Headers[0].Value != "hidden" || r.Headers[1].Value != "a=hidden" || r.Pin != s.Pin || r.CA != "" || r.Private {
				t.Errorf("%#v", r)
			}
			if r.Device == nil || r.Device.ID != asked[0].Device.ID || len(r.Device.ID) != 32 || r.Device.Name == "" {
				t.Errorf("the device is %+v", r.Device)
			}
		}
		h.Offer(func(p *daemontest.Provider) { p.Err = errors.New("something") })
		updated := h.Update()
		list, _ := h.Do(ipc.Request{Type: ipc.KindSubscriptionList})
		if text := fmt.Sprintf("%+v %+v %+v", added, updated, list); strings.Contains(text, "hidden") || strings.Contains(text, "0123456789abcdef") {
			t.Error(text)
		}

		changed, err := set(h, new(true), ipc.SubscriptionArguments{Headers: []string{"X-Key=hidden"}, HWID: new(false), UserAgent: new("")})
		if err != nil || changed.UserAgent != "" || len(changed.Headers) != 1 || changed.HWID || changed.Pin != s.Pin || !changed.Private {
			t.Errorf("%+v, %v", changed, err)
		}
		h.Requests()
		h.Update()
		if r := h.Requests()[0]; r.UserAgent != "" || len(r.Headers) != 1 || r.Device != nil || !r.Private {
			t.Errorf("%#v", r)
		}
		if changed, err = set(h, nil, ipc.SubscriptionArguments{Headers: []string{}, Pin: new("")}); err != nil || len(changed.Headers) != 0 || changed.Pin != "" {
			t.Errorf("%+v, %v", changed, err)
		}
	})
}

// What the provider sent to another client is no answer for this one.
func TestAskingDifferentlyIsUnconditional(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		h.Offer(func(p *daemontest.Provider) { p.Response.ETag = `"1"` })
		h.Add(ipc.Request{})
		h.Requests()
		next := func() subscription.Request {
			time.Sleep(27 * time.Hour)
			synctest.Wait()
			asked := h.Requests()
			return asked[len(asked)-1]
		}
		if r := next(); r.ETag == "" {
			t.Error("the first automatic update is unconditional")
		}
		if _, err := set(h, nil, ipc.SubscriptionArguments{UserAgent: new("clash")}); err != nil {
			t.Fatal(err)
		}
		if r := next(); r.ETag != "" || r.UserAgent != "clash" {
			t.Errorf("%#v with %q", r, r.ETag)
		}
		if r := next(); r.ETag == "" {
			t.Error("the one after that is unconditional")
		}
		if _, err := set(h, nil, ipc.SubscriptionArguments{Never: []string{"tag:x"}}); err != nil {
			t.Fatal(err)
		}
		if r := next(); r.ETag == "" {
			t.Error("rules make it unconditional")
		}
	})
}

// What cannot be is refused before anything is changed, without the secrets.
func TestRefusedOptions(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		if _, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionAdd, URL: "http://plain.test/x", NoUpdate: true}); err != nil {
			t.Fatal(err)
		}
		pin := strings.Repeat("ab", 32)
		for says, a := range map[string]ipc.SubscriptionArguments{
			"nothing to change":      {},
			"printable ASCII":        {UserAgent: new("a\nb")},
			"Host cannot be set":     {Headers: []string{"Host=hidden"}},
			"not written NAME=VALUE": {Headers: []string{"hidden"}},
			"17 headers":             {Headers: make([]string, 17)},
			"no certificate":         {CA: new("nonsense")},
			"not the SHA-256":        {Pin: new("hidden")},
			"https://":               {Pin: &pin},
			"two letters such as DE": {Only: []string{"country:Germany"}},
			"no rules by":            {Never: []string{"city:Berlin"}},
		} {
			if _, err := set(h, nil, a); ipc.CodeOf(err) != ipc.CodeInvalidState || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%s: %v", says, err)
			}
			_, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionAdd, URL: "http://other.test/x", NoUpdate: true, SubscriptionArguments: a})
			if says != "nothing to change" && ipc.CodeOf(err) != ipc.CodeInvalidState {
				t.Errorf("adding, %s: %v", says, err)
			}
		}
		for _, r := range []ipc.Request{{IDs: []int64{9}, Name: "x"}, {IDs: []int64{1, 2}, Name: "x"}, {IDs: []int64{}}, {IDs: []int64{1}, IntervalSecs: 5}} {
			r.Type = ipc.KindSubscriptionSet
			if _, err := h.Do(r); err == nil {
				t.Errorf("%+v is accepted", r)
			}
		}
		if all, _ := h.Memory.Subscriptions(t.Context()); all[0].Name != "plain.test" || all[0].Pin+all[0].CA+all[0].UserAgent != "" {
			t.Errorf("%+v", all)
		}
	})
}

// Rules of a subscription count at once.
func TestRulesOfSubscriptionsAreSet(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a", "b")
		h.Add(ipc.Request{Name: "first", SubscriptionArguments: ipc.SubscriptionArguments{Never: []string{"name:a"}}})
		if got := keptAway(h); got != "a:never name:a (first)" {
			t.Errorf("kept away: %q", got)
		}
		before := h.State().ConfigsRevision
		if s, err := set(h, nil, ipc.SubscriptionArguments{Only: []string{"name:/^a/"}, Never: []string{}}); err != nil || !slices.Equal(s.Only, []string{"name:/^a/"}) || len(s.Never) != 0 {
			t.Errorf("%+v, %v", s, err)
		}
		if got := keptAway(h); got != "b:only name:/^a/ (first)" {
			t.Errorf("kept away: %q", got)
		}
		if h.State().ConfigsRevision == before {
			t.Error("nobody is told that the list has changed")
		}
		if _, err := set(h, nil, ipc.SubscriptionArguments{Only: []string{}}); err != nil || keptAway(h) != "" {
			t.Errorf("%v, %q", err, keptAway(h))
		}
	})
}

// Without an id that stays, no provider is asked: each new one would count as another device.
func TestDeviceWithoutAnIDIsNotTold(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		h.Add(ipc.Request{NoUpdate: true, SubscriptionArguments: ipc.SubscriptionArguments{HWID: new(true)}})
		h.Before(failing("DeviceID"))
		if r := h.Update(); r.OK || len(h.Requests()) != 0 {
			t.Errorf("%+v", r)
		}
		h.Before(nil)
		if r := h.Update(); !r.OK {
			t.Errorf("%+v", r.Error)
		}
	})
}

// A name of one's own network is looked up by nobody else.
func TestPrivateNamesAreFetchedDirectly(t *testing.T) {
	daemontest.Bubble(t, "one", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		h.Serve("a")
		for address, proxied := range map[string]bool{"http://nas.lan/x": false, "http://nas/x": false, "https://panel.provider.test/x": true} {
			if _, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionAdd, URL: address, Private: new(true)}); err != nil {
				t.Fatal(err)
			}
			if asked := h.Requests(); len(asked) != 1 || (asked[0].Proxy != nil) != proxied {
				t.Errorf("%s: %v", address, asked)
			}
		}
	})
}

// An answer about devices is not asked for again by another way.
func TestDeviceLimitIsFinal(t *testing.T) {
	daemontest.Bubble(t, "one", nil, func(h *daemontest.Harness) {
		h.Connect(1)
		h.Offer(func(p *daemontest.Provider) {
			p.Err = &subscription.Error{Code: subscription.CodeDeviceLimit, Message: "too many devices"}
		})
		if r := h.Add(ipc.Request{}).Refresh; r.OK || r.Error.Code != subscription.CodeDeviceLimit || r.Error.Message != "too many devices" || len(h.Requests()) != 1 {
			t.Errorf("%+v, %+v", r, r.Error)
		}
	})
}
