package catalog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
	"github.com/xrat-tray/xrat/daemon/store/storetest"
	"github.com/xrat-tray/xrat/runtime/link"
	"github.com/xrat-tray/xrat/runtime/subscription"
)

// Panels draw short ids, spider paths and server names anew for each answer. The servers stay what
// they were, with all that is known of them.
func TestUpdatesWithRandomDetailsChangeNothing(t *testing.T) {
	daemontest.Bubble(t, "", daemontest.WithStandby, func(h *daemontest.Harness) {
		for i := range 30 {
			h.Set(fmt.Sprint("s", i), daemontest.Alive)
			h.Set(fmt.Sprint("w", i), daemontest.Alive)
		}
		serve := func() {
			var b strings.Builder
			for i := range 30 {
				random := h.World.Random
				fmt.Fprintf(&b, "vless://11111111-2222-4333-8444-%012d@s%d:443?security=reality&pbk=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8&sni=site%d.example&sid=%04x&spx=/%d#s%d\n",
					i, i, random.IntN(9), random.IntN(1<<16), random.IntN(1000), i)
				fmt.Fprintf(&b, "trojan://x%d@w%d:443?type=ws&path=/a&sni=front%d.example&host=front%d.example#w%d %d GB\n",
					i, i, random.IntN(9), random.IntN(9), i, random.IntN(100))
			}
			h.Offer(func(p *daemontest.Provider) { p.Body = b.String() })
		}
		serve()
		h.Add(ipc.Request{})
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigUpdate, IDs: []int64{5}, Pinned: new(true), AddTags: []string{"mine"}}); err != nil {
			t.Fatal(err)
		}
		h.Connect(5)
		h.Settle()
		before := h.State()
		for range 10 {
			serve()
			time.Sleep(time.Hour)
			if r := h.Update(); !r.OK || r.Kept != 60 || r.Added+r.Retired+r.Revived > 0 {
				t.Fatalf("%+v", r)
			}
		}
		synctest.Wait()
		if s := h.State(); s.Session == nil || s.Session.ID != before.Session.ID {
			t.Errorf("%+v", s)
		}
		configs, _ := h.Memory.Configs(t.Context())
		newest, err := subscription.Parse([]byte(h.World.Provider.Body))
		if err != nil || len(configs) != 60 {
			t.Fatal(len(configs), err)
		}
		for i, e := range newest.Entries {
			if c := configs[i]; c.Link != e.Link.URI() || c.Identity != e.Link.Identity() || c.Name != e.Link.Name {
				t.Errorf("%s is not what was sent last", c.Name)
			}
		}
		if c := configs[4]; !c.Pinned || !slices.Equal(c.Tags, []string{"mine"}) {
			t.Errorf("%+v", c)
		}
	})
}

// A server that goes on under the same name at another port or with another user keeps what the
// user has decided about it, and what is known of it.
func TestRenewedServerKeepsWhatIsKnownOfIt(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Offer(func(p *daemontest.Provider) { p.Body = "socks://a:1080#a\nsocks://b:1080#b\nsocks://c:1080#c\n" })
		h.Add(ipc.Request{})
		for _, r := range []ipc.Request{
			{IDs: []int64{2}, Pinned: new(true), Name: "mine"}, {IDs: []int64{3}, Excluded: new(true), Favourite: new(true), AddTags: []string{"x"}},
		} {
			r.Type = ipc.KindConfigUpdate
			if _, err := h.Do(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := h.Memory.UpdateOutcomes(t.Context(), []int64{2}, func(o *store.Outcome) { o.Successes = 7 }); err != nil {
			t.Fatal(err)
		}
		h.Offer(func(p *daemontest.Provider) { p.Body = "socks://a:1080#a\nsocks://b:2080#b\nsocks://d:1080#C\n" })
		if r := h.Update(); !r.OK || r.Kept != 3 || r.Added+r.Retired > 0 {
			t.Fatalf("%+v", r)
		}
		h.WantList("a1 mine2 C3")
		configs, _ := h.Memory.Configs(t.Context())
		b, c := configs[1], configs[2]
		if !b.Pinned || b.Port != 2080 || !c.Excluded || !c.Favourite || c.Address != "d" || !slices.Equal(c.Tags, []string{"x"}) {
			t.Errorf("%+v, %+v", b, c)
		}
		if outcomes, _ := h.Memory.Outcomes(t.Context()); outcomes[2].Successes != 7 {
			t.Errorf("%+v", outcomes)
		}
		if r := h.Update(); r.Kept != 3 || r.Added+r.Retired > 0 {
			t.Errorf("the next update: %+v", r)
		}
	})
}

