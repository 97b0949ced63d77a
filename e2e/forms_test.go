//go:build linux

package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/lab"
)

// TestEveryForm gives servers to the product in the forms in which other programs and panels write
// them, connects, and moves bytes through the front.
func TestEveryForm(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	origin := b.lab.Origin()
	b.settings(fmt.Sprintf("urls = [%q]\n", origin.RemoteURL("/generate_204")), "[rotation]\nenabled = false\n") // each serves when it is asked to
	add := func(name string, kind lab.Kind) (*url.URL, url.Values) {
		server, err := b.lab.AddServer(name, kind)
		must(t, err)
		b.servers = append(b.servers, server)
		link, err := url.Parse(server.Link())
		must(t, err)
		return link, link.Query()
	}
	with := func(link *url.URL, query url.Values, more ...string) string {
		for i := 0; i < len(more); i += 2 {
			query.Set(more[i], more[i+1])
		}
		link.RawQuery = query.Encode()
		return link.String()
	}
	files := map[string]string{}

	link, query := add("split", lab.VLESSTLS)
	files["split.txt"] = with(link, query, "fragment", "20-40,1-2,tlshello")
	link, query = add("masked", lab.VLESSTLS)
	files["masked.txt"] = with(link, query, "fm", `{"tcp":[{"type":"fragment","settings":{"packets":"tlshello","length":"20-40","delay":"1-2"}}]}`)
	link, query = add("extra", lab.VLESSXHTTP)
	files["extra.txt"] = with(link, query, "mode", "packet-up",
		"extra", `{"mode":"packet-up","headers":{"User-Agent":"Mozilla/5.0 (X11)"},"xPaddingBytes":"100-200","scMaxEachPostBytes":"100000-200000","noGRPCHeader":false}`)
	link, query = add("hops", lab.Hysteria2)
	files["hops.txt"] = with(link, query, "mport", link.Port(), "insecure", "0", "type", "tcp")

	link, query = add("box", lab.VLESSReality)
	files["sing-box.json"] = fmt.Sprintf(`{ // as sing-box has it
		"outbounds": [
			{"type": "selector", "tag": "all", "outbounds": ["box"]},
			{"type": "vless", "tag": "box", "server": %q, "server_port": %s, "uuid": %q, "flow": %q, "packet_encoding": "xudp",
			 "tls": {"enabled": true, "server_name": %q, "utls": {"enabled": true, "fingerprint": "chrome"}, "reality": {"enabled": true, "public_key": %q, "short_id": %q}}},
			{"type": "direct", "tag": "direct"},
		],
	}`, link.Hostname(), link.Port(), link.User.Username(), query.Get("flow"), query.Get("sni"), query.Get("pbk"), query.Get("sid"))

	link, query = add("tunnel", lab.WireGuard)
	files["tunnel.conf"] = fmt.Sprintf("# as wg-quick has it\n[Interface]\nPrivateKey = %s\nAddress = %s\nDNS = 192.0.2.53\nMTU = %s\n\n[Peer]\nPublicKey = %s\nAllowedIPs = 0.0.0.0/0, ::/0\nEndpoint = %s\nPersistentKeepalive = 25\n",
		link.User.Username(), query.Get("address"), query.Get("mtu"), query.Get("publickey"), link.Host)

	link, query = add("lines", lab.VLESSWS)
	files["quantumult.txt"] = fmt.Sprintf("[server_local]\nvless=%s, method=none, password=%s, obfs=ws, obfs-uri=%s, tag=lines\n", link.Host, link.User.Username(), query.Get("path"))

	for name, text := range files {
		path := b.path(name)
		must(t, os.WriteFile(path, []byte(text), 0o600))
		if out := b.ok("import", path); strings.Contains(out, "left out") {
			t.Errorf("%s: %s", name, out)
		}
	}
	proxy := &url.URL{Scheme: "socks5", Host: b.socks}
	for _, s := range b.servers {
		b.ok("connect", s.Name())
		transport := &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}
		client := &http.Client{Transport: transport, Timeout: 20 * time.Second}
		if got := fetch(t, client, http.MethodGet, origin.RemoteURL("/exit"), ""); got != s.Name() {
			t.Errorf("%s: left through %q", s.Name(), got)
		}
		const size = 1 << 20
		if got := fetch(t, client, http.MethodGet, origin.RemoteURL(fmt.Sprintf("/bytes?n=%d", size)), ""); len(got) != size {
			t.Errorf("%s: %d of %d bytes came", s.Name(), len(got), size)
		}
	}
	if got := filepath.Base(b.path("tunnel.conf")); !strings.Contains(b.ok("list"), strings.TrimSuffix(got, ".conf")) {
		t.Error("the file of wg-quick gave no name")
	}
}

// A core that is older than what a server needs is named, with both versions, and serves what it
// can.
func TestOlderCoreIsNamed(t *testing.T) {
	t.Parallel()
	b := newBox(t, "")
	older := b.path("older-xray")
	must(t, os.WriteFile(older, fmt.Appendf(nil, "#!/bin/sh\n[ \"$1\" = version ] && echo 'Xray 25.3.6 (Xray)' && exit\nexec '%s' \"$@\"\n", programs.core), 0o700))
	b.settings(fmt.Sprintf("urls = [%q]\n", b.lab.Origin().URL("/generate_204")), fmt.Sprintf("[core]\npath = %q\n", older))
	b.serve(lab.VLESS, lab.Hysteria2)
	b.ok("connect", "s1")
	b.fails(1, "Hysteria 2 needs Xray 26.1.13 or newer, and the core in use is 25.3.6", "rotate", "s2")
	if r := b.run("test", "s2", "--json"); r.code != 1 || !strings.Contains(r.out, "26.1.13") {
		t.Errorf("test: %+v", r)
	}
	if got := b.exit(); got != "s1" {
		t.Errorf("left through %q", got)
	}
}
