package subscription_test

import (
	"crypto/mlkem"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"strings"
)

// dice draws what servers have that no two of them share. The same seed draws the same.
type dice struct{ *rand.Rand }

func newDice(seed uint64) dice { return dice{rand.New(rand.NewPCG(seed, 11))} }

func (d dice) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(d.Uint32())
	}
	return b
}

func (d dice) uuid() string {
	h := hex.EncodeToString(d.bytes(16))
	return h[:8] + "-" + h[8:12] + "-4" + h[13:16] + "-a" + h[17:20] + "-" + h[20:]
}

func (d dice) key(n int) string    { return base64.StdEncoding.EncodeToString(d.bytes(n)) }
func (d dice) rawKey(n int) string { return base64.RawURLEncoding.EncodeToString(d.bytes(n)) }

// encapsulationKey is one of ML-KEM-768: not every text of that length is.
func (d dice) encapsulationKey() string {
	key, err := mlkem.NewDecapsulationKey768(d.bytes(mlkem.SeedSize))
	if err != nil {
		return err.Error()
	}
	return base64.RawURLEncoding.EncodeToString(key.EncapsulationKey().Bytes())
}

func (d dice) letters(n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"[d.IntN(52)]
	}
	return string(b)
}

func pick[T any](d dice, list ...T) T { return list[d.IntN(len(list))] }

var remarks = []string{
	"Germany-user1-12.34GB📊-29D,3H⏳", "⛔️N/A", "🇩🇪 Германия ⚡️ | 5.20GB", "🇮🇷 آلمان - مانده: ۲۹ روز", "می\u200cشود", "德国 01 [剩余 30天]", "トルコ #1 & 2?", "👨‍👩‍👧 family",
	"100% up, \"quoted\" \\ <b>", "{{USERNAME}} 🚀 [VLESS - ws]", "a+b = c/d", "München: größer; 🏴󠁧󠁢󠁥󠁮󠁧󠁿", "@channel | t.me/name", "plain",
}

var hosts = []string{
	"198.51.100.7", "de1.a.org", "NL.Cdn.a.org", "2001:db8::7", "сервер.a.org", "节点.a.org", "سرور.a.org", "münchen.a.org", "node_1.a.org", "a1b2c3d4e5f60718.w.a.org",
}

// passwords have what links cannot carry without escapes.
var passwords = []string{"plain-1", "p/a#s?s", "p@ss:w0rd", "50%25", "a b+c&d=e", "пароль", `q"u'o\te`, "AAAA/BBBB+CC=="}

const userAgent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/136.0 Accept/xhtml+xml"

// transports are what the panels offer for the inbounds of Xray.
func transports() []transport {
	list := []transport{
		{kind: "tcp"},
		{kind: "tcp", disguised: true, host: "www.a.org", path: "/"},
		{kind: "tcp", disguised: true, host: "speed.a.org", path: "/images/a b.html"},
		{kind: "grpc", service: "svc"},
		{kind: "grpc", service: "svc", multi: true},
		{kind: "grpc", service: "a/b c", authority: "cdn.a.org"},
		{kind: "grpc", service: "/my/path/Tun|TunMulti", multi: true},
	}
	for _, kind := range []string{"ws", "httpupgrade"} {
		for _, path := range []string{"/", "/ws", "/a b", "/a+b", "/ü/путь", "/p?x=1&y=2", "no-slash", "/emoji🚀"} {
			list = append(list, transport{kind: kind, path: path, host: "cdn.a.org"})
		}
		list = append(list, transport{kind: kind, path: "/none"}, transport{kind: kind, path: "/idn", host: "节点.a.org"}, transport{kind: kind, path: "/ed", host: "cdn.a.org", early: 2560}, transport{kind: kind, path: "/ed?x=1", host: "CDN.a.org", early: 2048})
	}
	for _, mode := range []string{"", "auto", "packet-up", "stream-up", "stream-one"} {
		for _, extra := range extras(mode) {
			list = append(list, transport{kind: "xhttp", path: "/x", host: "cdn.a.org", mode: mode, extra: extra})
		}
		list = append(list, transport{kind: "xhttp", path: "/a b+c", mode: mode})
	}
	for _, header := range []string{"", "srtp", "utp", "wechat-video", "dtls", "wireguard"} {
		list = append(list, transport{kind: "kcp", header: header}, transport{kind: "kcp", header: header, seed: "se/ed +1"})
	}
	return append(list, transport{kind: "kcp", header: "dns", domain: "www.a.org", seed: "x"})
}

