//go:build linux

package xray

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

// hostileFields are settings of the core that read or write files, change this machine's sockets
// and routes, or send traffic elsewhere. No link may set one.
var hostileFields = []string{
	"masterKeyLog", "certificateFile", "keyFile", "certificates", "allowInsecure", "echServerKeys", "echSockopt", "show", "sockopt", "mark", "interface", "tproxy",
	"tcpFastOpen", "dialerProxy", "customSockopt", "addressPortStrategy", "sendThrough", "proxySettings", "targetStrategy", "tag", "redirect", "fragment", "noises",
	"inbounds", "inbound", "outbounds", "routing", "dns", "log", "access", "loglevel", "api", "metrics", "listen", "stats", "policy", "env", "geodata", "transport",
	"reverse", "observatory", "fakedns", "version", "downloadSettings", "acceptProxyProtocol", "masquerade", "dir", "debug", "level", "email", "xicmp", "listenIp",
	"noKernelTun", "domainStrategy", "workers", "finalmask", "fm", "streamSettings", "tlsSettings", "realitySettings", "tcpSettings", "hysteriaSettings", "settings",
}

// outboundFields are all fields that an outbound may have, at whatever level. Below "headers" any
// name may stand.
var outboundFields = strings.Fields(`
		protocol settings streamSettings mux enabled concurrency vnext servers address port users id flow encryption security user pass method password
		network tlsSettings realitySettings tcpSettings wsSettings httpupgradeSettings grpcSettings xhttpSettings kcpSettings hysteriaSettings finalmask
		serverName alpn fingerprint pinnedPeerCertSha256 verifyPeerCertByName echConfigList echForceQuery publicKey shortId spiderX mldsa65Verify
		host path serviceName authority multiMode mode extra header type request headers mtu tti
		udp domain quicParams brutalUp brutalDown udpHop ports interval keepAlivePeriod version auth
		secretKey peers preSharedKey endpoint keepAlive allowedIPs reserved domainStrategy noKernelTun
		xPaddingBytes xPaddingObfsMode xPaddingKey xPaddingHeader xPaddingPlacement xPaddingMethod uplinkHTTPMethod sessionPlacement sessionKey seqPlacement seqKey
		uplinkDataPlacement uplinkDataKey uplinkChunkSize noGRPCHeader noSSEHeader scMaxEachPostBytes scMinPostsIntervalMs scMaxBufferedPosts scStreamUpServerSecs
		tcp packets length delay maxSplit noise reset rand randRange packet clients servers client server password ascii customTable customTables paddingMin paddingMax
		congestion initStreamReceiveWindow maxStreamReceiveWindow initConnectionReceiveWindow maxConnectionReceiveWindow maxIdleTimeout disablePathMTUDiscovery
		downloadSettings
		xmux maxConcurrency maxConnections cMaxReuseTimes hMaxRequestTimes hMaxReusableSecs hKeepAlivePeriod`)

