package link

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	key := NewSecret(testKey)
	id := NewSecret(testUUID)
	none := NewSecret("none")
	tests := []struct {
		name, in string
		want     Link
	}{
		{
			"VLESS with REALITY and Vision",
			"vless://" + testUUID + "@Example.org:443?encryption=none&flow=xtls-rprx-vision&security=reality&sni=www.example.com&fp=Chrome&pbk=" + testKey + "&sid=01AB&spx=%2F#one%20two",
			Link{ProtocolVLESS, "one two", "example.org", 443, VLESS{id, "xtls-rprx-vision", none}, Raw{},
				REALITY{ServerName: "www.example.com", Fingerprint: "chrome", PublicKey: key, ShortID: NewSecret("01ab")}, 0, Secret{}},
		},
		{
			"advertisements, HTML and raw characters",
			"VLESS://" + testUUID + "@192.0.2.1:80/?security=none=@ch&amp;type=ws&encryption=none=@ch&path=/a b☂&utm_source=x&Host=h.example.org&host=#☂  two\u202e lines%0A",
			Link{ProtocolVLESS, "☂ two lines", "192.0.2.1", 80, VLESS{id, "", none}, WebSocket{"h.example.org", "/a b☂"}, nil, 0, Secret{}},
		},
		{
			"a plus is a plus",
			"vless://" + testUUID + "@192.0.2.1:80?type=ws&path=/a+b#a+b",
			Link{ProtocolVLESS, "a+b", "192.0.2.1", 80, VLESS{id, "", none}, WebSocket{"", "/a+b"}, nil, 0, Secret{}},
		},
		{
			"a plus is a space where all is encoded as a form",
			"vless://" + testUUID + "@192.0.2.1:80?type=ws&path=%2Fa+b&host=h.example.org",
			Link{ProtocolVLESS, "", "192.0.2.1", 80, VLESS{id, "", none}, WebSocket{"h.example.org", "/a b"}, nil, 0, Secret{}},
		},
		{
			"a path may be a link, and a name may have a web address",
			"vless://" + testUUID + "@192.0.2.1:80?type=ws&path=/socks5://192.0.2.2:1080#A https://t.me/x",
			Link{ProtocolVLESS, "A https://t.me/x", "192.0.2.1", 80, VLESS{id, "", none}, WebSocket{"", "/socks5://192.0.2.2:1080"}, nil, 0, Secret{}},
		},
		{
			"a mail address in a text with markup",
			"vless://[" + testUUID + "@192.0.2.1](mailto:" + testUUID + "@192.0.2.1):443?type=tcp",
			Link{ProtocolVLESS, "", "192.0.2.1", 443, VLESS{id, "", none}, Raw{}, nil, 0, Secret{}},
		},
		{
			"a host in another script",
			"vless://" + testUUID + "@Bücher.example:443?security=tls&sni=%E4%BE%8B%E3%81%88.jp",
			Link{ProtocolVLESS, "", "xn--bcher-kva.example", 443, VLESS{id, "", none}, Raw{}, TLS{ServerName: "xn--r8jz45g.jp"}, 0, Secret{}},
		},
		{
			"early data in the path stays there",
			"vless://" + testUUID + "@192.0.2.1:80?type=ws&path=/a%3Fed%3D2560&ed=2560",
			Link{ProtocolVLESS, "", "192.0.2.1", 80, VLESS{id, "", none}, WebSocket{"", "/a?ed=2560"}, nil, 0, Secret{}},
		},
		{
			"early data as a parameter",
			"vless://" + testUUID + "@192.0.2.1:80?type=ws&path=a%3Fb%3D1&ed=2560",
			Link{ProtocolVLESS, "", "192.0.2.1", 80, VLESS{id, "", none}, WebSocket{"", "/a?b=1&ed=2560"}, nil, 0, Secret{}},
		},
		{
			"the Host header is the server name if none is given",
			"vless://" + testUUID + "@192.0.2.1:443?type=ws&security=tls&host=h.example.org,i.example.org&allowInsecure=1&insecure=0",
			Link{ProtocolVLESS, "", "192.0.2.1", 443, VLESS{id, "", none}, WebSocket{"h.example.org,i.example.org", "/"}, TLS{ServerName: "h.example.org", AllowInsecure: true}, 0, Secret{}},
		},
		{
			"a short text as user ID",
			"vless://example@192.0.2.1:443",
			Link{ProtocolVLESS, "", "192.0.2.1", 443, VLESS{NewSecret("feb54431-301b-52bb-a6dd-e1e93e81bb9e"), "", none}, Raw{}, nil, 0, Secret{}},
		},
		{
			"VMess as base64 JSON, types mixed up",
			vmessJSON(`{"ps":"n","add":"[2001:db8:0::1]","port":" 443","id":"`+testUUID+`","aid":64,"net":"ws","type":"auto","tls":true,"host":"h.example.org","path":"p","skip-cert-verify":true,"sni":null,"test_name":9}`) + "=/config=1",
			Link{ProtocolVMess, "n", "2001:db8::1", 443, VMess{id, "auto", 64}, WebSocket{"h.example.org", "/p"}, TLS{ServerName: "h.example.org", AllowInsecure: true}, 0, Secret{}},
		},
		{
			"VMess with arrays, numbers and lines",
			vmessJSON("{\n\"ps\":\"n\nm\",\"add\":\"example.org\",\"port\":443.0,\"id\":\"" + testUUID + "\",\"aid\":\"0\",\"net\":\"ws\",\"tls\":\"tls\",\"host\":[\"h.example.org\"],\"path\":[\"/p\"],\"alpn\":[\"h2\",\"http/1.1\"]}"),
			Link{ProtocolVMess, "n m", "example.org", 443, VMess{id, "auto", 0}, WebSocket{"h.example.org", "/p"}, TLS{ServerName: "h.example.org", ALPN: "h2,http/1.1"}, 0, Secret{}},
		},
		{
			"VMess in base64 twice",
			vmessJSON(base64.StdEncoding.EncodeToString([]byte(`{"add":"example.org","port":443,"id":"` + testUUID + `"}`))),
			Link{ProtocolVMess, "", "example.org", 443, VMess{id, "auto", 0}, Raw{}, nil, 0, Secret{}},
		},
		{
			"VMess as plain JSON",
			`vmess://{"add":"example.org","port":443,"id":"` + testUUID + `","ps":"@n"}`,
			Link{ProtocolVMess, "@n", "example.org", 443, VMess{id, "auto", 0}, Raw{}, nil, 0, Secret{}},
		},
		{
			"VMess over gRPC",
			vmessJSON(`{"add":"example.org","port":443,"id":"` + testUUID + `","net":"grpc","type":"multi","tls":"tls","host":"h.example.org","path":"service","scy":"none"}`),
			Link{ProtocolVMess, "", "example.org", 443, VMess{id, "none", 0}, GRPC{"service", "h.example.org", true}, TLS{}, 0, Secret{}},
		},
		{
			"Trojan means TLS, and its password may have any character",
			"trojan://%70a%73s@wo%2Frd/%25%00☂@example.org",
			Link{ProtocolTrojan, "", "example.org", 443, Trojan{NewSecret("pass@wo/rd/%\x00☂")}, Raw{}, TLS{}, 0, Secret{}},
		},
		{
			"Trojan, a password that looks like other parts",
			"trojan://a?b#c%23@example.org:443?sni=s.example.org#one#two@ch",
			Link{ProtocolTrojan, "one#two@ch", "example.org", 443, Trojan{NewSecret("a?b#c#")}, Raw{}, TLS{ServerName: "s.example.org"}, 0, Secret{}},
		},
		{
			"Shadowsocks, SIP002",
			"ss://YWVzLTI1Ni1nY206YTpiQGMvZA==@example.org:8388/#n",
			Link{ProtocolShadowsocks, "n", "example.org", 8388, Shadowsocks{"aes-256-gcm", NewSecret("a:b@c/d")}, Raw{}, nil, 0, Secret{}},
		},
		{
			"Shadowsocks, all in base64", // aes-128-gcm:a%41?#@example.org:8388
			"ss://YWVzLTEyOC1nY206YSU0MT8jQGV4YW1wbGUub3JnOjgzODg#n",
			Link{ProtocolShadowsocks, "n", "example.org", 8388, Shadowsocks{"aes-128-gcm", NewSecret("a%41?#")}, Raw{}, nil, 0, Secret{}},
		},
		{
			"Shadowsocks, wrapped twice", // ss:// and the base64 of aes-128-gcm:x
			"ss://c3M6Ly9ZV1Z6TFRFeU9DMW5ZMjA2ZUE=@example.org:8388",
			Link{ProtocolShadowsocks, "", "example.org", 8388, Shadowsocks{"aes-128-gcm", NewSecret("x")}, Raw{}, nil, 0, Secret{}},
		},
		{
			"Shadowsocks 2022, URL-safe key without padding",
			"ss://2022-blake3-aes-128-gcm:_-4CAwQFBgcICQoLDA0ODw@example.org:8388",
			Link{ProtocolShadowsocks, "", "example.org", 8388, Shadowsocks{"2022-blake3-aes-128-gcm", NewSecret("/+4CAwQFBgcICQoLDA0ODw==")}, Raw{}, nil, 0, Secret{}},
		},
		{
			"SOCKS with base64",
			"socks://dXNlcjpwYTpzcw==@192.0.2.1:1080",
			Link{ProtocolSOCKS, "", "192.0.2.1", 1080, SOCKS{NewSecret("user"), NewSecret("pa:ss")}, Raw{}, nil, 0, Secret{}},
		},
		{
			"HTTP over TLS",
			"https://us%3Aer:p%40ss@example.org?sni=s.example.org",
			Link{ProtocolHTTP, "", "example.org", 443, HTTP{NewSecret("us:er"), NewSecret("p@ss")}, Raw{}, TLS{ServerName: "s.example.org"}, 0, Secret{}},
		},
		{
			"Shadowsocks with a plugin that the core can stand in for",
			"ss://aes-256-gcm:x@example.org:443?plugin=v2ray-plugin%3Bmode%3Dwebsocket%3Bmux%3D0%3Bhost%3Dh.example.org%3Bpath%3D%2Fa%3Btls",
			Link{ProtocolShadowsocks, "", "example.org", 443, Shadowsocks{"aes-256-gcm", NewSecret("x")}, WebSocket{"h.example.org", "/a"}, TLS{ServerName: "h.example.org"}, 0, Secret{}},
		},
		{
			"Shadowsocks with a plugin, escapes of SIP003",
			`ss://aes-256-gcm:x@example.org:443?plugin=v2ray-plugin%3Bmux%3D0%3Bhost%3Dh.example.org%3Bpath%3D%2Fp%3Fed%5C%3D2560%26a%5C%3Bb%5C%5C`,
			Link{ProtocolShadowsocks, "", "example.org", 443, Shadowsocks{"aes-256-gcm", NewSecret("x")}, WebSocket{"h.example.org", `/p?ed=2560&a;b\`}, nil, 0, Secret{}},
		},
		{
			"mKCP",
			"vless://" + testUUID + "@192.0.2.1:80?type=kcp&headerType=dns&host=d.example.org&seed=s%20d&mtu=1200&tti=20",
			Link{ProtocolVLESS, "", "192.0.2.1", 80, VLESS{id, "", none}, KCP{"dns", "d.example.org", NewSecret("s d"), 1200, 20}, nil, 0, Secret{}},
		},
		{
			"VMess over mKCP: the path is the seed",
			vmessJSON(`{"add":"192.0.2.1","port":80,"id":"` + testUUID + `","net":"kcp","type":"wechat-video","path":"seed"}`),
			Link{ProtocolVMess, "", "192.0.2.1", 80, VMess{id, "auto", 0}, KCP{Header: "wechat-video", Seed: NewSecret("seed")}, nil, 0, Secret{}},
		},
		{
			"Hysteria 2 with everything",
			"hysteria2://user:p%40ss@example.org:443,5000-6000/?insecure=1&obfs=salamander&obfs-password=o&sni=s.example.org&pinSHA256=" + strings.ToUpper(hexSum) + "&hop-interval=30s&upmbps=50&down=100%20Mbps#hy",
			Link{ProtocolHysteria2, "hy", "example.org", 443, Hysteria2{NewSecret("user:p@ss")}, QUIC{NewSecret("o"), "443,5000-6000", "30", 50, 100},
				TLS{ServerName: "s.example.org", PinnedCerts: hexSum, AllowInsecure: true}, 0, Secret{}},
		},
		{
			"Hysteria 2, parameters of other protocols",
			"hysteria2://x@example.org:443?type=tcp&headerType=none&encryption=none&insecure=0&sni=s.example.org",
			Link{ProtocolHysteria2, "", "example.org", 443, Hysteria2{NewSecret("x")}, QUIC{}, TLS{ServerName: "s.example.org"}, 0, Secret{}},
		},
		{
			"Hysteria 2, ranges with a colon",
			"hysteria2://x@example.org:443,5000:6000?hop-interval=30",
			Link{ProtocolHysteria2, "", "example.org", 443, Hysteria2{NewSecret("x")}, QUIC{Ports: "443,5000-6000", HopSeconds: "30"}, TLS{}, 0, Secret{}},
		},
		{
			"Hysteria 2, a range alone, at an IPv6 address",
			"hysteria2://x@[2001:db8::1]:5000:6000/",
			Link{ProtocolHysteria2, "", "2001:db8::1", 5000, Hysteria2{NewSecret("x")}, QUIC{Ports: "5000-6000"}, TLS{}, 0, Secret{}},
		},
		{
			"Hysteria 2, more names",
			"hysteria2://example.org:443?auth=x&mports=5000-6000&up=1%20gbps&obfs=none",
			Link{ProtocolHysteria2, "", "example.org", 443, Hysteria2{NewSecret("x")}, QUIC{Ports: "5000-6000", Up: 1024}, TLS{}, 0, Secret{}},
		},
		{
			"Hysteria 2 with nothing",
			"hy2://[2001:db8::1]",
			Link{ProtocolHysteria2, "", "2001:db8::1", 443, Hysteria2{}, QUIC{}, TLS{}, 0, Secret{}},
		},
		{
			"WireGuard with everything",
			"wireguard://" + testKey + "%3D@example.org:2408?publickey=" + testKey + "=&presharedkey=" + testKey + "&reserved=1,2,3&address=172.16.0.2/32,2001:db8::2/128&mtu=1280&keepalive=25&allowedips=10.1.2.3/8&dns=1.1.1.1,%201.0.0.1#wg",
			Link{ProtocolWireGuard, "wg", "example.org", 2408, WireGuard{NewSecret(testKey + "="), NewSecret(testKey + "="), NewSecret(testKey + "="),
				"172.16.0.2,2001:db8::2", "10.0.0.0/8", "1.1.1.1,1.0.0.1", "1,2,3", 1280, 25}, Datagrams{}, nil, 0, Secret{}},
		},
		{
			"WireGuard, other spellings",
			"wg://192.0.2.1?privateKey=" + testKey + "&publicKey=" + hexSum + "&ip=10.0.0.2&reserved=AQID&allowedips=0.0.0.0/0,::/0",
			Link{ProtocolWireGuard, "", "192.0.2.1", 51820, WireGuard{PrivateKey: NewSecret(testKey + "="), PublicKey: NewSecret(testKey + "="), Addresses: "10.0.0.2", Reserved: "1,2,3"}, Datagrams{}, nil, 0, Secret{}},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if got != tt.want {
				t.Errorf("got  %+v\nwant %+v", dump(got), dump(tt.want))
			}
			checkRoundTrip(t, got)
		})
	}
}

// dump shows all of a made-up link, its secrets included.
func dump(l Link) map[string]any {
	return map[string]any{"uri": l.URI(), "account": l.Account, "transport": l.Transport, "secure": l.Secure, "name": l.Name}
}

func TestParseRejects(t *testing.T) {
	vless := "vless://" + testUUID + "@example.org:443"
	reality := vless + "?security=reality&pbk=" + testKey
	tests := []struct{ name, in, code string }{
		{"nothing", " \n", CodeEmpty},
		{"text", "hello", CodeNotALink},
		{"scheme of one's own", "foo://bar", CodeUnsupportedProtocol},
		{"scheme the core lacks", "tuic://x:y@example.org:443", CodeUnsupportedProtocol},
		{"a key of Outline", "ssconf://example.org/x", CodeUnsupportedProtocol},
		{"SOCKS4", "socks://u@example.org:1080?v=4", CodeUnsupportedProtocol},
		{"a chain", vless + "#A&&detour=trojan://x@example.org:443#B", CodeChained},
		{"a chain, escaped", vless + "#A%26%26detour%3Dtrojan%3A%2F%2Fx%40example.org%3A443", CodeChained},
		{"a chain without a name", vless + "?type=tcp&&detour=trojan://x@example.org:443", CodeChained},
		{"a chain by an arrow", vless + "#A -> trojan://x@example.org:443#B", CodeChained},
		{"two links", vless + "#A " + vless + "#B", CodeChained},
		{"two links without names", vless + " " + vless, CodeChained},
		{"two links, one after the other", vless + "#Ass://YWVzLTI1Ni1nY206eA@example.org:1", CodeChained},
		{"two links of VMess", vmessJSON(`{"add":"example.org","port":443,"id":"a"}`) + " " + vmessJSON(`{}`), CodeChained},
		{"VMess, a name that is a link", vmessJSON(`{"add":"example.org","port":443,"id":"a","ps":"trojan://x@example.org:443"}`), CodeChained},
		{"VMess, no security of its own", vmessJSON(`{"add":"example.org","port":80,"id":"a","tls":"auto"}`), CodeUnsupportedSecurity},
		{"huge", vless + "?path=" + strings.Repeat("a", 1<<20), CodeTooLong},
		{"a line of text", "trojan://1@10.05--2026.05.07 time:1005?sni=fake_ip_for_sub_link&security=tls#1.2/10GB", CodeNotAServer},
		{"no user", "vless://example.org:443", CodeMissingCredentials},
		{"no user, a name with @", "trojan://example.org:443#@channel", CodeMissingCredentials},
		{"empty user", "trojan://@example.org:443", CodeMissingCredentials},
		{"no UUID", "vless://" + strings.Repeat("x", 33) + "@example.org:443", CodeBadUUID},
		{"UUID of 31", "vless://" + strings.Repeat("a", 31) + "@example.org:443", CodeBadUUID},
		{"UUID all dashes", "vless://" + strings.Repeat("-", 36) + "@example.org:443", CodeBadUUID},
		{"no host", "vless://" + testUUID + "@:443", CodeBadHost},
		{"empty brackets", "vless://" + testUUID + "@[]:443", CodeBadHost},
		{"zone", "vless://" + testUUID + "@[fe80::1%25eth0]:443", CodeBadHost},
		{"bad address", "vless://" + testUUID + "@256.1.1.1:443", CodeBadHost},
		{"host in no script", "vless://" + testUUID + "@-é.example:443", CodeBadHost},
		{"NUL in the host", "vless://" + testUUID + "@a\x00b:443", CodeBadHost},
		{"no port", "vless://" + testUUID + "@example.org", CodeBadPort},
		{"port 0", "vless://" + testUUID + "@example.org:0", CodeBadPort},
		{"port 65536", "vless://" + testUUID + "@example.org:65536", CodeBadPort},
		{"port of letters", "vless://" + testUUID + "@example.org:https", CodeBadPort},
		{"negative port", "vless://" + testUUID + "@example.org:-1", CodeBadPort},
		{"invalid UTF-8 in a password", "trojan://a%ffb@example.org:443", CodeBadEncoding},
		{"invalid UTF-8 in a path", vless + "?type=ws&path=%ff", CodeBadParameter},
		{"line break in a host header", vless + "?type=ws&host=a%0d%0aX:b", CodeBadParameter},
		{"unknown transport", vless + "?type=carrier-pigeon", CodeUnsupportedTransport},
		{"removed transport", vless + "?type=quic", CodeUnsupportedTransport},
		{"transport of another protocol", vless + "?type=hysteria", CodeUnsupportedTransport},
		{"REALITY over mKCP", reality + "&type=kcp", CodeUnsupportedSecurity},
		{"mKCP, unknown header", vless + "?type=kcp&headerType=http", CodeUnsupportedParameter},
		{"mKCP, interval that would crash the core", vless + "?type=kcp&tti=2000", CodeBadParameter},
		{"mKCP, bad MTU", vless + "?type=kcp&mtu=99999", CodeBadParameter},
		{"mKCP, bad name to ask for", vless + "?type=kcp&headerType=dns&host=a..b", CodeBadParameter},

		{"way through another server", vless + "?dialerProxy=x", CodeUnsupportedParameter},
		{"settings of sockets", vless + `?sockopt={"mark":1}`, CodeUnsupportedParameter},
		{"Hysteria 2, no host", "hy2://x@:443", CodeBadHost},
		{"Hysteria 2, bad ports", "hy2://x@example.org:443,9-1", CodeBadPort},
		{"Hysteria 2, bad mport", "hy2://x@example.org:443?mport=env:HOME", CodeBadPort},
		{"Hysteria 2, fast hops", "hy2://x@example.org:443,444?hop-interval=1", CodeBadParameter},
		{"Hysteria 2, strange hops", "hy2://x@example.org:443,444?hop-interval=-9", CodeBadParameter},
		{"Hysteria 2, other obfuscation", "hy2://x@example.org:443?obfs=gecko&obfs-password=x", CodeUnsupportedParameter},
		{"Hysteria 2, obfuscation without password", "hy2://x@example.org:443?obfs=salamander", CodeMissingCredentials},
		{"Hysteria 2, bandwidth", "hy2://x@example.org:443?up=fast", CodeBadParameter},
		{"Hysteria 2, line break", "hy2://a%0d%0ab@example.org:443", CodeBadEncoding},
		{"Hysteria 2, no TLS", "hy2://x@example.org:443?security=none", CodeUnsupportedSecurity},
		{"Hysteria 2, bad pin", "hy2://x@example.org:443?pinSHA256=ab", CodeBadParameter},
		{"Hysteria 1", "hysteria://example.org:443?auth=x", CodeUnsupportedProtocol},
		{"WireGuard, no key", "wireguard://example.org:51820?publickey=" + testKey, CodeMissingCredentials},
		{"WireGuard, no public key", "wireguard://" + testKey + "@example.org:51820", CodeMissingCredentials},
		{"WireGuard, short key", "wireguard://AAAA@example.org:51820?publickey=" + testKey, CodeBadKey},
		{"WireGuard, bad address", "wg://" + testKey + "@example.org?publickey=" + testKey + "&address=ten", CodeBadParameter},
		{"WireGuard, bad prefix", "wg://" + testKey + "@example.org?publickey=" + testKey + "&allowedips=10.0.0.1", CodeBadParameter},
		{"WireGuard, bad reserved", "wg://" + testKey + "@example.org?publickey=" + testKey + "&reserved=1,2", CodeBadParameter},
		{"WireGuard, disguised", "wg://" + testKey + "@example.org?publickey=" + testKey + "&jc=4", CodeUnsupportedParameter},
		{"two transports", vless + "?type=ws&type=grpc", CodeConflictingParameter},
		{"unknown header", vless + "?headerType=wireguard", CodeUnsupportedParameter},
		{"unknown mode of grpc", vless + "?type=grpc&mode=loud", CodeUnsupportedParameter},
		{"unknown mode of xhttp", vless + "?type=xhttp&mode=gun", CodeUnsupportedParameter},
		{"ed of letters", vless + "?type=ws&ed=lots", CodeBadParameter},
		{"other header for early data", vless + "?type=ws&ed=1&eh=X-Early", CodeUnsupportedParameter},
		{"extra that is not JSON", vless + "?type=xhttp&extra={'a':1}", CodeBadParameter},
		{"extra with a second way without a port", vless + `?type=xhttp&extra={"downloadSettings":{"address":"192.0.2.1"}}`, CodeUnsupportedParameter},
		{"extra with a second way over another transport", vless + `?type=xhttp&extra={"downloadSettings":{"address":"192.0.2.1","port":1,"network":"ws"}}`, CodeUnsupportedParameter},
		{"extra with a second way and one connection", vless + `?type=xhttp&mode=stream-one&extra={"downloadSettings":{"address":"192.0.2.1","port":1}}`, CodeUnsupportedParameter},
		{"extra with a second way through another server", vless + `?type=xhttp&extra={"downloadSettings":{"address":"192.0.2.1","port":1,"sockopt":{"dialerProxy":"x"}}}`, CodeUnsupportedParameter},
		{"extra with a second way with certificates", vless + `?type=xhttp&extra={"downloadSettings":{"address":"192.0.2.1","port":1,"security":"tls","tlsSettings":{"certificates":[{"certificateFile":"/x"}]}}}`, CodeUnsupportedParameter},
		{"extra with a second way with something new", vless + `?type=xhttp&extra={"downloadSettings":{"address":"192.0.2.1","port":1,"teleport":true}}`, CodeUnsupportedParameter},
		{"extra with a third way", vless + `?type=xhttp&extra={"downloadSettings":{"address":"192.0.2.1","port":1,"xhttpSettings":{"extra":{"downloadSettings":{"address":"192.0.2.1","port":1}}}}}`, CodeUnsupportedParameter},
		{"extra with a second way without its key", vless + `?type=xhttp&extra={"downloadSettings":{"address":"192.0.2.1","port":1,"security":"reality"}}`, CodeBadKey},
		{"extra with something new", vless + `?type=xhttp&extra={"teleport":true}`, CodeUnsupportedParameter},
		{"extra that the core refuses", vless + `?type=xhttp&extra={"xmux":{"maxConcurrency":1,"maxConnections":1}}`, CodeBadParameter},
		{"extra without padding", vless + `?type=xhttp&extra={"xPaddingBytes":"0-9"}`, CodeBadParameter},
		{"unknown security", vless + "?security=lock", CodeUnsupportedSecurity},
		{"removed security", vless + "?security=xtls", CodeUnsupportedSecurity},
		{"REALITY over WebSocket", reality + "&type=ws", CodeUnsupportedSecurity},
		{"REALITY without a key", vless + "?security=reality", CodeBadKey},
		{"REALITY with a short key", vless + "?security=reality&pbk=AAAA", CodeBadKey},
		{"REALITY with a bad post-quantum key", reality + "&pqv=AAAA", CodeBadKey},
		{"odd short ID", reality + "&sid=abc", CodeBadParameter},
		{"long short ID", reality + "&sid=0123456789abcdef01", CodeBadParameter},
		{"spider path that would crash the core", reality + "&spx=%2F%25zz", CodeBadParameter},
		{"REALITY without a browser", reality + "&fp=unsafe", CodeBadParameter},
		{"unknown browser", vless + "?security=tls&fp=lynx", CodeBadParameter},
		{"bad pin", vless + "?security=tls&pcs=ab", CodeBadParameter},
		{"old pin", vless + "?security=tls&pinnedPeerCertificateChainSha256=ab", CodeUnsupportedParameter},
		{"unknown flow", vless + "?flow=upstream", CodeUnsupportedFlow},
		{"removed flow", vless + "?flow=xtls-rprx-direct", CodeUnsupportedFlow},
		{"flow of Trojan", "trojan://x@example.org:443?flow=xtls-rprx-direct", CodeUnsupportedFlow},
		{"unknown encryption", vless + "?encryption=rot13", CodeUnsupportedCipher},
		{"encryption without a key", vless + "?encryption=mlkem768x25519plus.native.0rtt.100-1-1", CodeBadKey},
		{"encryption with a bad key", vless + "?encryption=mlkem768x25519plus.native.0rtt." + strings.Repeat("A", 30), CodeBadKey},
		{"encryption with a long key that is none", vless + "?encryption=mlkem768x25519plus.native.0rtt." + strings.Repeat("_", 1578) + "w", CodeBadKey},
		{"encryption of another look", vless + "?encryption=mlkem768x25519plus.pretty.0rtt." + testKey, CodeBadParameter},

		{"mux of letters", vless + "?mux=many", CodeBadParameter},
		{"packet encoding", vless + "?packetEncoding=packetaddr", CodeUnsupportedParameter},
		{"VMess, not base64", "vmess://!!!", CodeBadEncoding},
		{"VMess, not JSON", "vmess://aGVsbG8=", CodeBadEncoding},
		{"VMess, cut off", vmessJSON(`{"add":"example.org","port":44`), CodeBadEncoding},
		{"VMess, deep", vmessJSON(strings.Repeat(`{"a":`, 5000)), CodeBadEncoding},
		{"VMess, no host", vmessJSON(`{"port":443,"id":"` + testUUID + `"}`), CodeBadHost},
		{"VMess, no port", vmessJSON(`{"add":"example.org","id":"` + testUUID + `"}`), CodeBadPort},
		{"VMess, no ID", vmessJSON(`{"add":"example.org","port":443}`), CodeMissingCredentials},
		{"VMess, old cipher", vmessJSON(`{"add":"example.org","port":443,"id":"a","scy":"aes-128-cfb"}`), CodeUnsupportedCipher},
		{"VMess, bad aid", vmessJSON(`{"add":"example.org","port":443,"id":"a","aid":-1}`), CodeBadParameter},
		{"Shadowsocks, cut off", "ss://YWVzLTI1Ni1nY206cGFzc3dvcmQ", CodeBadEncoding},
		{"Shadowsocks, not base64", "ss://a!b@example.org:1", CodeBadEncoding},
		{"Shadowsocks, no password", "ss://YWVzLTI1Ni1nY20@example.org:1", CodeMissingCredentials},
		{"Shadowsocks, empty password", "ss://aes-256-gcm:@example.org:1", CodeMissingCredentials},
		{"Shadowsocks, dead cipher", "ss://rc4-md5:x@example.org:1", CodeUnsupportedCipher},
		{"Shadowsocks, unknown cipher", "ss://enigma:x@example.org:1", CodeUnsupportedCipher},
		{"Shadowsocks, plugin", "ss://aes-256-gcm:x@example.org:1?plugin=obfs-local%3Bobfs%3Dhttp", CodeUnsupportedPlugin},
		{"Shadowsocks, plugin with multiplexer", "ss://aes-256-gcm:x@example.org:1?plugin=v2ray-plugin%3Btls", CodeUnsupportedPlugin},
		{"Shadowsocks, plugin over QUIC", "ss://aes-256-gcm:x@example.org:1?plugin=v2ray-plugin%3Bmode%3Dquic%3Bmux%3D0", CodeUnsupportedPlugin},
		{"Shadowsocks, plugin with a file", "ss://aes-256-gcm:x@example.org:1?plugin=v2ray-plugin%3Bmux%3D0%3Bcert%3D%2Fetc%2Fpasswd", CodeUnsupportedPlugin},
		{"Shadowsocks, plugin with more", "ss://aes-256-gcm:x@example.org:1?plugin=v2ray-plugin%3Bmux%3D0%3Bserver", CodeUnsupportedPlugin},

		{"Shadowsocks 2022, short key", "ss://2022-blake3-aes-256-gcm:AAAA@example.org:1", CodeBadKey},
		{"Shadowsocks 2022, two keys", "ss://2022-blake3-chacha20-poly1305:" + testKey + "%3A" + testKey + "@example.org:1", CodeBadKey},
		{"SOCKS, password alone", "socks://:x@example.org:1", CodeMissingCredentials},
		{"page", "https://example.org/sub/abc", CodeWebAddress},
		{"subscription", "https://example.org?token=abc", CodeWebAddress},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Parse(tt.in)
			if Code(err) != tt.code {
				t.Fatalf("code %q (%v), want %q", Code(err), err, tt.code)
			}
			if l != (Link{}) {
				t.Error("a link comes with the error")
			}
			if len(err.Error()) < 20 {
				t.Errorf("the message %q is no help", err)
			}
		})
	}
}

func TestParseHugeName(t *testing.T) {
	for _, name := range []string{strings.Repeat("☂", 1<<19), strings.Repeat("%25", 1<<19), strings.Repeat("\x00\u202e", 1<<18), strings.Repeat("a ", 1<<19)} {
		l, err := Parse("trojan://x@example.org:443#" + name)
		if err != nil {
			t.Fatal(err)
		}
		if n := len([]rune(l.Name)); n > maxName {
			t.Errorf("a name of %d characters is left", n)
		}
		checkRoundTrip(t, l)
	}
}

func BenchmarkParse(b *testing.B) {
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := Parse(goodLinks[i%len(goodLinks)]); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "links/s")
}
