//go:build linux

package xray

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/link"
)

// refused returns the links whose outbounds the core refuses, with its reasons. One bad outbound
// fails a whole configuration, so the links are halved until the bad ones are alone.
func refused(t *testing.T, core string, links []link.Link) map[string]string {
	t.Helper()
	if len(links) == 0 {
		return nil
	}
	outbounds := make([]map[string]any, len(links))
	for i, l := range links {
		raw, err := Outbound(l)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(raw, &outbounds[i]); err != nil {
			t.Fatal(err)
		}
		outbounds[i]["tag"] = fmt.Sprint("out", i)
	}
	config, err := json.Marshal(map[string]any{"log": map[string]any{"loglevel": "none"}, "outbounds": outbounds})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, core, "run", "-test", "-c", "stdin:")
	cmd.Env = []string{}
	cmd.Dir = t.TempDir()
	cmd.Stdin = bytes.NewReader(config)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if len(links) == 1 {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		return map[string]string{links[0].Identity() + " " + links[0].String(): lines[len(lines)-1]}
	}
	bad := refused(t, core, links[:len(links)/2])
	for l, why := range refused(t, core, links[len(links)/2:]) {
		if bad == nil {
			bad = map[string]string{}
		}
		bad[l] = why
	}
	return bad
}

// TestCoreAcceptsCorpus runs the core on the lists of links in XRAT_LINK_CORPUS; without the
// variable it has nothing to do.
func TestCoreAcceptsCorpus(t *testing.T) {
	dir := os.Getenv("XRAT_LINK_CORPUS")
	if dir == "" {
		return
	}
	core := realCore(t)
	files, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no .txt files in XRAT_LINK_CORPUS (%v)", err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var links []link.Link
		for line := range strings.Lines(string(text)) {
			if l, err := link.Parse(line); err == nil {
				links = append(links, l)
			}
		}
		t.Logf("%s: %d links", filepath.Base(file), len(links))
		for rest := links; len(rest) > 0; {
			n := min(1000, len(rest))
			for l, why := range refused(t, core, rest[:n]) {
				t.Errorf("%s: %s", l, why)
			}
			rest = rest[n:]
		}
	}
}

const (
	testUUID = "11111111-2222-4333-8444-555555555555"
	testKey  = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
)