func extras(mode string) []map[string]any {
	list := []map[string]any{
		nil,
		{"xPaddingBytes": "100-1000"},
		{"xPaddingBytes": "100-1000", "noGRPCHeader": true, "scMaxEachPostBytes": 1000000, "scMinPostsIntervalMs": "10-50"},
		{"headers": map[string]any{"User-Agent": userAgent, "X-Pad": "1"}},
		{"xmux": map[string]any{"maxConcurrency": "16-32", "cMaxReuseTimes": "64-128", "hMaxRequestTimes": "600-900", "hMaxReusableSecs": "1800-3000", "hKeepAlivePeriod": 30}},
		{"xmux": map[string]any{"maxConnections": 6, "maxConcurrency": 0}, "scMaxBufferedPosts": 30, "scStreamUpServerSecs": "20-80"},
		{"xPaddingBytes": "50-150", "xPaddingObfsMode": true, "xPaddingKey": "_dc", "xPaddingHeader": "X-Cache", "xPaddingPlacement": "queryInHeader", "xPaddingMethod": "tokenish"},
		{"sessionPlacement": "cookie", "sessionKey": "sid", "seqPlacement": "header", "seqKey": "X-Seq"},
	}
	if mode == "packet-up" {
		list = append(list, map[string]any{"uplinkHTTPMethod": "GET", "uplinkDataPlacement": "header", "uplinkDataKey": "X-Data", "uplinkChunkSize": 4096})
	}
	if mode != "stream-one" {
		list = append(list, map[string]any{"downloadSettings": map[string]any{
			"address": "down.a.org", "port": 8443, "network": "xhttp", "security": "tls",
			"tlsSettings":   map[string]any{"serverName": "down.a.org", "alpn": []any{"h2"}, "fingerprint": "firefox"},
			"xhttpSettings": map[string]any{"host": "down.a.org", "path": "/x", "mode": "auto"},
		}})
	}
	return list
}

const echConfig = "AEX+DQBBpQAgACB0ZXN0LXRlc3QtdGVzdC10ZXN0LXRlc3QtdGVzdC10ZXN0AAQAAQABAA1lY2gtcHVibGljLm9yZwAA"

// securities are what panels offer for a transport. Only some transports go with REALITY.
func securities(d dice, t transport) []security {
	pin := strings.Repeat("0123456789abcdef", 4)
	list := []security{
		{kind: "none"},
		{kind: "tls"},
		{kind: "tls", sni: "sni.a.org", alpn: []string{"h2", "http/1.1"}, fp: "firefox"},
		{kind: "tls", sni: "SNI.a.org", alpn: []string{"h3"}, fp: "random"},
		{kind: "tls", sni: "sni.a.org", fp: "randomized", ech: echConfig},
		{kind: "tls", sni: "sni.a.org", fp: "ios", ech: "https://203.0.113.53/dns-query"},
		{kind: "tls", sni: "sni.a.org", ech: "front.a.org+udp://203.0.113.53"},
		{kind: "tls", sni: "sni.a.org", fp: "edge", pins: pin, names: "other.a.org"},
		{kind: "tls", sni: "sni.a.org", fp: "qq", insecure: true},
		{kind: "tls", sni: "münchen.a.org"},
	}
	switch t.kind {
	case "tcp", "grpc", "xhttp":
		if t.disguised {
			break
		}
		key := d.rawKey(32)
		list = append(list,
			security{kind: "reality", sni: "www.b.org", fp: "chrome", publicKey: key},
			security{kind: "reality", sni: "www.b.org", fp: "safari", publicKey: key, shortID: "a1", spiderX: "/"},
			security{kind: "reality", sni: "www.c.org", fp: "firefox", publicKey: key, shortID: hex.EncodeToString(d.bytes(8)), spiderX: "/" + d.letters(15)},
			security{kind: "reality", sni: "www.c.org", fp: "random", publicKey: key, shortID: "12345e67", spiderX: "/a b?c=d"},
			security{kind: "reality", sni: "www.c.org", fp: "chrome", publicKey: key, shortID: "00112233", postQuanta: d.rawKey(1952)})
	}
	return list
}

