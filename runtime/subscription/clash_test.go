package subscription

import (
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

func TestClash(t *testing.T) {
	tests := []struct {
		name, yaml, link string
		left             string // the settings that are named as left out
	}{
		{"ss", "{name: n, type: ss, server: a.org, port: 8388, cipher: aes-256-gcm, password: p@:/?#, udp: true}",
			"ss://" + "aes-256-gcm:p%40%3A%2F%3F%23@a.org:8388#n", ""},
		{"ss 2022 IPv6", "{name: n, type: ss, server: '2001:db8::1', port: '8388', cipher: 2022-blake3-aes-128-gcm, password: MTIzNDU2Nzg5MDEyMzQ1Ng==}",
			"ss://2022-blake3-aes-128-gcm:MTIzNDU2Nzg5MDEyMzQ1Ng%3D%3D@[2001:db8::1]:8388#n", ""},
		{"ss plugin", "{name: n, type: ss, server: a.org, port: 443, cipher: aes-256-gcm, password: p, plugin: v2ray-plugin, plugin-opts: {mode: websocket, tls: true, host: h.org, path: '/p?a=b', mux: false, skip-cert-verify: true, headers: {X: y}}}",
			"ss://aes-256-gcm:p@a.org:443?type=ws&security=tls&host=h.org&path=%2Fp%3Fa%3Db#n", "plugin-opts.headers"},
		{"ss plugin, characters that SIP003 escapes", `{name: n, type: ss, server: a.org, port: 443, cipher: aes-256-gcm, password: p, plugin: v2ray-plugin, plugin-opts: {mode: websocket, host: h.org, path: '/p?a=b;c\d', mux: false}}`,
			"ss://aes-256-gcm:p@a.org:443?type=ws&security=none&host=h.org&path=%2Fp%3Fa%3Db%3Bc%5Cd#n", ""},
		{"vless reality", "{name: n, type: vless, server: a.org, port: 443, uuid: " + uuid + ", network: tcp, tls: true, udp: true, flow: xtls-rprx-vision, servername: www.b.org, client-fingerprint: firefox, reality-opts: {public-key: " + pbk + ", short-id: 12e4}}",
			"vless://" + uuid + "@a.org:443?type=tcp&flow=xtls-rprx-vision&security=reality&sni=www.b.org&fp=firefox&pbk=" + pbk + "&sid=12e4#n", ""},
		{"vless ws", "{name: n, type: vless, server: a.org, port: 443, uuid: " + uuid + ", network: ws, tls: true, servername: s.org, alpn: [h2, http/1.1], skip-cert-verify: true, ws-opts: {path: '/a?b=c&d', headers: {host: h.org, X-Other: y}, max-early-data: 2048, early-data-header-name: Sec-WebSocket-Protocol}}",
			"vless://" + uuid + "@a.org:443?type=ws&security=tls&sni=s.org&alpn=h2,http/1.1&allowInsecure=1&path=%2Fa%3Fb%3Dc%26d&host=h.org&ed=2048#n", "ws-opts.headers.X-Other"},
		{"vless httpupgrade", "{name: n, type: vless, server: a.org, port: 80, uuid: " + uuid + ", network: ws, ws-opts: {path: /a, headers: {Host: h.org}, v2ray-http-upgrade: true}}",
			"vless://" + uuid + "@a.org:80?type=httpupgrade&security=none&path=%2Fa&host=h.org#n", ""},
		{"vless xhttp", "{name: n, type: vless, server: a.org, port: 443, uuid: " + uuid + ", network: xhttp, tls: true, xhttp-opts: {path: /x, host: h.org, mode: stream-one, no-grpc-header: true}}",
			"vless://" + uuid + "@a.org:443?type=xhttp&security=tls&sni=a.org&path=%2Fx&host=h.org&mode=stream-one&extra=%7B%22noGRPCHeader%22%3Atrue%7D#n", ""},
		{"vless xhttp, all names", "{name: n, type: vless, server: a.org, port: 443, uuid: " + uuid + ", network: xhttp, tls: true, servername: s.org, xhttp-opts: {path: /x, mode: packet-up, headers: {host: h.org, X-A: b}, no-grpc-header: true, x-padding-bytes: 100-1000, x-padding-obfs-mode: true, x-padding-key: k, x-padding-header: h, x-padding-placement: query, x-padding-method: tokenish, uplink-http-method: PUT, session-placement: query, session-key: s, seq-placement: header, seq-key: q, uplink-data-placement: body, uplink-data-key: d, uplink-chunk-size: 10, sc-max-each-post-bytes: 1000000, sc-min-posts-interval-ms: 30, reuse-settings: {max-concurrency: 16-32, c-max-reuse-times: 64, h-max-request-times: 600-900, h-max-reusable-secs: 1800-3000, h-keep-alive-period: 0}}}",
			"vless://" + uuid + "@a.org:443?type=xhttp&security=tls&sni=s.org&path=%2Fx&host=h.org&mode=packet-up&extra=" + escape(`{"headers":{"X-A":"b"},"noGRPCHeader":true,"xPaddingBytes":"100-1000","xPaddingObfsMode":true,"xPaddingKey":"k","xPaddingHeader":"h","xPaddingPlacement":"query","xPaddingMethod":"tokenish","uplinkHTTPMethod":"PUT","sessionPlacement":"query","sessionKey":"s","seqPlacement":"header","seqKey":"q","uplinkDataPlacement":"body","uplinkDataKey":"d","uplinkChunkSize":10,"scMaxEachPostBytes":1000000,"scMinPostsIntervalMs":30,"xmux":{"maxConcurrency":"16-32","cMaxReuseTimes":64,"hMaxRequestTimes":"600-900","hMaxReusableSecs":"1800-3000","hKeepAlivePeriod":0}}`) + "#n", ""},
		{"vless xhttp, own host", "{name: n, type: vless, server: a.org, port: 443, uuid: " + uuid + ", network: xhttp, tls: true, servername: s.org, xhttp-opts: {host: h.org, headers: {Host: other.org}}}",
			"vless://" + uuid + "@a.org:443?type=xhttp&security=tls&sni=s.org&host=h.org#n", ""},
		{"vless ws, name in the header", "{name: n, type: vless, server: a.org, port: 443, uuid: " + uuid + ", network: ws, tls: true, ws-opts: {headers: {HOST: h.org}}}",
			"vless://" + uuid + "@a.org:443?type=ws&security=tls&sni=h.org&host=h.org#n", ""},
		{"vless grpc multi", "{name: n, type: vless, server: a.org, port: 443, uuid: " + uuid + ", network: grpc, tls: true, grpc-opts: {grpc-service-name: g, grpc-mode: multi}}",
			"vless://" + uuid + "@a.org:443?type=grpc&security=tls&serviceName=g&mode=multi#n", ""},
		{"vless grpc gun", "{name: n, type: vless, server: a.org, port: 443, uuid: " + uuid + ", network: grpc, tls: true, grpc-opts: {grpc-service-name: g, grpc-mode: gun}}",
			"vless://" + uuid + "@a.org:443?type=grpc&security=tls&serviceName=g#n", ""},
		{"vmess grpc", "{name: n, type: vmess, server: a.org, port: 443, uuid: " + uuid + ", alterId: 0, cipher: auto, network: grpc, tls: true, servername: s.org, grpc-opts: {grpc-service-name: svc/x}}",
			"vmess://" + uuid + "@a.org:443?encryption=auto&type=grpc&security=tls&sni=s.org&serviceName=svc%2Fx#n", ""},
		{"vmess http", "{name: n, type: vmess, server: a.org, port: 80, uuid: " + uuid + ", cipher: aes-128-gcm, network: http, http-opts: {method: GET, path: [/a, /b], headers: {Host: [h.org], Connection: [keep-alive]}}}",
			"vmess://" + uuid + "@a.org:80?encryption=aes-128-gcm&type=tcp&headerType=http&security=none&host=h.org&path=%2Fa%2C%2Fb#n", ""},
		{"vmess old ws", "{name: n, type: vmess, server: a.org, port: 80, uuid: " + uuid + ", cipher: auto, network: ws, ws-path: /w, ws-headers: {Host: h.org}}",
			"vmess://" + uuid + "@a.org:80?type=ws&security=none&host=h.org&path=%2Fw#n", ""},
		{"trojan", "{name: n, type: trojan, server: a.org, port: 443, password: " + password + ", sni: s.org, smux: {enabled: true}, interface-name: eth0, routing-mark: 9}",
			"trojan://" + password + "@a.org:443?type=tcp&security=tls&sni=s.org#n", "interface-name, routing-mark, smux"},
		{"trojan pinned", "{name: n, type: trojan, server: a.org, port: 443, password: " + password + ", fingerprint: '" + strings.Repeat("AB:", 31) + "AB'}",
			"trojan://" + password + "@a.org:443?type=tcp&security=tls&pcs=" + strings.Repeat("ab", 32) + "#n", ""},
		{"socks5", "{name: n, type: socks5, server: 1.2.3.4, port: 1080, username: u, password: p, udp: true}", "socks://u:p@1.2.3.4:1080#n", ""},
		{"http, a password without a user", "{name: n, type: http, server: a.org, port: 8080, password: None}", "http://a.org:8080#n", ""},
		{"socks5, a password without a user", "{name: n, type: socks5, server: a.org, port: 1080, password: None}", "socks://a.org:1080#n", ""},
		{"no multiplexer", "{name: n, type: trojan, server: a.org, port: 443, password: x, smux: {enabled: false, protocol: h2mux, padding: true}}", "trojan://x@a.org:443?security=tls#n", ""},
		{"fields of other types", "{name: n, type: vless, server: a.org, port: 443, uuid: " + uuid + ", password: x, cipher: auto, alterId: 0, protocol: origin}", "vless://" + uuid + "@a.org:443?security=none#n", ""},
		{"http", "{name: n, type: http, server: a.org, port: 8080}", "http://a.org:8080#n", ""},
		{"https", "{name: n, type: http, server: a.org, port: 8443, username: u, password: p, tls: true, sni: s.org}", "https://u:p@a.org:8443?security=tls&sni=s.org#n", ""},
		{"hysteria2", "{name: n, type: hysteria2, server: a.org, ports: '443-8443', password: " + password + ", obfs: salamander, obfs-password: op, sni: s.org, up: '30 Mbps', down: 200, skip-cert-verify: true, alpn: [h3]}",
			"hysteria2://" + password + "@a.org:443?mport=443-8443&obfs=salamander&obfs-password=op&sni=s.org&up=30&down=200&insecure=1&alpn=h3#n", ""},
		{"hysteria2, a list of ports", "{name: n, type: hysteria2, server: a.org, ports: '443, 5000-6000/7000', password: x}",
			"hysteria2://x@a.org:443?mport=443,5000-6000,7000#n", ""},
		{"wireguard, one peer", "{name: n, type: wireguard, private-key: " + pbk + "=, ip: 10.0.0.2, peers: [{server: a.org, port: 1, public-key: " + pbk + "=, allowed-ips: [10.0.0.0/8, 10.1.1.1], reserved: [1,2,3]}]}",
			"wireguard://" + pbk + "%3D@a.org:1?address=10.0.0.2&publickey=" + pbk + "%3D&allowedips=10.0.0.0/8,10.1.1.1/32&reserved=1,2,3#n", ""},
		{"wireguard", "{name: n, type: wireguard, server: 1.2.3.4, port: 2408, ip: 10.0.0.2/32, ipv6: 'fd00::2/128', private-key: " + pbk + "=, public-key: " + pbk + "=, reserved: [1, 2, 3], mtu: 1280, udp: true, dns: [1.1.1.1], remote-dns-resolve: true, allowed-ips: ['0.0.0.0/0', '::/0']}",
			"wireguard://" + pbk + "%3D@1.2.3.4:2408?address=10.0.0.2,fd00::2&publickey=" + pbk + "%3D&reserved=1,2,3&mtu=1280#n", ""},
		{"injection", "{name: \"n#&?\\nq\", type: trojan, server: a.org, port: 443, password: 'p@evil.org:1?sni=x#', sni: 's.org&pbk=x'}",
			"trojan://p%40evil.org%3A1%3Fsni%3Dx%23@a.org:443?type=tcp&security=tls&sni=s.org%26pbk%3Dx#n%23%26%3F%20q", ""},
	}
	for _, test := range tests {
		for form, body := range map[string]string{
			"short": "port: 7890\nallow-lan: true\nproxies:\n  - " + test.yaml + "\nproxy-groups:\n  - {name: g, type: select, proxies: [n]}\nrules: [MATCH,g]\n",
			"long":  "port: 7890\nproxies:\n- " + test.yaml + "\nrules:\n" + strings.Repeat("- DOMAIN-SUFFIX,example.org,g\n", maxWholeYAML/20),
			"crlf":  "\"proxies\":\r\n  - " + test.yaml + "\r\nrules: []\r\n",
		} {
			t.Run(test.name+"/"+form, func(t *testing.T) {
				checkOnly(t, body, test.link, test.left)
			})
		}
	}
}

func TestClashRejected(t *testing.T) {
	tests := []struct{ name, yaml, code string }{
		{"ssr", "type: ssr, server: a.org, port: 1, cipher: x, password: " + password, link.CodeUnsupportedProtocol},
		{"tuic", "type: tuic, server: a.org, port: 1, uuid: " + uuid, link.CodeUnsupportedProtocol},
		{"strange type", `type: "\x1b[31m", server: a.org`, link.CodeUnsupportedProtocol},
		{"unknown type", "type: quic9, server: a.org", link.CodeUnsupportedProtocol},
		{"no type", "server: a.org", CodeNotAnEntry},
		{"port 0", "type: trojan, server: a.org, port: 0, password: " + password, link.CodeBadPort},
		{"no port", "type: trojan, server: a.org, password: " + password, link.CodeBadPort},
		{"no host", "type: trojan, port: 443, password: " + password, link.CodeBadHost},
		{"host is a list", "type: trojan, server: {a: b}, port: 443, password: " + password, link.CodeBadHost},
		{"host with a path", "type: trojan, server: 'a.org/x?y#z', port: 443, password: " + password, link.CodeBadHost},
		{"host of two", "type: trojan, server: 'a.org:1@b.org', port: 443, password: " + password, link.CodeBadHost},
		{"bad uuid", "type: vless, server: a.org, port: 1, uuid: " + uuid + uuid, link.CodeBadUUID},
		{"no uuid", "type: vless, server: a.org, port: 1", link.CodeMissingCredentials},
		{"cipher", "type: ss, server: a.org, port: 1, cipher: rc4-md5, password: " + password, link.CodeUnsupportedCipher},
		{"plugin", "type: ss, server: a.org, port: 1, cipher: aes-256-gcm, password: " + password + ", plugin: obfs, plugin-opts: {mode: http, host: x}", link.CodeUnsupportedPlugin},
		{"plugin mux", "type: ss, server: a.org, port: 1, cipher: aes-256-gcm, password: " + password + ", plugin: v2ray-plugin, plugin-opts: {mode: websocket}", link.CodeUnsupportedPlugin},
		{"h2", "type: vmess, server: a.org, port: 1, uuid: " + uuid + ", network: h2, tls: true, h2-opts: {path: /}", link.CodeUnsupportedTransport},
		{"chain", "type: trojan, server: a.org, port: 1, password: " + password + ", dialer-proxy: other", CodeChained},
		{"certificate", "type: trojan, server: a.org, port: 1, password: " + password + ", ca: /etc/passwd", link.CodeUnsupportedParameter},
		{"trojan ss", "type: trojan, server: a.org, port: 1, password: " + password + ", ss-opts: {enabled: true, password: x}", link.CodeUnsupportedParameter},
		{"two peers", "type: wireguard, private-key: " + pbk + ", peers: [{server: a.org, port: 1, public-key: " + pbk + "}, {server: b.org, port: 1, public-key: " + pbk + "}]", link.CodeUnsupportedParameter},
		{"amnezia", "type: wireguard, server: a.org, port: 1, private-key: " + pbk + ", public-key: " + pbk + ", amnezia-wg-option: {jc: 3}", link.CodeUnsupportedParameter},
	}
	good := "{name: good, type: trojan, server: good.org, port: 443, password: x}"
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := checkRejected(t, "proxies:\n- {name: bad one, "+test.yaml+"}\n- "+good+"\n", test.code)
			if p.Name != "bad one" || strings.Contains(p.Message, " link") {
				t.Errorf("%+v", p)
			}
		})
	}
}