// What the user has imported is nobody else's to change, nor what another subscription has.
func TestOnlyOnesOwnServersAreRenewed(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigImport, Text: "socks://a:1080#a"}); err != nil {
			t.Fatal(err)
		}
		h.Offer(func(p *daemontest.Provider) { p.Body = "socks://a:1080#a\nsocks://b:1080#b\nsocks://c:1080#c\n" })
		h.Add(ipc.Request{})
		h.Offer(func(p *daemontest.Provider) { p.Body = "socks://b:1080#b\n" })
		if _, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionAdd, URL: "https://other.test/x"}); err != nil {
			t.Fatal(err)
		}
		h.Offer(func(p *daemontest.Provider) { p.Body = "socks://a:2080#a\nsocks://b:2080#b\nsocks://c:1080#c\n" })
		if _, err := h.Do(ipc.Request{Type: ipc.KindSubscriptionUpdate, IDs: []int64{1}}); err != nil {
			t.Fatal(err)
		}
		h.WantList("a1 b2 c3 a4 b5")
	})
}

// What panels send when an account has ended takes nothing away and adds nothing.
func TestMessageInPlaceOfServersTakesNothingAway(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a", "b", "c")
		h.Add(ipc.Request{})
		for _, remark := range []string{
			"Subscription expired", "Подписка закончилась", "اشتراک شما به پایان رسیده است", "您的套餐已过期", "Aboneliğiniz sona erdi", "Tu suscripción ha caducado",
		} {
			h.Offer(func(p *daemontest.Provider) {
				p.Body = "vless://00000000-0000-0000-0000-000000000000@0.0.0.0:1?encryption=none&security=none#" + remark
			})
			r := h.Update()
			if r.OK || r.Error == nil || r.Error.Code != subscription.CodeNotice || !strings.Contains(r.Error.Message, remark) {
				t.Errorf("%s: %+v", remark, r)
			}
			h.WantList("a1 b2 c3")
			sub, _ := h.Memory.Subscriptions(t.Context())
			if sub[0].ErrorCode != subscription.CodeNotice || !slices.Equal(sub[0].Notices, []string{remark}) || sub[0].Failures == 0 {
				t.Errorf("%s: %+v", remark, sub[0])
			}
		}
		h.Serve("a", "b", "c")
		if r := h.Update(); !r.OK || r.Kept != 3 {
			t.Errorf("%+v", r)
		}
	})
}

// A list that has shrunk to less than half is believed when it stays so for a day, or when the user
// says so.
func TestShrunkListIsBelievedLater(t *testing.T) {
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a", "b", "c", "d", "e")
		h.Add(ipc.Request{})
		h.Serve("a", "x")
		began := time.Now()
		for n := range 50 {
			r := h.Update()
			if r.OK {
				if n < 2 || time.Since(began) < 24*time.Hour {
					t.Errorf("believed after %d updates and %v", n+1, time.Since(began))
				}
				break
			}
			if r.Error.Code != subscription.CodeShrank || !strings.Contains(r.Error.Message, "2 servers") || !strings.Contains(r.Error.Message, "--accept") {
				t.Fatalf("%+v", r.Error)
			}
			h.WantList("a1 b2 c3 d4 e5")
			if time.Sleep(5 * time.Hour); n == 49 {
				t.Error("never believed")
			}
		}
		h.WantList("a1 (b2) (c3) (d4) (e5) x6")

		// One good answer, and the next has to be told again and again.
		h.Serve("a", "b", "c", "d", "e")
		h.Update()
		h.Serve("a")
		if r := h.Update(); r.OK {
			t.Errorf("%+v", r)
		}
		if r := h.Accept(); !r.OK || r.Retired != 4 {
			t.Errorf("%+v", r)
		}
		h.WantList("a1 (b2) (c3) (d4) (e5) (x6)")
	})
}

// The configs of an earlier version keep their ids, and those that are one server by now both stay
// until the provider says what there is.
func TestConfigsOfAnEarlierVersion(t *testing.T) {
	const reality = "vless://11111111-2222-4333-8444-555555555555@h:443?security=reality&pbk=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8&sni=a.example&sid=%s#%s"
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Offer(func(p *daemontest.Provider) { p.Body = fmt.Sprintf(reality, "03", "now") })
		h.Add(ipc.Request{NoUpdate: true})
		h.Stop()
		h.Edit(func(r *storetest.Records) {
			for id, link := range map[int64]string{1: fmt.Sprintf(reality, "01", "first"), 2: fmt.Sprintf(reality, "02", "second"), 3: "socks://s:1#third", 4: "unknown://x"} {
				r.Configs[id] = store.Config{ID: id, Name: fmt.Sprint("c", id), Link: link, Identity: fmt.Sprint("old", id), Source: store.SourceSubscription, Subscriptions: []int64{1}}
			}
			c := r.Configs[1]
			c.RetiredAt = time.Now()
			r.Configs[1] = c
		})
		h.Boot(nil)
		configs, _ := h.Memory.Configs(t.Context())
		l, err := link.Parse(configs[1].Link)
		if err != nil || configs[1].Identity != l.Identity() || configs[0].Identity != "old1" || configs[2].IdentityV != link.IdentityVersion || configs[3].Identity != "old4" {
			t.Errorf("%v, %+v", err, configs)
		}
		if r := h.Accept(); !r.OK || r.Added != 0 || r.Kept != 1 {
			t.Errorf("%+v", r)
		}
		h.WantList("(c11) now2 (c33) (c44)")
	})
}
