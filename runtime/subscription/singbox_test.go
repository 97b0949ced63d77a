package subscription

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

func TestSingBox(t *testing.T) {
	const (
		vless  = `"type":"vless","tag":"n","server":"a.org","server_port":443,"uuid":"` + uuid + `"`
		trojan = `"type":"trojan","tag":"n","server":"a.org","server_port":443,"password":"` + password + `"`
		tls    = `"tls":{"enabled":true,"server_name":"s.org"}`
		hy2    = `"type":"hysteria2","tag":"n","server":"a.org","password":"` + password + `","tls":{"enabled":true,"server_name":"s.org","alpn":"h3"}`
		wg     = `"type":"wireguard","tag":"n","private_key":"` + pbk + `"`
	)
	tests := []struct {
		name, json, link string
		left             string // the settings that are named as left out
	}{
		{"vless reality", vless + `,"flow":"xtls-rprx-vision","packet_encoding":"xudp","network":"tcp","tls":{"enabled":true,"server_name":"s.org","utls":{"enabled":true,"fingerprint":"firefox"},"reality":{"enabled":true,"public_key":"` + pbk + `","short_id":"01ab"}}`,
			"vless://" + uuid + "@a.org:443?flow=xtls-rprx-vision&security=reality&sni=s.org&fp=firefox&pbk=" + pbk + "&sid=01ab#n", ""},
		{"vless ws", vless + `,"tls":{"enabled":true,"server_name":"s.org","insecure":true,"alpn":["h2","http/1.1"],"min_version":"1.2","utls":{"enabled":false,"fingerprint":"safari"},"reality":{"enabled":false,"public_key":"x"},"ech":{"enabled":false,"config":["x"]}},` +
			`"transport":{"type":"ws","path":"/p?a=b","headers":{"Host":["h.org"],"User-Agent":"x","X-Other":"y"},"max_early_data":2048,"early_data_header_name":"Sec-WebSocket-Protocol"},"multiplex":{"enabled":false,"protocol":"smux","max_streams":32}`,
			"vless://" + uuid + "@a.org:443?type=ws&security=tls&sni=s.org&alpn=h2,http/1.1&allowInsecure=1&host=h.org&path=%2Fp%3Fa%3Db&ed=2048#n", "transport.headers.X-Other"},
		{"early data in the path", vless + `,"transport":{"type":"ws","path":"/p","max_early_data":2048}`,
			"vless://" + uuid + "@a.org:443?type=ws&security=none&path=%2Fp#n", "transport.max_early_data"},
		{"the server name is the server's", trojan + `,"tls":{"enabled":true},"transport":{"type":"ws","headers":{"Host":"h.org"}}`,
			"trojan://" + password + "@a.org:443?type=ws&security=tls&sni=a.org&host=h.org#n", ""},
		{"old fingerprint", trojan + `,"tls":{"enabled":true,"server_name":"s.org","utls":{"enabled":true,"fingerprint":"chrome_psk_shuffle"}}`,
			"trojan://" + password + "@a.org:443?security=tls&sni=s.org&fp=chrome#n", ""},
		{"no tls", trojan + `,"tls":{"enabled":false,"server_name":"s.org"}`, "trojan://" + password + "@a.org:443?security=none#n", ""},
		{"left out", trojan + `,"tls":{"enabled":true,"server_name":"s.org","disable_sni":true,"certificate_public_key_sha256":["x"]},"multiplex":{"enabled":true,"padding":true,"brutal":{"enabled":true,"up_mbps":1}}`,
			"trojan://" + password + "@a.org:443?security=tls&sni=s.org#n", "multiplex, tls.certificate_public_key_sha256, tls.disable_sni"},
		{"ech", trojan + `,"tls":{"enabled":true,"server_name":"s.org","ech":{"enabled":true,"config":["-----BEGIN ECH CONFIGS-----","AE7+","DQBK\n","-----END ECH CONFIGS-----"],"pq_signature_schemes_enabled":true}}`,
			"trojan://" + password + "@a.org:443?security=tls&sni=s.org&ech=AE7%2BDQBK#n", ""},
		{"split packets", trojan + `,"tls":{"enabled":true,"server_name":"s.org","fragment":true,"record_fragment":false,"fragment_fallback_delay":"500ms"}`,
			"trojan://" + password + "@a.org:443?security=tls&sni=s.org&fragment=10-20,2-4,tlshello#n", ""},
		{"split records", trojan + `,"tls":{"enabled":true,"server_name":"s.org","fragment":false,"record_fragment":true}`,
			"trojan://" + password + "@a.org:443?security=tls&sni=s.org&fragment=10-20,0,tlshello#n", ""},
		{"split packets of a relative", trojan + `,` + tls + `,"tls_fragment":{"enabled":true,"size":"1-100","sleep":"50-200"}`,
			"trojan://" + password + "@a.org:443?security=tls&sni=s.org&fragment=1-100,50-200,tlshello#n", ""},
		{"split packets, switched off", trojan + `,` + tls + `,"tls_fragment":{"enabled":false,"size":"1-100"}`, "trojan://" + password + "@a.org:443?security=tls&sni=s.org#n", ""},
		{"split packets without a stream", hy2 + `,"server_port":443,"tls_fragment":{"enabled":true,"size":"1-100"}`, "hysteria2://" + password + "@a.org:443?sni=s.org&alpn=h3#n", ""},
		{"httpupgrade", trojan + `,` + tls + `,"transport":{"type":"httpupgrade","host":"h.org","path":"/u"}`,
			"trojan://" + password + "@a.org:443?type=httpupgrade&security=tls&sni=s.org&host=h.org&path=%2Fu#n", ""},
		{"grpc", trojan + `,` + tls + `,"transport":{"type":"grpc","service_name":"svc","idle_timeout":"15s"}`,
			"trojan://" + password + "@a.org:443?type=grpc&security=tls&sni=s.org&serviceName=svc#n", ""},
		{"http without tls", vless + `,"transport":{"type":"http","host":["h.org","i.org"],"path":"/p","method":"GET"}`,
			"vless://" + uuid + "@a.org:443?type=tcp&headerType=http&security=none&host=h.org%2Ci.org&path=%2Fp#n", ""},
		{"xhttp of a relative", vless + `,` + tls + `,"transport":{"type":"xhttp","host":"h.org","path":"/x","mode":"packet-up","x_padding_bytes":"100-200","no_grpc_header":true,"xmux":{"max_concurrency":"16-32"},"domain_strategy":"prefer_ipv4","headers":{"X-A":"b"}}`,
			"vless://" + uuid + "@a.org:443?type=xhttp&security=tls&sni=s.org&host=h.org&path=%2Fx&mode=packet-up&extra=%7B%22xPaddingBytes%22%3A%22100-200%22%2C%22noGRPCHeader%22%3Atrue%2C%22headers%22%3A%7B%22X-A%22%3A%22b%22%7D%2C%22xmux%22%3A%7B%22maxConcurrency%22%3A%2216-32%22%7D%7D#n", ""},
		{"vmess", `"type":"vmess","tag":"n","server":"1.2.3.4","server_port":80,"uuid":"` + uuid + `","security":"aes-128-gcm","alter_id":0,"global_padding":false`,
			"vmess://" + uuid + "@1.2.3.4:80?encryption=aes-128-gcm&security=none#n", ""},
		{"shadowsocks", `"type":"shadowsocks","tag":"n","server":"2001:db8::1","server_port":8388,"method":"2022-blake3-aes-128-gcm","password":"MTIzNDU2Nzg5MDEyMzQ1Ng==","udp_over_tcp":{"enabled":true,"version":2}`,
			"ss://2022-blake3-aes-128-gcm:MTIzNDU2Nzg5MDEyMzQ1Ng%3D%3D@[2001:db8::1]:8388#n", "udp_over_tcp"},
		{"shadowsocks plugin", `"type":"shadowsocks","tag":"n","server":"a.org","server_port":443,"method":"aes-256-gcm","password":"p@:/?#","plugin":"v2ray-plugin","plugin_opts":"mode=websocket;tls;host=h.org;path=/p;mux=0","udp_over_tcp":false`,
			"ss://aes-256-gcm:p%40%3A%2F%3F%23@a.org:443?type=ws&security=tls&host=h.org&path=%2Fp#n", ""},
		{"socks", `"type":"socks","tag":"n","server":"a.org","server_port":1080,"version":"5","username":"u","password":"p@:"`, "socks://u:p%40%3A@a.org:1080#n", ""},
		{"http", `"type":"http","tag":"n","server":"a.org","server_port":8080,"headers":{"X":["y"]}`, "http://a.org:8080#n", "headers"},
		{"https", `"type":"http","tag":"n","server":"a.org","server_port":8443,"username":"u","password":"p",` + tls, "https://u:p@a.org:8443?security=tls&sni=s.org#n", ""},
		{"hysteria2", hy2 + `,"server_port":443,"obfs":{"type":"salamander","password":"op"},"up_mbps":100,"down_mbps":200,"brutal_debug":false`,
			"hysteria2://" + password + "@a.org:443?sni=s.org&alpn=h3&obfs=salamander&obfs-password=op&up=100&down=200#n", ""},
		{"hysteria2 ports", hy2 + `,"server_port":0,"server_ports":["2080:3000","4000",":9"],"hop_interval":"1m30s","obfs":{}`,
			"hysteria2://" + password + "@a.org:2080?sni=s.org&alpn=h3&mport=2080-3000,4000,1-9&hop-interval=90#n", ""},
		{"hysteria2 one range", hy2 + `,"server_ports":"20000:50000","hop_interval":"5s","hop_interval_max":"30s"`,
			"hysteria2://" + password + "@a.org:20000?sni=s.org&alpn=h3&mport=20000-50000&hop-interval=5-30#n", ""},
		{"wireguard outbound", wg + `,"server":"1.2.3.4","server_port":2408,"local_address":["10.0.0.2/32","fd00::2/128"],"peer_public_key":"` + pbk + `","pre_shared_key":"` + pbk + `","reserved":"AQID","mtu":1280,"workers":2,"fake_packets":"5-10","fake_packets_size":"1-2"`,
			"wireguard://" + pbk + "@1.2.3.4:2408?address=10.0.0.2,fd00::2&publickey=" + pbk + "&presharedkey=" + pbk + "&reserved=1,2,3&mtu=1280#n", "fake_packets"},
		{"wireguard endpoint", wg + `,"system":false,"name":"wg0","address":"10.0.0.2/32","mtu":1408,"udp_timeout":"5m","peers":[{"address":"1.2.3.4","port":51820,"public_key":"` + pbk + `","allowed_ips":["0.0.0.0/0"],"persistent_keepalive_interval":25,"reserved":[1,2,3]}]`,
			"wireguard://" + pbk + "@1.2.3.4:51820?address=10.0.0.2&publickey=" + pbk + "&allowedips=0.0.0.0%2F0&keepalive=25&reserved=1,2,3&mtu=1408#n", ""},
		{"wireguard reserved beside the peers", wg + `,"local_address":"10.0.0.2/32","reserved":[1,2,3],"peers":[{"server":"a.org","server_port":1,"public_key":"` + pbk + `"}]`,
			"wireguard://" + pbk + "@a.org:1?address=10.0.0.2&publickey=" + pbk + "&reserved=1,2,3#n", ""},
		{"wireguard for all among others", wg + `,"address":["10.0.0.2/32"],"peers":[{"address":"b.org","port":1,"public_key":"` + pbk + `","allowed_ips":["10.1.0.0/16"]},{"address":"a.org","port":2,"public_key":"` + pbk + `","allowed_ips":["0.0.0.0/0","::/0"]}]`,
			"wireguard://" + pbk + "@a.org:2?address=10.0.0.2&publickey=" + pbk + "#n", "peers"},
		{"this machine", trojan + `,` + tls + `,"detour":"","connect_timeout":"5s","tcp_fast_open":true,"domain_resolver":{"server":"x"},"domain_strategy":"prefer_ipv4","bind_interface":"eth0","routing_mark":9`,
			"trojan://" + password + "@a.org:443?security=tls&sni=s.org#n", "bind_interface, routing_mark"},
		{"straight", trojan + `,` + tls + `,"detour":"direct"`, "trojan://" + password + "@a.org:443?security=tls&sni=s.org#n", ""},
		{"injection", `"type":"trojan","tag":"n#&?\nq","server":"a.org","server_port":443,"password":"p@evil.org:1?sni=x#","tls":{"enabled":true,"server_name":"s.org&pbk=x"}`,
			"trojan://p%40evil.org%3A1%3Fsni%3Dx%23@a.org:443?security=tls&sni=s.org%26pbk%3Dx#n%23%26%3F%20q", ""},
	}
	for _, test := range tests {
		list := "outbounds"
		if strings.Contains(test.json, `"peers"`) {
			list = "endpoints"
		}
		for form, body := range map[string]string{
			"alone":  "{" + test.json + "}",
			"list":   "[{" + test.json + "}]",
			"config": `{"log":{"output":"x"},"` + list + `":[{` + test.json + `},{"type":"direct"},{"type":"block","tag":"b"},{"type":"dns","tag":"d"},{"type":"selector","tag":"s","outbounds":["n"]},{"type":"urltest","outbounds":["n"]}],"route":{}}`,
		} {
			t.Run(test.name+"/"+form, func(t *testing.T) { checkOnly(t, body, test.link, test.left) })
		}
	}
}