func TestOutbound(t *testing.T) {
	tests := []struct {
		name, link, want string
	}{
		{
			"VLESS, REALITY, Vision",
			"vless://" + testUUID + "@example.org:443?flow=xtls-rprx-vision&security=reality&sni=www.example.com&fp=firefox&pbk=" + testKey + "&sid=01ab&spx=/x",
			`{"protocol":"vless","settings":{"vnext":[{"address":"example.org","port":443,"users":[{"id":"` + testUUID + `","flow":"xtls-rprx-vision","encryption":"none"}]}]},` +
				`"streamSettings":{"network":"tcp","security":"reality","realitySettings":{"serverName":"www.example.com","fingerprint":"firefox","publicKey":"` + testKey + `","shortId":"01ab","spiderX":"/x"}}}`,
		},
		{
			"VMess, WebSocket, TLS",
			"vmess://" + testUUID + "@192.0.2.1:443?type=ws&security=tls&host=cdn.example.org&path=/a&ed=2048&alpn=http/1.1&allowInsecure=1",
			`{"protocol":"vmess","settings":{"vnext":[{"address":"192.0.2.1","port":443,"users":[{"id":"` + testUUID + `","security":"auto"}]}]},` +
				`"streamSettings":{"network":"ws","security":"tls","tlsSettings":{"serverName":"cdn.example.org","alpn":["http/1.1"]},"wsSettings":{"host":"cdn.example.org","path":"/a?ed=2048"}}}`,
		},
		{
			"Trojan, gRPC",
			"trojan://secret@[2001:db8::1]:443?type=grpc&serviceName=s&mode=multi",
			`{"protocol":"trojan","settings":{"servers":[{"address":"2001:db8::1","port":443,"password":"secret"}]},` +
				`"streamSettings":{"network":"grpc","security":"tls","tlsSettings":{},"grpcSettings":{"serviceName":"s","multiMode":true}}}`,
		},
		{
			"Shadowsocks",
			"ss://aes-256-gcm:secret@example.org:8388",
			`{"protocol":"shadowsocks","settings":{"servers":[{"address":"example.org","port":8388,"method":"aes-256-gcm","password":"secret"}]},"streamSettings":{"network":"tcp","security":"none"}}`,
		},
		{
			"SOCKS",
			"socks://user:secret@example.org:1080",
			`{"protocol":"socks","settings":{"servers":[{"address":"example.org","port":1080,"users":[{"user":"user","pass":"secret"}]}]},"streamSettings":{"network":"tcp","security":"none"}}`,
		},
		{
			"HTTP over TLS with mux",
			"https://example.org:8443?mux=4",
			`{"protocol":"http","settings":{"servers":[{"address":"example.org","port":8443}]},"streamSettings":{"network":"tcp","security":"tls","tlsSettings":{}},"mux":{"enabled":true,"concurrency":4}}`,
		},
		{
			"raw with an HTTP header",
			"vless://" + testUUID + "@example.org:80?headerType=http&path=/a,/b",
			`{"protocol":"vless","settings":{"vnext":[{"address":"example.org","port":80,"users":[{"id":"` + testUUID + `","encryption":"none"}]}]},` +
				`"streamSettings":{"network":"tcp","security":"none","tcpSettings":{"header":{"type":"http","request":{"path":["/a","/b"]}}}}}`,
		},
		{
			"XHTTP",
			"vless://" + testUUID + `@example.org:80?type=xhttp&host=h.example.org&mode=packet-up&extra={"xPaddingBytes":"1-9","noGRPCHeader":true}`,
			`{"protocol":"vless","settings":{"vnext":[{"address":"example.org","port":80,"users":[{"id":"` + testUUID + `","encryption":"none"}]}]},` +
				`"streamSettings":{"network":"xhttp","security":"none","xhttpSettings":{"host":"h.example.org","path":"/","mode":"packet-up","extra":{"noGRPCHeader":true,"xPaddingBytes":"1-9"}}}}`,
		},
		{
			"XHTTP, a second way",
			"vless://" + testUUID + `@example.org:80?type=xhttp&extra={"noGRPCHeader":true,"downloadSettings":{"address":"d.example.org","port":443,"xhttpSettings":{"path":"/d"}}}`,
			`{"protocol":"vless","settings":{"vnext":[{"address":"example.org","port":80,"users":[{"id":"` + testUUID + `","encryption":"none"}]}]},` +
				`"streamSettings":{"network":"xhttp","security":"none","xhttpSettings":{"path":"/","mode":"auto","extra":{"downloadSettings":{"address":"d.example.org","port":443,"network":"xhttp","xhttpSettings":{"path":"/d"}},"noGRPCHeader":true}}}}`,
		},
		{
			"mKCP",
			"vless://" + testUUID + "@example.org:80?type=kcp&headerType=dns&host=d.example.org&seed=secret&mtu=1200",
			`{"protocol":"vless","settings":{"vnext":[{"address":"example.org","port":80,"users":[{"id":"` + testUUID + `","encryption":"none"}]}]},` +
				`"streamSettings":{"network":"kcp","security":"none","kcpSettings":{"mtu":1200},"finalmask":{"udp":[{"type":"header-dns","settings":{"domain":"d.example.org"}},{"type":"mkcp-aes128gcm","settings":{"password":"secret"}}]}}}`,
		},
		{
			"mKCP as it always was",
			"vless://" + testUUID + "@example.org:80?type=kcp&headerType=wechat-video",
			`{"protocol":"vless","settings":{"vnext":[{"address":"example.org","port":80,"users":[{"id":"` + testUUID + `","encryption":"none"}]}]},` +
				`"streamSettings":{"network":"kcp","security":"none","kcpSettings":{},"finalmask":{"udp":[{"type":"header-wechat"},{"type":"mkcp-original"}]}}}`,
		},
		{
			"Hysteria 2",
			"hy2://user:secret@example.org:443,5000-6000?obfs=salamander&obfs-password=o&hop-interval=10-30&up=50&down=100",
			`{"protocol":"hysteria","settings":{"version":2,"address":"example.org","port":443},` +
				`"streamSettings":{"network":"hysteria","security":"tls","tlsSettings":{"serverName":"example.org"},"hysteriaSettings":{"version":2,"auth":"user:secret"},` +
				`"finalmask":{"udp":[{"type":"salamander","settings":{"password":"o"}}],"quicParams":{"brutalUp":"50 mbps","brutalDown":"100 mbps","udpHop":{"ports":"443,5000-6000","interval":"10-30"},"keepAlivePeriod":10}}}}`,
		},
		{
			"Hysteria 2 that does not say how long to stay on a port",
			"hy2://x@example.org:443?mport=5000-6000",
			`{"protocol":"hysteria","settings":{"version":2,"address":"example.org","port":443},` +
				`"streamSettings":{"network":"hysteria","security":"tls","tlsSettings":{"serverName":"example.org"},"hysteriaSettings":{"version":2,"auth":"x"},` +
				`"finalmask":{"quicParams":{"udpHop":{"ports":"5000-6000","interval":"30"},"keepAlivePeriod":10}}}}`,
		},
		{
			"split packets",
			"trojan://secret@example.org:443?fragment=1,40-60,30-50,tlshello",
			`{"protocol":"trojan","settings":{"servers":[{"address":"example.org","port":443,"password":"secret"}]},"streamSettings":{"network":"tcp","security":"tls","tlsSettings":{},` +
				`"finalmask":{"tcp":[{"type":"fragment","settings":{"delay":"30-50","length":"40-60","packets":"tlshello"}}]}}}`,
		},
		{
			"Hysteria 2, noise",
			`hy2://secret@example.org:443?obfs=salamander&obfs-password=o&fm={"udp":[{"type":"noise","settings":{"noise":[{"rand":5}]}}],"quicParams":{"congestion":"bbr","keepAlivePeriod":20}}`,
			`{"protocol":"hysteria","settings":{"version":2,"address":"example.org","port":443},` +
				`"streamSettings":{"network":"hysteria","security":"tls","tlsSettings":{"serverName":"example.org"},"hysteriaSettings":{"version":2,"auth":"secret"},` +
				`"finalmask":{"udp":[{"type":"noise","settings":{"noise":[{"rand":"5"}]}},{"type":"salamander","settings":{"password":"o"}}],"quicParams":{"congestion":"bbr","keepAlivePeriod":20}}}}`,
		},
		{
			"WireGuard",
			"wireguard://" + testKey + "@[2001:db8::1]:51820?publickey=" + testKey + "&presharedkey=" + testKey + "&address=10.0.0.2/24,2001:db8::2&allowedips=10.0.0.0/8&reserved=1,2,3&mtu=1280&keepalive=25",
			`{"protocol":"wireguard","settings":{"secretKey":"` + testKey + `=","address":["10.0.0.2","2001:db8::2"],"peers":[{"publicKey":"` + testKey + `=","preSharedKey":"` + testKey + `=",` +
				`"endpoint":"[2001:db8::1]:51820","keepAlive":25,"allowedIPs":["10.0.0.0/8"]}],"mtu":1280,"reserved":[1,2,3],"domainStrategy":"ForceIPv4v6","noKernelTun":true}}`,
		},
	}
	var links []link.Link
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := mustParse(tt.link)
			links = append(links, l)
			got, err := Outbound(l)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	for l, why := range refused(t, realCore(t), links) {
		t.Errorf("the core refuses %s: %s", l, why)
	}
}

