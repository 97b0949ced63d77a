package subscription

import (
	"encoding/base64"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

// FuzzParse: no panic, no entry that link.Parse does not accept, nothing shown that a terminal would obey.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/hostile/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 8<<10 {
			f.Add(data)
		}
	}
	for _, body := range []string{
		plainList, vlessOutbound, "[" + vlessOutbound + "]", base64.URLEncoding.EncodeToString([]byte(plainList)),
		"proxies:\n- {name: n, type: hysteria2, server: a.org, ports: 1-2, password: p, up: 1 Mbps, obfs: salamander, obfs-password: x}\n",
		"proxies:\n- {name: n, type: wireguard, server: a.org, port: 1, private-key: " + pbk + ", peers: [{server: b.org, port: 2, public-key: " + pbk + ", reserved: [1,2,3]}]}\n",
		"proxies:\n- &a {type: vless, uuid: u, server: a, port: 1, network: xhttp, tls: true, xhttp-opts: {mode: auto, reuse-settings: {max-connections: 1}}}\n- <<: *a\n",
		`{"protocol":"hysteria","settings":{"address":"a","port":1},"streamSettings":{"finalmask":{"udp":[{"type":"salamander","settings":{"password":"x"}}],"quicParams":{"brutalUp":"1 mbps"}}}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Parse(data)
		if (err == nil) != (len(b.Entries) > 0) {
			t.Fatalf("%d entries, %v", len(b.Entries), err)
		}
		for _, e := range b.Entries {
			if l, err := link.Parse(e.Link.URI()); err != nil || l != e.Link {
				t.Errorf("%q is not accepted as a link: %v", e.Link.URI(), err)
			}
			checkShown(t, e.Link.Name)
		}
		for _, p := range b.Problems {
			checkShown(t, p.Name)
			checkShown(t, p.Message)
		}
		for _, n := range b.Notices {
			checkShown(t, n)
		}
		c := Reconcile([]Known{{ID: 1, Identity: "x"}}, b)
		if err != nil && len(c.Retire) > 0 {
			t.Error("a bad body retires")
		}
	})
}

// FuzzHeader: what is shown of the headers is fit for display, and numbers are in their ranges.
func FuzzHeader(f *testing.F) {
	f.Add("upload=1; download=2; total=3; expire=4", "base64:YQ==", `attachment; filename*=UTF-8''%41`, "12")
	f.Add("total=1e300", "\x1b[31m", `inline; filename="../x"`, "1e-9")
	f.Fuzz(func(t *testing.T, usage, title, disposition, interval string) {
		var r Response
		r.readHeader(http.Header{"Subscription-Userinfo": {usage}, "Profile-Title": {title}, "Content-Disposition": {disposition}, "Profile-Update-Interval": {interval}})
		checkShown(t, r.Title)
		if r.UpdateInterval != 0 && (r.UpdateInterval < minInterval || r.UpdateInterval > maxInterval) {
			t.Error(r.UpdateInterval)
		}
	})
}
