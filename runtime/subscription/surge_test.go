package subscription

import (
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

func TestSurge(t *testing.T) {
	const at, key = "@a.org:443", pbk + "%3D"
	tests := []struct {
		name, line, link string
		left             string // the settings that are named as left out
	}{
		{"Surge ss", "n = ss, a.org, 443, encrypt-method=aes-256-gcm, password=p@:/?#, udp-relay=true, tfo=true", "ss://aes-256-gcm:p%40%3A%2F%3F%23" + at + "#n", ""},
		{"Surge old ss", "n = custom, a.org, 443, aes-256-gcm, cGFzcw==, https://example.org/SSEncrypt.module", "ss://aes-256-gcm:cGFzcw%3D%3D" + at + "#n", ""},
		{"Surge vmess", "n = vmess, a.org, 443, username=" + uuid + ", ws=true, ws-path=/p?ed=1, ws-headers=Host:h.org|X-Other:y, tls=true, sni=s.org, skip-cert-verify=true, vmess-aead=true, encrypt-method=chacha20-ietf-poly1305",
			"vmess://" + uuid + at + "?encryption=chacha20-poly1305&type=ws&security=tls&sni=s.org&host=h.org&path=%2Fp%3Fed%3D1&allowInsecure=1#n", "ws-headers"},
		{"Surge vmess, no comma", "n = vmess, a.org, 443, username=" + uuid + ", ws=true, ws-path=/, ws-headers=Host:h.orgtls=true, sni=s.org",
			"vmess://" + uuid + at + "?type=ws&security=tls&sni=s.org&host=h.org&path=%2F#n", ""},
		{"Surge vmess plain", "n = vmess, 1.2.3.4, 80, username=" + uuid, "vmess://" + uuid + "@1.2.3.4:80?type=tcp&security=none#n", ""},
		{"Surge trojan", "n = trojan, a.org, 443, password=" + password + ", sni=s.org, ws=true, ws-path=/p", "trojan://" + password + at + "?security=tls&sni=s.org&type=ws&path=%2Fp#n", ""},
		{"Surge http", "n = http, a.org, 443, u, p", "http://u:p" + at + "#n", ""},
		{"Surge https", "n = https, a.org, 443, username=u, password=p, sni=s.org, skip-cert-verify=false", "https://u:p" + at + "?security=tls&sni=s.org#n", ""},
		{"Surge socks5", "n = socks5, a.org, 443", "socks://a.org:443#n", ""},
		{"Surge socks5 over TLS", "n = socks5-tls, a.org, 443, u, p, sni=s.org", "socks://u:p" + at + "?security=tls&sni=s.org#n", ""},
		{"Surge hysteria2", "n = hysteria2, a.org, 443, password=p, download-bandwidth=100, sni=s.org, skip-cert-verify=true, port-hopping=\"5000-6000;7000\", port-hopping-interval=30, salamander-password=o",
			"hysteria2://p" + at + "?sni=s.org&down=100&insecure=1&mport=5000-6000,7000&hop-interval=30&obfs=salamander&obfs-password=o#n", ""},
		{"Surge name", "\"🇩🇪 n, with: commas\" = trojan, a.org, 443, password=p", "trojan://p" + at + "?security=tls#%F0%9F%87%A9%F0%9F%87%AA%20n%2C%20with%3A%20commas", ""},
		{"Surge other", "n = trojan, a.org, 443, password=p, future-setting=1", "trojan://p" + at + "?security=tls#n", "future-setting"},
		{"Loon ss", `n = Shadowsocks,a.org,443,aes-256-gcm,"p,w=",fast-open=false,udp=true`, "ss://aes-256-gcm:p%2Cw%3D" + at + "#n", ""},
		{"Loon vmess", `n = vmess,a.org,443,auto,"` + uuid + `",transport=ws,path=/p,host=h.org,over-tls=true,tls-name=s.org,skip-cert-verify=true,alterId=0`,
			"vmess://" + uuid + at + "?type=ws&security=tls&sni=s.org&host=h.org&path=%2Fp&allowInsecure=1#n", ""},
		{"Loon vmess http", `n = vmess,a.org,443,aes-128-gcm,"` + uuid + `",transport=http,path=/p,host=h.org`,
			"vmess://" + uuid + at + "?encryption=aes-128-gcm&type=tcp&headerType=http&security=none&host=h.org&path=%2Fp#n", ""},
		{"Loon vless", `n = VLESS,a.org,443,"` + uuid + `",transport=tcp,flow=xtls-rprx-vision,public-key="` + pbk + `",short-id=12,udp=true,over-tls=true,sni=s.org`,
			"vless://" + uuid + at + "?type=tcp&flow=xtls-rprx-vision&security=reality&sni=s.org&pbk=" + pbk + "&sid=12#n", ""},
		{"Loon trojan", `n = trojan,a.org,443,"` + password + `",alpn=http1.1,skip-cert-verify=true,tls-name=s.org`, "trojan://" + password + at + "?security=tls&sni=s.org&alpn=http/1.1&allowInsecure=1#n", ""},
		{"Loon WireGuard", `n = wireguard,interface-ip=10.0.0.2,interface-ipv6=fd00::2,private-key="` + pbk + `=",mtu=1280,dns=1.1.1.1,keepalive=25,peers=[{public-key="` + pbk + `=",allowed-ips="0.0.0.0/0,::/0",endpoint=a.org:443,reserved=[1,2,3]}]`,
			"wireguard://" + key + at + "?publickey=" + key + "&address=10.0.0.2,fd00::2&mtu=1280&dns=1.1.1.1&keepalive=25&reserved=1,2,3#n", ""},
		{"Quantumult X ss", "shadowsocks=a.org:443, method=chacha20-ietf-poly1305, password=p, fast-open=false, udp-relay=true, tag=n", "ss://chacha20-ietf-poly1305:p" + at + "#n", ""},
		{"Quantumult X ss over WebSocket", "shadowsocks=a.org:443, method=aes-128-gcm, password=p, obfs=wss, obfs-host=h.org, obfs-uri=/p, tag=n",
			"ss://aes-128-gcm:p" + at + "?type=ws&security=tls&host=h.org&path=%2Fp#n", ""},
		{"Quantumult X vmess", "vmess=a.org:443, method=none, password=" + uuid + ", obfs=wss, obfs-host=h.org, obfs-uri=/p, tls-verification=false, tls-host=s.org, aead=true, tag=n",
			"vmess://" + uuid + at + "?encryption=none&type=ws&security=tls&sni=s.org&host=h.org&path=%2Fp&allowInsecure=1#n", ""},
		{"Quantumult X vless", "vless=a.org:443, method=none, password=" + uuid + ", obfs=over-tls, obfs-host=s.org, reality-base64-pubkey=" + pbk + ", reality-hex-shortid=12, vless-flow=xtls-rprx-vision, tag=n",
			"vless://" + uuid + at + "?type=tcp&flow=xtls-rprx-vision&security=reality&sni=s.org&pbk=" + pbk + "&sid=12#n", ""},
		{"Quantumult X trojan", "trojan=[2001:db8::1]:443, password=" + password + ", over-tls=true, tls-host=s.org, tls-verification=true, tag=n", "trojan://" + password + "@[2001:db8::1]:443?security=tls&sni=s.org#n", ""},
		{"Quantumult X http", "http=a.org:443, username=u, password=p, over-tls=true, tls-host=s.org, tag=n", "https://u:p" + at + "?security=tls&sni=s.org#n", ""},
		{"Quantumult X socks5", "socks5=a.org:443, fast-open=false, tag=n", "socks://a.org:443#n", ""},
	}
	for _, test := range tests {
		for form, body := range map[string]string{
			"section":   "#!MANAGED-CONFIG https://p.example/" + password + " interval=86400\n[General]\nloglevel = notify\nx = trojan, evil.org, 1, password=x\n\n[Proxy]\n; a comment\nDirect = direct\n" + test.line + "\n\n[Proxy Group]\ng = select, n\n[Rule]\nFINAL,g\n",
			"[server_]": "[SERVER_LOCAL]\r\n// a comment\r\n" + test.line + "\r\n[filter_local]\r\n",
			"list":      test.line + "\n",
		} {
			if strings.HasPrefix(test.name, "Loon WireGuard") && form == "list" {
				continue // has no host at its usual place
			}
			t.Run(test.name+"/"+form, func(t *testing.T) { checkOnly(t, body, test.link, test.left) })
		}
	}
}

func TestSurgeSections(t *testing.T) {
	b := mustParse(t, "[Proxy]\n\nwg = wireguard, section-name=Home, test-url=http://x\nbad = wireguard, section-name = Nothing\n[WireGuard Home]\nprivate-key = "+pbk+"=\nself-ip = 10.0.0.2\nself-ip-v6 = fd00::2\ndns-server = 1.1.1.1, example.org\nmtu = 1280\n"+
		"peer = (public-key = "+pbk+"=, allowed-ips = \"0.0.0.0/0, ::/0\", endpoint = a.org:443, client-id = 83/12/235)\n[Remote Proxy]\nmine = https://p.example/"+password+", udp=true\n")
	if len(b.Entries) != 1 || len(b.Problems) != 2 || b.Problems[0].Position != 4 || b.Problems[1].Code != CodeElsewhere || !b.Problems[1].Kept || !b.Lines {
		t.Fatalf("%+v", b)
	}
	sameServer(t, b.Entries[0].Link, "wireguard://"+pbk+"%3D@a.org:443?publickey="+pbk+"%3D&address=10.0.0.2,fd00::2&dns=1.1.1.1&mtu=1280&reserved=83,12,235#wg")
	noSecrets(t, b)
}

func TestSurgeRejected(t *testing.T) {
	tests := []struct{ name, line, code string }{
		{"snell", "bad = snell, a.org, 443, psk=" + password + ", version=4", link.CodeUnsupportedProtocol},
		{"tuic", "bad = tuic-v5, a.org, 443, password=" + password + ", uuid=x", link.CodeUnsupportedProtocol},
		{"ssr", "shadowsocks=a.org:443, method=rc4-md5, password=" + password + ", ssr-protocol=auth_chain_b, tag=bad", link.CodeUnsupportedProtocol},
		{"Loon ssr", `bad = ShadowsocksR,a.org,443,aes-256-cfb,"` + password + `",protocol=origin,obfs=plain`, link.CodeUnsupportedProtocol},
		{"unknown", "bad = whatever, a.org, 443, password=" + password, link.CodeUnsupportedProtocol},
		{"obfs", "bad = ss, a.org, 443, encrypt-method=aes-128-gcm, password=" + password + ", obfs=http, obfs-host=bing.com", link.CodeUnsupportedPlugin},
		{"Loon obfs", `bad = Shadowsocks,a.org,443,aes-128-gcm,"` + password + `",obfs-name=tls,obfs-host=bing.com`, link.CodeUnsupportedPlugin},
		{"shadow-tls", "bad = ss, a.org, 443, encrypt-method=aes-128-gcm, password=x, shadow-tls-password=" + password, link.CodeUnsupportedPlugin},
		{"chain", "bad = trojan, a.org, 443, password=" + password + ", underlying-proxy=other", CodeChained},
		{"uot", "bad = ss, a.org, 443, encrypt-method=aes-128-gcm, password=" + password + ", udp-over-tcp=true", link.CodeUnsupportedParameter},
		{"cipher", "bad = ss, a.org, 443, encrypt-method=rc4-md5, password=" + password, link.CodeUnsupportedCipher},
		{"disguise", "vmess=a.org:443, method=none, password=" + uuid + ", obfs=" + password + ", tag=bad", link.CodeUnsupportedTransport},
		{"port", "bad = trojan, a.org, 70000, password=" + password, link.CodeBadPort},
		{"no server", "bad = trojan", link.CodeBadHost},
		{"injection", "bad = trojan, a.org?x@b.org, 443, password=" + password, link.CodeBadHost},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			b := mustParse(t, "[Proxy]\n"+test.line+"\ngood = trojan, good.org, 443, password=x\nnothing at all\n")
			if len(b.Entries) != 1 || len(b.Problems) != 2 {
				t.Fatalf("%+v", b)
			}
			p := b.Problems[0]
			if p.Code != test.code || p.Position != 2 || p.Name != "bad" || p.Kept || strings.Contains(p.Message, " link") || b.Problems[1].Code != CodeNotAnEntry {
				t.Errorf("%+v", b.Problems)
			}
			noSecrets(t, b)
		})
	}
}

// Lists of links and of other things are not taken for those of Surge.
func TestNotSurge(t *testing.T) {
	for _, body := range []string{
		plainList, "vmess=1\n" + trojanLink, "REMARKS=trojan, x\n" + trojanLink, "proxies:\n- {name: a = trojan, type: trojan, server: a.org, port: 1, password: x}",
	} {
		if b := mustParse(t, body); isSurge([]byte(body)) || len(b.Entries) == 0 {
			t.Errorf("%q", body)
		}
	}
}