// TestCoreAccepts runs the core on settings that it checks and that are easy to get wrong.
func TestCoreAccepts(t *testing.T) {
	extra := `{"headers":{"X-A":"b"},"xPaddingBytes":"100-1000","xPaddingObfsMode":true,"xPaddingKey":"k","xPaddingHeader":"X-P","xPaddingPlacement":"cookie","xPaddingMethod":"tokenish",` +
		`"uplinkHTTPMethod":"GET","sessionPlacement":"header","sessionKey":"s","seqPlacement":"query","seqKey":"q","uplinkDataPlacement":"header","uplinkDataKey":"d","uplinkChunkSize":"10-20",` +
		`"noGRPCHeader":"true","noSSEHeader":true,"scMaxEachPostBytes":1000000,"scMinPostsIntervalMs":"30","scMaxBufferedPosts":"30","scStreamUpServerSecs":"20-80",` +
		`"xmux":{"maxConcurrency":"16-32","maxConnections":0,"cMaxReuseTimes":"64-128","hMaxRequestTimes":"600-900","hMaxReusableSecs":"1800-3000","hKeepAlivePeriod":10}}`
	base := "vless://" + testUUID + "@example.org:443?"
	reality := base + "security=reality&pbk=" + testKey
	list := []string{
		reality,
		reality + "&sid=0123456789abcdef&type=grpc&serviceName=/a/b|c",
		reality + "&type=xhttp&pqv=" + strings.Repeat("A", 2603),
		base + "type=xhttp&mode=packet-up&extra=" + strings.ReplaceAll(extra, "&", "%26"),
		base + "encryption=mlkem768x25519plus.native.0rtt." + testKey,
		base + "encryption=mlkem768x25519plus.random.1rtt.100-111-1111.75-0-111." + testKey + "." + strings.Repeat("A", 1579),
		base + "security=tls&pcs=" + strings.Repeat("ab", 32) + "&vcn=a.example.org&ech=AAECAw==&fp=hellochrome_120_pq",
		base + "security=tls&fp=unsafe&type=httpupgrade&path=/a&ed=100",
		"vless://short-name@example.org:443",
		"ss://2022-blake3-aes-128-gcm:AAECAwQFBgcICQoLDA0ODw%3D%3D%3AAAECAwQFBgcICQoLDA0ODw==@example.org:8388",
		"ss://2022-blake3-chacha20-poly1305:" + testKey + "@example.org:8388?type=ws&security=tls",
		"ss://none:x@example.org:8388",
		"ss://xchacha20-ietf-poly1305:x@example.org:8388",
		"hy2://example.org",
		"hy2://x@192.0.2.1:443?mport=443,1000-2000&up=1&pinSHA256=" + strings.Repeat("ab", 32) + "&fp=chrome",
		"wg://example.org?privatekey=" + testKey + "&publickey=" + testKey,
		base + "type=kcp&headerType=srtp&tti=1000",
		base + "type=kcp&headerType=utp&mtu=1460",
		base + "type=kcp&headerType=dtls&seed=s&security=tls",
		base + "type=kcp&headerType=wireguard",
		base + "type=kcp&headerType=dns",
		base + "security=tls&fragment=1-5,0,1-3,7",
		base + "security=tls&ech=e.example.org%2Bhttps://192.0.2.1/dns-query&echForceQuery=none",
		base + `type=xhttp&extra={"xPaddingBytes":0,"downloadSettings":{"address":"d.example.org","port":443,"security":"reality","realitySettings":{"publicKey":"` + testKey + `"},"finalmask":{"tcp":[{"type":"fragment","settings":{"length":"1-3"}}]}}}`,
		base + `type=xhttp&fm={"tcp":[{"type":"header-custom","settings":{"clients":[[{"packet":[1]},{"rand":3,"delay":"1-2","randRange":"1-9"}]],"servers":[[{"type":"hex","packet":"00"}]]}},` +
			`{"type":"sudoku","settings":{"password":"p","customTables":["xpxvvpvv"],"paddingMax":5}}],"quicParams":{"brutalUp":"1500 kbps","udpHop":{"ports":"1-2","interval":"5-9"},"initStreamReceiveWindow":16384}}`,
		base + `type=kcp&seed=s&fm={"udp":[{"type":"noise","settings":{"reset":"5-9","noise":[{"rand":"1-9","randRange":"1-9","delay":4},{"type":"str","packet":"x"}]}}]}`,
		`hy2://x@example.org:443?fm={"udp":[{"type":"header-custom","settings":{"client":[{"rand":2}],"server":[{"packet":[1,2]}]}},{"type":"xdns","settings":{"domain":"d.example.org"}}],` +
			`"quicParams":{"congestion":"force-brutal","brutalUp":"1 gbps","maxIdleTimeout":30,"disablePathMTUDiscovery":true,"maxConnectionReceiveWindow":1048576}}`,
		"wg://example.org?privatekey=" + testKey + "&publickey=" + testKey + `&fm={"udp":[{"type":"noise","settings":{"noise":[{"rand":5}]}}]}`,
	}
	var links []link.Link
	for _, s := range list {
		links = append(links, mustParse(s))
	}
	core := realCore(t)
	for l, why := range refused(t, core, links) {
		t.Errorf("the core refuses %s: %s", l, why)
	}

	// Unless the core also refuses links, the above means nothing.
	bad := link.Link{
		Protocol: link.ProtocolShadowsocks, Host: "example.org", Port: 1, Transport: link.Raw{},
		Account: link.Shadowsocks{Method: "rc4-md5", Password: link.NewSecret("x")},
	}
	if got := refused(t, core, append(links, bad)); len(got) != 1 {
		t.Errorf("the core refuses %d of the links, want the bad one only", len(got))
	}
}

func TestOutboundOfIncompleteLink(t *testing.T) {
	for _, l := range []link.Link{{}, {Account: link.Trojan{Password: link.NewSecret("marked-secret")}}} {
		_, err := Outbound(l)
		if err == nil {
			t.Errorf("%v: no error", l)
		} else if strings.Contains(err.Error(), "marked-secret") {
			t.Error("the error contains the secret")
		}
	}
}