// TestHostileFieldsGetNowhere plants every hostile field wherever a link could carry one.
func TestHostileFieldsGetNowhere(t *testing.T) {
	const marker = "/home/u/.hostile-marker"
	quoted, _ := json.Marshal(marker)
	base := "example.org:443?security=tls&type="
	accepted, rejected := 0, 0
	for _, field := range hostileFields {
		object := `{"` + field + `":` + string(quoted) + `}`
		nested := `{"` + field + `":` + `{"` + field + `":` + string(quoted) + `}}`
		pair := "&" + field + "=" + url.QueryEscape(marker)
		list := []string{
			"vless://" + testUUID + "@" + base + "tcp" + pair,
			"vless://" + testUUID + "@" + base + "ws" + pair,
			"vless://" + testUUID + "@" + base + "kcp" + pair,
			"vless://" + testUUID + "@example.org:443?security=reality&pbk=" + testKey + pair,
			"trojan://x@" + base + "grpc" + pair,
			"ss://aes-256-gcm:x@example.org:443?" + pair,
			"ss://aes-256-gcm:x@example.org:443?plugin=" + url.QueryEscape("v2ray-plugin;mux=0;"+field+"="+marker),
			"socks://example.org:443?" + pair,
			"http://example.org:443?" + pair,
			"hy2://x@example.org:443?" + pair,
			"wg://" + testKey + "@example.org:443?publickey=" + testKey + pair,
		}
		for _, value := range []string{object, nested} {
			list = append(list,
				"vless://"+testUUID+"@"+base+"tcp&"+field+"="+url.QueryEscape(value),
				"vless://"+testUUID+"@"+base+"xhttp&extra="+url.QueryEscape(value),
				"vless://"+testUUID+"@"+base+"xhttp&extra="+url.QueryEscape(`{"xmux":`+value+`}`),
				"vless://"+testUUID+"@"+base+"xhttp&extra="+url.QueryEscape(`{"extra":`+value+`}`),
				"vless://"+testUUID+"@"+base+"xhttp&extra="+url.QueryEscape(`{"downloadSettings":{"address":"a.org","port":1,`+value[1:]+`}`),
				"vless://"+testUUID+"@"+base+"xhttp&extra="+url.QueryEscape(`{"downloadSettings":{"address":"a.org","port":1,"security":"tls","tlsSettings":`+value+`}}`),
				"vless://"+testUUID+"@"+base+"xhttp&extra="+url.QueryEscape(`{"downloadSettings":{"address":"a.org","port":1,"xhttpSettings":`+value+`}}`),
				"vmess://"+base64.StdEncoding.EncodeToString([]byte(`{"add":"example.org","port":443,"id":"a","net":"ws","tls":"tls",`+value[1:])),
				"vmess://"+base64.StdEncoding.EncodeToString([]byte(`{"add":"example.org","port":443,"id":"a","net":"xhttp","extra":`+value+`}`)),
				"hy2://x@example.org:443?fm="+url.QueryEscape(value),
				"hy2://x@example.org:443?fm="+url.QueryEscape(`{"quicParams":`+value+`}`),
				"vless://"+testUUID+"@"+base+"ws&fm="+url.QueryEscape(`{"tcp":[{"type":"fragment","settings":`+value+`}]}`),
				"vless://"+testUUID+"@"+base+"ws&fm="+url.QueryEscape(`{"tcp":[{"type":"header-custom","settings":{"clients":[[`+value+`]]}}]}`),
				"vless://"+testUUID+"@"+base+"kcp&fm="+url.QueryEscape(`{"udp":[{"type":"noise","settings":{"noise":[`+value+`]}}]}`),
				"vless://"+testUUID+"@"+base+"kcp&fm="+url.QueryEscape(`{"udp":[`+value+`]}`),
			)
		}
		for _, s := range list {
			l, err := link.Parse(s)
			if err != nil {
				rejected++
				continue
			}
			accepted++
			raw, err := Outbound(l)
			if err != nil {
				t.Fatalf("%s: %v", s, err)
			}
			if strings.Contains(string(raw), marker) {
				t.Errorf("%s gives %s", s, raw)
			}
			checkFields(t, s, raw)
		}
	}
	if accepted == 0 || rejected == 0 {
		t.Errorf("%d accepted, %d rejected: the test does not plant what it should", accepted, rejected)
	}
}

// checkFields fails for a field that outbounds do not have.
func checkFields(t *testing.T, from string, raw json.RawMessage) {
	t.Helper()
	var tree any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	var walk func(node any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			for name, child := range node {
				if !slices.Contains(outboundFields, name) {
					t.Errorf("%s makes an outbound with the field %q", from, name)
				}
				if name != "headers" {
					walk(child)
				}
			}
		case []any:
			for _, child := range node {
				walk(child)
			}
		}
	}
	walk(tree)
}

// TestHostileValuesAreRejected plants values that the core would take for something else:
// environment variables, files, sockets.
func TestHostileValuesAreRejected(t *testing.T) {
	for _, value := range []string{"env:HOME", "/etc/passwd", "@abstract", "unix:/run/x", "file:///etc/passwd", "geosite:cn", "ext:a.dat:b", "${HOME}", "\x00", "a\nb"} {
		escaped := url.QueryEscape(value)
		for _, s := range []string{
			"vless://" + testUUID + "@" + escaped + ":443",
			"vless://" + testUUID + "@example.org:" + escaped,
			"hy2://x@example.org:443?mport=" + escaped,
			"hy2://x@example.org:443," + escaped,
			"wg://" + testKey + "@example.org:443?publickey=" + testKey + "&address=" + escaped,
			"wg://" + testKey + "@example.org:443?publickey=" + testKey + "&allowedips=" + escaped,
			"wg://" + testKey + "@example.org:443?publickey=" + testKey + "&dns=" + escaped,
			"wg://" + testKey + "@example.org:443?publickey=" + testKey + "&reserved=" + escaped,
			"wg://" + testKey + "@example.org:443?publickey=" + escaped,
			"vless://" + testUUID + "@example.org:443?security=tls&pcs=" + escaped,
			"vless://" + testUUID + "@example.org:443?type=kcp&headerType=dns&host=" + escaped,
		} {
			if l, err := link.Parse(s); err == nil {
				t.Errorf("%q is accepted as %v", s, l)
			}
		}
	}
}