// servers are all combinations for VLESS, and every other one for the other protocols of Xray.
func servers(d dice, protocol string) []server {
	var list []server
	for i, t := range transports() {
		for j, secure := range securities(d, t) {
			if protocol != "vless" && (i+j)%2 == 0 {
				continue
			}
			s := server{
				protocol: protocol, remark: remarks[len(list)%len(remarks)], host: hosts[len(list)%len(hosts)], port: 1024 + d.IntN(60000), transport: t, security: secure,
			}
			if secure.kind == "none" && t.kind == "tcp" && !t.disguised {
				s.port = 80
			}
			switch protocol {
			case "vless":
				s.secret, s.encryption = d.uuid(), "none"
			case "vmess":
				s.secret, s.method = d.uuid(), pick(d, "auto", "aes-128-gcm", "chacha20-poly1305", "none", "zero")
			case "trojan":
				s.secret = passwords[len(list)%len(passwords)]
			}
			list = append(list, s)
			if protocol == "vless" && t.kind == "tcp" && !t.disguised {
				if secure.kind != "none" {
					s.flow = pick(d, "xtls-rprx-vision", "xtls-rprx-vision-udp443")
				}
				s.encryption = "mlkem768x25519plus." + pick(d, "native", "xorpub", "random") + "." + pick(d, "0rtt", "1rtt.100-111-1111.75-0-111") + "." + pick(d, d.rawKey(32), d.encapsulationKey())
				list = append(list, s)
				if secure.kind != "none" {
					s.encryption = "none"
					list = append(list, s)
				}
			}
		}
	}
	return list
}

// shadowsocksServers are over TCP without security, as clients of other programs need them.
func shadowsocksServers(d dice) []server {
	var list []server
	add := func(method, password string) {
		list = append(list, server{
			protocol: "shadowsocks", remark: remarks[len(list)%len(remarks)], host: hosts[len(list)%len(hosts)], port: 1024 + d.IntN(60000), method: method, secret: password,
			transport: transport{kind: "tcp"}, security: security{kind: "none"},
		})
	}
	for _, method := range []string{"aes-128-gcm", "aes-256-gcm", "chacha20-ietf-poly1305", "xchacha20-ietf-poly1305"} {
		for _, password := range passwords {
			add(method, password)
		}
	}
	for range 4 {
		add("2022-blake3-aes-128-gcm", d.key(16)+":"+d.key(16))
		add("2022-blake3-aes-256-gcm", d.key(32)+":"+d.key(32))
		add("2022-blake3-aes-256-gcm", d.key(32))
		add("2022-blake3-chacha20-poly1305", d.key(32))
	}
	return list
}

func hysteriaServers(d dice) []server {
	var list []server
	for _, q := range []quic{
		{}, {salamander: "cry me/a+river"}, {ports: "20000-50000"}, {ports: "443,5000-6000,7000", interval: "30"}, {up: 100, down: 200}, {salamander: "x", ports: "1000-2000", up: 50},
	} {
		for _, secure := range []security{
			{kind: "tls", sni: "sni.a.org", alpn: []string{"h3"}},
			{kind: "tls", sni: "sni.a.org", alpn: []string{"h3"}, insecure: true},
			{kind: "tls", sni: "sni.a.org", alpn: []string{"h3"}, pins: strings.Repeat("0123456789abcdef", 4)},
			{kind: "tls", alpn: []string{"h3"}},
		} {
			list = append(list, server{
				protocol: "hysteria2", remark: remarks[len(list)%len(remarks)], host: hosts[len(list)%len(hosts)], port: 443, secret: passwords[len(list)%len(passwords)],
				transport: transport{kind: "hysteria"}, security: secure, quic: q,
			})
		}
	}
	return list
}

func tunnelServers(d dice) []server {
	var list []server
	for i, t := range []tunnel{
		{addresses: "10.0.0.2"}, {addresses: "10.0.0.2,fd00::2", mtu: 1280}, {addresses: "10.0.0.3", preShared: d.key(32), keepAlive: 25}, {addresses: "10.0.0.4", reserved: "1,2,255"},
	} {
		t.publicKey = d.key(32)
		list = append(list, server{
			protocol: "wireguard", remark: remarks[i], host: hosts[i], port: 51820, secret: d.key(32), transport: transport{kind: "udp"}, security: security{kind: "none"}, tunnel: t,
		})
	}
	return list
}

// split is what the mask fragment of the core is in JSON.
func split(packets, length, delay string) map[string]any {
	return map[string]any{"tcp": []any{map[string]any{"type": "fragment", "settings": map[string]any{"packets": packets, "length": length, "delay": delay}}}}
}

// lines is a list of links, one a line.
func lines(entries []string) string { return strings.Join(entries, "\n") + "\n" }

// encoded is the same in base64.
func encoded(entries []string) string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Join(entries, "\n")))
}

// bracketed writes an address of IPv6 as links need it.
func bracketed(host string) string {
	if strings.Contains(host, ":") {
		return "[" + host + "]"
	}
	return host
}

func hostPort(s server) string { return fmt.Sprintf("%s:%d", bracketed(s.host), s.port) }
