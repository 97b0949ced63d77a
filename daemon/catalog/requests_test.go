package catalog_test

import (
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/daemon/daemontest"
	"github.com/xrat-tray/xrat/daemon/ipc"
	"github.com/xrat-tray/xrat/daemon/store"
)

// An edit of several configs is made for all of them or, when it is refused, for none, and the tray
// learns of it.
func TestUpdateConfigs(t *testing.T) {
	daemontest.Bubble(t, "one two three", nil, func(h *daemontest.Harness) {
		yes := true
		before := h.State().ConfigsRevision
		payload, err := h.Do(ipc.Request{Type: ipc.KindConfigUpdate, IDs: []int64{3, 1, 3}, Pinned: &yes, AddTags: []string{"home"}})
		if err != nil {
			t.Fatal(err)
		}
		if c := payload.(ipc.ConfigUpdatePayload).Configs; len(c) != 2 || c[0].ID != 1 || !c[0].Pinned || c[1].Tags[0] != "home" {
			t.Errorf("%+v", c)
		}
		if after := h.State().ConfigsRevision; after == before {
			t.Error("the tray does not learn of it")
		}
		many := make([]string, 32)
		for i := range many {
			many[i] = strings.Repeat("x", i+1)
		}
		for name, r := range map[string]ipc.Request{
			"nothing":            {IDs: []int64{1}},
			"nobody":             {IDs: []int64{}, Pinned: &yes},
			"two with a name":    {IDs: []int64{1, 2}, Name: "x"},
			"pinned, excluded":   {IDs: []int64{1}, Pinned: &yes, Excluded: &yes},
			"escapes":            {IDs: []int64{1}, Name: "x\x1b]0;title\x07"},
			"right to left":      {IDs: []int64{1}, Name: "\u202excod"},
			"line":               {IDs: []int64{1}, Name: "a\nb"},
			"spaces":             {IDs: []int64{1}, Name: " a"},
			"long":               {IDs: []int64{1}, Name: strings.Repeat("ä", 200+1)},
			"no text":            {IDs: []int64{1}, Name: "\xff"},
			"tag with a space":   {IDs: []int64{1}, AddTags: []string{"a b"}},
			"tag like a flag":    {IDs: []int64{1}, AddTags: []string{"-a"}},
			"tag with an escape": {IDs: []int64{1}, AddTags: []string{"a\x1b"}},
			"no tag":             {IDs: []int64{1}, AddTags: []string{""}},
			"long tag":           {IDs: []int64{1}, AddTags: []string{strings.Repeat("x", 40+1)}},
			"many tags":          {IDs: []int64{2, 1}, AddTags: many},
		} {
			r.Type = ipc.KindConfigUpdate
			if _, err := h.Do(r); ipc.CodeOf(err) != ipc.CodeInvalidState {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := h.Do(ipc.Request{Type: ipc.KindConfigUpdate, IDs: []int64{1, 9}, Excluded: &yes}); ipc.CodeOf(err) != ipc.CodeNotFound {
			t.Errorf("%v", err)
		}
		if c, _ := h.Memory.Config(t.Context(), 1); !c.Pinned || c.Excluded || c.Name != "one" || len(c.Tags) != 1 {
			t.Errorf("a refused change was made: %+v", c)
		}
	})
}

// Every format that subscriptions come in can be imported, and nothing of a hostile one but its
// servers.
func TestImportFormats(t *testing.T) {
	for name, text := range map[string]string{
		"links":  "socks://h:1#n\n",
		"base64": "c29ja3M6Ly9oOjEjbgo=",
		"Clash":  "proxies:\n- {name: n, type: socks5, server: h, port: 1}\n",
		"Xray":   `{"log":{"access":"/tmp/evil"},"inbounds":[{"port":1}],"outbounds":[{"tag":"n","protocol":"socks","settings":{"servers":[{"address":"h","port":1}]}}]}`,
	} {
		daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
			payload, err := h.Do(ipc.Request{Type: ipc.KindConfigImport, Text: text})
			if err != nil {
				t.Fatal(err)
			}
			p := payload.(ipc.ConfigImportPayload)
			if len(p.Added) != 1 || p.Added[0].Name != "n" || p.Added[0].Source != store.SourceImport {
				t.Errorf("%s: %+v", name, p)
			}
		})
	}
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		for text, want := range map[string]ipc.ImportErrorPayload{
			"socks://h:1\n\nvless://bad":                                       {Line: 3},
			"proxies:\n- {type: socks5, server: h, port: 1}\n- {type: tuic}\n": {Entry: 2},
			"proxies:\n- {type: socks5, server: h, port: 1}\nproxy-providers:\n  p: {type: http, url: 'https://p.test/secret'}\n": {Kept: true},
		} {
			payload, err := h.Do(ipc.Request{Type: ipc.KindConfigImport, Text: text})
			if p, _ := payload.(ipc.ConfigImportPayload); err != nil || len(p.Errors) != 1 || p.Errors[0].Entry != want.Entry || p.Errors[0].Kept != want.Kept || p.Errors[0].Line != want.Line {
				t.Errorf("%q: %+v, %v", text, payload, err)
			}
		}
		payload, err := h.Do(ipc.Request{Type: ipc.KindConfigImport, Text: "socks://h:1\nsocks://127.0.0.1:1#3 GB left"})
		if p, _ := payload.(ipc.ConfigImportPayload); err != nil || len(p.Errors) != 0 || len(p.Notices) != 1 || p.Notices[0] != "3 GB left" {
			t.Errorf("%+v, %v", payload, err)
		}
	})
	daemontest.Bubble(t, "", nil, func(h *daemontest.Harness) {
		h.Serve("a", "b")
		payload, err := h.Do(ipc.Request{Type: ipc.KindConfigImport, URL: daemontest.ProviderAddress})
		if p, _ := payload.(ipc.ConfigImportPayload); err != nil || len(p.Added) != 2 {
			t.Errorf("%+v, %v", payload, err)
		}
		if subs, _ := h.Memory.Subscriptions(t.Context()); len(subs) != 0 {
			t.Error("a subscription was added")
		}
		h.Offer(func(p *daemontest.Provider) { p.Body = "<html>" })
		payload, err = h.Do(ipc.Request{Type: ipc.KindConfigImport, URL: daemontest.ProviderAddress})
		if p, _ := payload.(ipc.ConfigImportPayload); err != nil || len(p.Errors) != 1 || p.Errors[0].Code != "web_page" {
			t.Errorf("%+v, %v", payload, err)
		}
		for _, r := range []ipc.Request{{}, {Text: "x", URL: daemontest.ProviderAddress}, {URL: "ftp://x"}} {
			r.Type = ipc.KindConfigImport
			if _, err := h.Do(r); ipc.CodeOf(err) != ipc.CodeInvalidState {
				t.Errorf("%+v: %v", r, err)
			}
		}
	})
}