func TestSingBoxRejected(t *testing.T) {
	const (
		trojan = `"type":"trojan","server":"a.org","server_port":443,"password":"` + password + `","tls":{"enabled":true}`
		wg     = `"type":"wireguard","address":"10.0.0.2/32","private_key":"` + pbk + `"`
		peer   = `{"address":"a.org","port":1,"public_key":"` + pbk + `","allowed_ips":`
	)
	tests := []struct{ name, json, code, says string }{
		{"tuic", `"type":"tuic","server":"a.org","server_port":1`, link.CodeUnsupportedProtocol, "TUIC"},
		{"hysteria", `"type":"hysteria","server":"a.org","server_port":1`, link.CodeUnsupportedProtocol, "version 1 of Hysteria"},
		{"anytls", `"type":"anytls","server":"a.org","server_port":1`, link.CodeUnsupportedProtocol, "AnyTLS"},
		{"shadowtls", `"type":"shadowtls","server":"a.org","server_port":1`, link.CodeUnsupportedProtocol, "ShadowTLS"},
		{"tor", `"type":"tor"`, link.CodeUnsupportedProtocol, "Tor"},
		{"unknown", `"type":"\u001b[31m"`, link.CodeUnsupportedProtocol, "the type of the entry"},
		{"socks4", `"type":"socks","server":"a.org","server_port":1080,"version":"4a"`, link.CodeUnsupportedProtocol, "version 4 of SOCKS"},
		{"h2", trojan + `,"transport":{"type":"http"}`, link.CodeUnsupportedTransport, "transport http"},
		{"quic", trojan + `,"transport":{"type":"quic"}`, link.CodeUnsupportedTransport, "transport quic"},
		{"chain", trojan + `,"detour":"good"`, CodeChained, "detour"},
		{"chain to nowhere", trojan + `,"detour":"gone"`, CodeChained, "detour"},
		{"straight by detours", trojan + `,"detour":"straight"`, CodeChained, "detour"},
		{"certificate", `"type":"trojan","server":"a.org","server_port":443,"password":"x","tls":{"enabled":true,"certificate_path":"/etc/passwd"}`, link.CodeUnsupportedParameter, "tls.certificate_path"},
		{"second server", trojan + `,"transport":{"type":"xhttp","download":{"server":"b.org"}}`, link.CodeUnsupportedParameter, "transport.download"},
		{"no port", `"type":"trojan","server":"a.org","password":"x"`, link.CodeBadPort, "entry"},
		{"no host", `"type":"vmess","server_port":1,"uuid":"` + uuid + `"`, link.CodeBadHost, "entry"},
		{"no user ID", `"type":"vmess","server":"a.org","server_port":1`, link.CodeMissingCredentials, "the entry has no user ID"},
		{"bad user ID", `"type":"vless","server":"a.org","server_port":1,"uuid":"` + uuid + uuid + `"`, link.CodeBadUUID, "the user ID of the entry"},
		{"plugin", `"type":"shadowsocks","server":"a.org","server_port":1,"method":"aes-256-gcm","password":"` + password + `","plugin":"obfs-local","plugin_opts":"obfs=http"`, link.CodeUnsupportedPlugin, "obfs-local"},
		{"amnezia", wg + `,"awg":{"jc":3},"peers":[` + peer + `["0.0.0.0/0"]}]`, link.CodeUnsupportedParameter, "awg"},
		{"servers for all", wg + `,"peers":[` + peer + `["0.0.0.0/0"]},` + peer + `["0.0.0.0/0","::/0"]}]`, CodeNotAnEntry, "several servers"},
		{"servers for none", wg + `,"peers":[` + peer + `["10.0.0.0/8"]},` + peer + `[]}]`, CodeNotAnEntry, "none for all"},
		{"no type", `"type":"","server":"a.org"`, CodeNotAnEntry, "no type"},
	}
	const good = `{"type":"trojan","tag":"good","server":"good.org","server_port":443,"password":"x"}`
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := checkRejected(t, fmt.Sprintf(`{"outbounds":[{"tag":"bad one",%s},%s],"endpoints":[{"type":"direct","tag":"straight","detour":"good"}]}`, test.json, good), test.code)
			if p.Name != "bad one" || !strings.Contains(p.Message, test.says) || strings.Contains(p.Message, "link") {
				t.Errorf("%+v", p)
			}
		})
	}
}

// A detour is none if it leads to an outbound that sends directly, whatever its tag.
func TestSingBoxDetourToDirect(t *testing.T) {
	for direct, accepted := range map[string]bool{
		`{"type":"direct","tag":"out"}`:                                true,
		`{"type":"direct","tag":"out","override_address":"127.0.0.1"}`: false,
		`{"type":"direct","tag":"out","detour":"x"}`:                   false,
		`{"type":"direct","tag":["out"]}`:                              false,
		`{"type":"selector","tag":"out"}`:                              false,
	} {
		b, _ := Parse([]byte(`{"endpoints":[` + direct + `],"outbounds":[{"type":"trojan","tag":"a","server":"a.org","server_port":443,"password":"x","detour":"out"}]}`))
		if (len(b.Entries) == 1) != accepted {
			t.Errorf("%s: %+v", direct, b)
		}
	}
	b, _ := Parse([]byte(`{"outbounds":[{"type":"socks","tag":"direct"},{"type":"trojan","tag":"a","server":"a.org","server_port":1,"password":"x","detour":"direct"}]}`))
	if len(b.Entries) != 0 || len(b.Problems) != 2 || b.Problems[1].Code != CodeChained {
		t.Errorf("%+v", b)
	}
}
