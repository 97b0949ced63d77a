package catalog_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// failing lets a method of the store fail.
func failing(name string) func(context.Context, string) error {
	return func(_ context.Context, method string) error {
		if method == name {
			return errors.New("the disk does not like it")
		}
		return nil
	}
}

func reparse(h *daemontest.Harness) ipc.RefreshPayload {
	h.T.Helper()
	payload, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionReparse})
	if err != nil {
		h.T.Fatal(err)
	}
	return payload.(ipc.SubscriptionUpdatePayload).Results[0]
}

// The last good answer is kept and can be read again without the network; one that fails, or that
// says nothing new, leaves it.
func TestReparse(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a", "b")
		h.Offer(func(p *daemontest.Provider) { p.Response.ETag = `"1"` })
		h.Add(ipc.Request{NoUpdate: true})
		if r := reparse(h); r.OK || r.Error.Code != "not_kept" || !strings.Contains(r.Error.Message, "xrat subscription update") {
			t.Errorf("%+v, %+v", r, r.Error)
		}
		h.Update()
		h.WantList("a1 b2")
		// What an earlier version did not understand is understood now.
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigRemove, IDs: []int64{2}}); err != nil {
			t.Fatal(err)
		}
		for name, change := range map[string]func(*daemontest.Provider){
			"a web page": func(p *daemontest.Provider) { p.Body, p.Response.ETag = "<html>", "" },
			"nothing":    func(p *daemontest.Provider) { p.Body = "" },
			"no answer": func(p *daemontest.Provider) {
				p.Err = &subscription.Error{Code: subscription.CodeTimeout, Message: "timeout"}
			},
		} {
			h.Offer(change)
			if r := h.Update(); r.OK {
				t.Errorf("%s: %+v", name, r)
			}
		}
		h.Requests()
		before, _ := h.Do(ipc.Request{Type: ipc.KindSubscriptionList})
		time.Sleep(time.Minute)
		if r := reparse(h); !r.OK || r.Via != "kept" || r.Added != 1 || r.Kept != 1 || r.Retired != 0 {
			t.Errorf("%+v, %+v", r, r.Error)
		}
		h.WantList("a1 b3")
		after, _ := h.Do(ipc.Request{Type: ipc.KindSubscriptionList})
		b, a := before.(ipc.SubscriptionListPayload).Subscriptions[0], after.(ipc.SubscriptionListPayload).Subscriptions[0]
		if !a.UpdatedAt.Equal(*b.UpdatedAt) || !a.AttemptedAt.Equal(*b.AttemptedAt) || a.Failures != b.Failures || a.Error == nil {
			t.Errorf("reading again counts as an update: %+v after %+v", a, b)
		}
		if all, _ := h.Memory.Subscriptions(t.Context()); all[0].ETag != `"1"` {
			t.Errorf("the ETag is %q", all[0].ETag)
		}
		if n := len(h.Requests()); n != 0 {
			t.Errorf("%d requests", n)
		}
	})
}

// Reading again goes by the same rules as an update.
func TestReparseLeavesOutPrivateServers(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Offer(func(p *daemontest.Provider) { p.Body = "socks://a.example:1080#a\nsocks://192.168.1.1:1080#b\n" })
		h.Add(ipc.Request{Private: new(true)})
		h.WantList("a1 b2")
		if _, err := set(h, new(false), ipc.SubscriptionArguments{}); err != nil {
			t.Fatal(err)
		}
		if r := reparse(h); !r.OK || r.Retired != 1 || len(r.Problems) != 1 || r.Problems[0].Code != subscription.CodePrivate {
			t.Errorf("%+v", r)
		}
		h.WantList("a1 (b2)")
	})
}

// An answer that cannot be kept is as good as any, and an update without one that is kept asks for
// all of it: there would be nothing to read again.
func TestUpdateWithoutAKeptAnswer(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		h.Offer(func(p *daemontest.Provider) { p.Response.ETag = `"1"` })
		h.Before(failing("KeepBody"))
		if r := h.Add(ipc.Request{}).Refresh; !r.OK || r.Added != 1 {
			t.Errorf("%+v", r)
		}
		h.Before(nil)
		h.Requests()
		for _, etag := range []string{"", `"1"`} {
			time.Sleep(27 * time.Hour)
			if asked := h.Requests(); len(asked) != 1 || asked[0].ETag != etag {
				t.Errorf("asked %d times, with the ETag %q, want %q", len(asked), asked[0].ETag, etag)
			}
		}
		if r := reparse(h); !r.OK || r.Kept != 1 {
			t.Errorf("%+v", r)
		}
	})
}

// What is read again is doubted like an answer, and nobody is blamed for it.
func TestReparseIsDoubted(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a")
		h.Add(ipc.Request{})
		h.Before(failing("KeepBody"))
		h.Serve("a", "b", "c")
		h.Update()
		h.Before(nil)
		if r := reparse(h); r.OK || r.Error.Code != subscription.CodeShrank || r.Retired != 0 {
			t.Errorf("%+v, %+v", r, r.Error)
		}
		h.WantList("a1 b2 c3")
		if all, _ := h.Memory.Subscriptions(t.Context()); all[0].Failures != 0 || all[0].Doubted != 0 || all[0].Error != "" {
			t.Errorf("%+v", all[0])
		}
	})
}
