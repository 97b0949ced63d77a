package subscription

import (
	"fmt"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

const vlessOutbound = `{"tag":"proxy","protocol":"vless","settings":{"vnext":[{"address":"a.org","port":443,"users":[{"id":"` + uuid + `","encryption":"none","flow":"xtls-rprx-vision","level":8,"email":"x@y"}]}]},` +
	`"streamSettings":{"network":"tcp","security":"reality","realitySettings":{"serverName":"s.org","fingerprint":"chrome","publicKey":"` + pbk + `","shortId":"ab12","spiderX":"/x","show":false},"tcpSettings":{"header":{"type":"none"}},"sockopt":{"tcpFastOpen":true}},"mux":{"enabled":false,"concurrency":-1}}`

const vlessOutboundLink = "vless://" + uuid + "@a.org:443?type=tcp&flow=xtls-rprx-vision&security=reality&sni=s.org&fp=chrome&pbk=" + pbk + "&sid=ab12&spx=%2Fx"

func TestXrayOutbounds(t *testing.T) {
	stream := func(s string) string {
		return `{"protocol":"trojan","settings":{"servers":[{"address":"a.org","port":443,"password":"` + password + `"}]},"streamSettings":` + s + `}`
	}
	const trojan = "trojan://" + password + "@a.org:443?"
	tests := []struct{ name, json, link, left string }{
		{"vless reality", vlessOutbound, vlessOutboundLink + "#proxy", ""},
		{"vless flat", `{"protocol":"VLESS","settings":{"address":"a.org","port":"443","id":"` + uuid + `","encryption":"none"}}`, "vless://" + uuid + "@a.org:443", ""},
		{"vmess", `{"tag":"t","protocol":"vmess","settings":{"vnext":[{"address":"1.2.3.4","port":80,"users":[{"id":"` + uuid + `","alterId":0,"security":"auto"}]}]},"streamSettings":{"network":"ws","wsSettings":{"path":"/p?ed=2048","headers":{"Host":"h.org"}}},"mux":{"enabled":true,"concurrency":8}}`,
			"vmess://" + uuid + "@1.2.3.4:80?encryption=auto&type=ws&security=none&host=h.org&path=%2Fp%3Fed%3D2048&mux=8#t", ""},
		{"shadowsocks", `{"protocol":"shadowsocks","settings":{"servers":[{"address":"2001:db8::1","port":8388,"method":"chacha20-ietf-poly1305","password":"a:b"}]}}`,
			"ss://chacha20-ietf-poly1305:a%3Ab@[2001:db8::1]:8388", ""},
		{"socks", `{"protocol":"socks","settings":{"servers":[{"address":"a.org","port":1080,"users":[{"user":"u","pass":"p"}]}]}}`, "socks://u:p@a.org:1080", ""},
		{"http", `{"protocol":"http","settings":{"address":"a.org","port":8080,"user":"u","pass":"p"},"streamSettings":{"security":"tls","tlsSettings":{"serverName":"s.org"}}}`, "https://u:p@a.org:8080?security=tls&sni=s.org", ""},
		{"trojan without tls", stream(`{}`), trojan + "security=none", ""},
		{"grpc", stream(`{"network":"grpc","security":"tls","tlsSettings":{"serverName":"s.org","alpn":["h2"],"allowInsecure":true,"pinnedPeerCertSha256":"` + strings.Repeat("ab", 32) + `"},"grpcSettings":{"serviceName":"svc","multiMode":true,"idle_timeout":60}}`),
			trojan + "type=grpc&security=tls&sni=s.org&alpn=h2&allowInsecure=1&pcs=" + strings.Repeat("ab", 32) + "&serviceName=svc&mode=multi", ""},
		{"httpupgrade", stream(`{"network":"httpupgrade","security":"tls","httpupgradeSettings":{"path":"/u","host":"h.org"},"wsSettings":{"path":"/noise"}}`), trojan + "type=httpupgrade&security=tls&sni=a.org&host=h.org&path=%2Fu", ""},
		{"xhttp", stream(`{"network":"xhttp","security":"tls","xhttpSettings":{"path":"/x","host":"h.org","mode":"packet-up","extra":{"xPaddingBytes":"100-200","noGRPCHeader":true,"xmux":{"maxConcurrency":"16-32","hKeepAlivePeriod":30}}}}`),
			trojan + "type=xhttp&security=tls&sni=a.org&host=h.org&path=%2Fx&mode=packet-up&extra=%7B%22xPaddingBytes%22%3A%22100-200%22%2C%22noGRPCHeader%22%3Atrue%2C%22xmux%22%3A%7B%22maxConcurrency%22%3A%2216-32%22%2C%22hKeepAlivePeriod%22%3A30%7D%7D", ""},
		{"no name of the server", stream(`{"network":"ws","security":"tls","wsSettings":{"path":"/p","headers":{"Host":"h.org"}}}`), trojan + "type=ws&security=tls&sni=a.org&host=h.org&path=%2Fp", ""},
		{"xhttp, settings beside extra", stream(`{"network":"xhttp","xhttpSettings":{"path":"/x","xPaddingBytes":"1-2","noGRPCHeader":true,"extra":{"scMaxEachPostBytes":"1000-2000"}}}`),
			trojan + "type=xhttp&security=none&path=%2Fx&extra=%7B%22scMaxEachPostBytes%22%3A%221000-2000%22%7D", ""},
		{"xhttp, settings beside an empty extra", stream(`{"network":"xhttp","xhttpSettings":{"noGRPCHeader":true,"extra":{}}}`), trojan + "type=xhttp&security=none", ""},
		{"xhttp, settings without extra", stream(`{"network":"xhttp","xhttpSettings":{"noGRPCHeader":true,"noSSEHeader":false,"headers":{}}}`),
			trojan + "type=xhttp&security=none&extra=%7B%22noGRPCHeader%22%3Atrue%7D", ""},
		{"xhttp, what the core does not read", stream(`{"network":"xhttp","xhttpSettings":{"extra":{"host":"h.org","path":"/x","mode":"packet-up","sessionIDKey":"k"}}}`),
			trojan + "type=xhttp&security=none&extra=%7B%22sessionKey%22%3A%22k%22%7D", ""},
		{"ECH by look-up", stream(`{"security":"tls","tlsSettings":{"serverName":"s.org","echConfigList":"e.org+https://dns.org/q","echForceQuery":"half"}}`),
			trojan + "security=tls&sni=s.org&ech=e.org%2Bhttps%3A%2F%2Fdns.org%2Fq&echForceQuery=half", ""},
		{"http header", stream(`{"network":"raw","rawSettings":{"header":{"type":"http","request":{"version":"1.1","method":"GET","path":["/a","/b"],"headers":{"Host":["h.org","i.org"],"User-Agent":["x"]}}}}}`),
			trojan + "type=tcp&headerType=http&security=none&host=h.org%2Ci.org&path=%2Fa%2C%2Fb", ""},
		{"socket", stream(`{"security":"tls","sockopt":{"mark":255,"interface":"eth0","tproxy":"tproxy"}}`), trojan + "security=tls", "streamSettings.sockopt.interface, streamSettings.sockopt.mark, streamSettings.sockopt.tproxy"},
		{"unknown", stream(`{"security":"tls","tlsSettings":{"masterKeyLog":"/home/u/.bashrc","\u001b[31m":1}}`), trojan + "security=tls", "streamSettings.tlsSettings.(unprintable), streamSettings.tlsSettings.masterKeyLog"},
		{"hysteria", `{"protocol":"hysteria","settings":{"version":2,"address":"a.org","port":443},"streamSettings":{"network":"hysteria","security":"tls","tlsSettings":{"serverName":"s.org","alpn":["h3"]},"hysteriaSettings":{"version":2,"auth":"` + password + `"},"finalmask":{"udp":[{"type":"salamander","settings":{"password":"op"}}]}}}`,
			"hysteria2://" + password + "@a.org:443?sni=s.org&alpn=h3&obfs=salamander&obfs-password=op", ""},
		{"wireguard", `{"protocol":"wireguard","settings":{"secretKey":"` + pbk + `","address":["10.0.0.2/32"],"peers":[{"publicKey":"` + pbk + `","endpoint":"[2001:db8::1]:51820","keepAlive":25,"allowedIPs":["0.0.0.0/0"]}],"mtu":1280,"reserved":[1,2,3],"noKernelTun":false}}`,
			"wireguard://" + pbk + "@[2001:db8::1]:51820?address=10.0.0.2&publickey=" + pbk + "&keepalive=25&allowedips=0.0.0.0%2F0&mtu=1280&reserved=1,2,3", ""},
	}
	for _, test := range tests {
		for form, body := range map[string]string{
			"alone":   test.json,
			"list":    "[" + test.json + "]",
			"config":  `{"log":{"access":"/x"},"inbounds":[{"port":1}],"outbounds":[` + test.json + `,{"protocol":"freedom","tag":"direct"},{"protocol":"blackhole"}],"routing":{}}`,
			"configs": `[{"outbounds":[` + test.json + `,{"protocol":"freedom"}],"dns":{}}]`,
			"oldest":  `{"outbound":` + test.json + `,"outboundDetour":[{"protocol":"freedom"}]}`,
		} {
			t.Run(test.name+"/"+form, func(t *testing.T) {
				checkOnly(t, body, test.link, test.left)
			})
		}
	}
}

// TestXrayWays reads servers that are reached through another outbound of the same configuration.
func TestXrayWays(t *testing.T) {
	const split = `{"tag":"split","protocol":"freedom","settings":{"domainStrategy":"AsIs","fragment":{"packets":"tlshello","length":"10-20","interval":"5-6"}},"streamSettings":{"sockopt":{"tcpNoDelay":true}}}`
	const noise = `{"tag":"noise","protocol":"Freedom","settings":{"noises":[{"type":"rand","packet":"10-20","delay":"1-2"},{"type":"base64","packet":"AP__"},{"type":"str","packet":"x","applyTo":"ip"}]}}`
	const both = `{"tag":"both","protocol":"freedom","settings":{"fragment":{"packets":"1-1","length":"3","interval":"0","maxSplit":"9"}},"streamSettings":{"sockopt":{"dialerProxy":"split"}}}`
	server := func(stream, more string) string {
		return `{"protocol":"trojan","settings":{"servers":[{"address":"a.org","port":443,"password":"` + password + `"}]},"streamSettings":{` + stream + `}` + more + `}`
	}
	through := func(tag string) string { return `"sockopt":{"dialerProxy":"` + tag + `","mark":255}` }
	const trojan = "trojan://" + password + "@a.org:443?security=none"
	const splitMask = `{"type":"fragment","settings":{"packets":"tlshello","length":"10-20","delay":"5-6"}}`
	tests := []struct{ name, outbounds, link, code string }{
		{"split packets", server(through("split"), "") + "," + split, trojan + `&fm={"tcp":[` + splitMask + `]}`, ""},
		{"the way comes first", split + "," + server(through("split"), ""), trojan + `&fm={"tcp":[` + splitMask + `]}`, ""},
		{"by proxySettings", server("", `,"proxySettings":{"tag":"split","transportLayer":true}`) + "," + split, trojan + `&fm={"tcp":[` + splitMask + `]}`, ""},
		{"with a mask of its own", server(through("split")+`,"finalmask":{"tcp":[{"type":"sudoku"}]}`, "") + "," + split, trojan + `&fm={"tcp":[` + splitMask + `,{"type":"sudoku"}]}`, ""},
		{"noise", server(through("noise"), "") + "," + noise,
			trojan + `&fm={"udp":[{"type":"noise","settings":{"noise":[{"rand":"10-20","delay":"1-2"},{"type":"hex","packet":"00ffff"},{"type":"str","packet":"x"}]}}]}`, ""},
		{"one after the other", server(through("both"), "") + "," + both + "," + split,
			trojan + `&fm={"tcp":[` + splitMask + `,{"type":"fragment","settings":{"packets":"1-1","length":"3","maxSplit":"9"}}]}`, ""},
		{"nothing on the way", server(through("plain"), "") + `,{"tag":"plain","protocol":"freedom"}`, trojan, ""},
		{"Hysteria", `{"protocol":"hysteria","settings":{"version":2,"address":"a.org","port":443},"streamSettings":{"network":"hysteria","security":"tls","hysteriaSettings":{"version":2,"auth":"x"},` +
			through("noise") + `,"finalmask":{"udp":[{"type":"salamander","settings":{"password":"o"}}],"quicParams":{"brutalUp":"20 mbps","congestion":"bbr"}}}},` + noise,
			`hy2://x@a.org:443?obfs=salamander&obfs-password=o&up=20&fm={"quicParams":{"congestion":"bbr"},"udp":[{"type":"noise","settings":{"noise":[{"rand":"10-20","delay":"1-2"},{"type":"hex","packet":"00ffff"},{"type":"str","packet":"x"}]}}]}`, ""},
		{"in circles", server(through("ring"), "") + `,{"tag":"ring","protocol":"freedom","streamSettings":{"sockopt":{"dialerProxy":"ring"}}}`, "", CodeChained},
		{"to another place", server(through("away"), "") + `,{"tag":"away","protocol":"freedom","settings":{"redirect":"b.org:1"}}`, "", CodeChained},
		{"through another server", server(through("other"), "") + `,{"tag":"other","protocol":"dns"}`, "", CodeChained},
		{"below the transport", server("", `,"proxySettings":{"tag":"split"}`) + "," + split, "", CodeChained},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b, err := Parse([]byte(`{"outbounds":[` + tt.outbounds + `]}`))
			if tt.code != "" {
				if err == nil || len(b.Problems) != 1 || b.Problems[0].Code != tt.code {
					t.Errorf("%v, %+v", err, b)
				}
				return
			}
			if err != nil || len(b.Entries) != 1 {
				t.Fatalf("%v, %+v", err, b)
			}
			sameServer(t, b.Entries[0].Link, tt.link)
		})
	}
}

func TestXrayRejected(t *testing.T) {
	trojan := func(more string) string {
		return `{"tag":"bad one","protocol":"trojan","settings":{"servers":[{"address":"a.org","port":443,"password":"` + password + `"}]}` + more + `}`
	}
	tests := []struct{ name, json, code string }{
		{"protocol", `{"tag":"bad one","protocol":"tun","settings":{}}`, link.CodeUnsupportedProtocol},
		{"no settings", `{"tag":"bad one","protocol":"vless"}`, link.CodeBadHost},
		{"settings are a list", `{"tag":"bad one","protocol":"vless","settings":[1]}`, link.CodeBadHost},
		{"two servers", `{"tag":"bad one","protocol":"vless","settings":{"vnext":[{"address":"a"},{"address":"b"}]}}`, CodeNotAnEntry},
		{"chain", trojan(`,"streamSettings":{"sockopt":{"dialerProxy":"x"}}`), CodeChained},
		{"chain by settings", trojan(`,"proxySettings":{"tag":"x"}`), CodeChained},
		{"chain by an outbound that is not there", trojan(`,"streamSettings":{"sockopt":{"dialerProxy":"fragment"}}`), CodeChained},
		{"mask that needs root", trojan(`,"streamSettings":{"finalmask":{"udp":[{"type":"xicmp"}]}}`), link.CodeUnsupportedParameter},
		{"certificate file", trojan(`,"streamSettings":{"security":"tls","tlsSettings":{"certificates":[{"certificateFile":"/etc/passwd"}]}}`), link.CodeUnsupportedParameter},
		{"second server", trojan(`,"streamSettings":{"network":"xhttp","security":"tls","xhttpSettings":{"extra":{"downloadSettings":{"address":"c.org"}}}}`), link.CodeUnsupportedParameter},
		{"quic", trojan(`,"streamSettings":{"network":"quic"}`), link.CodeUnsupportedTransport},
		{"xtls", trojan(`,"streamSettings":{"security":"xtls"}`), link.CodeUnsupportedSecurity},
		{"number", `7`, CodeNotAnEntry},
		{"too long", `{"protocol":"vless","tag":"` + strings.Repeat("x", maxEntry) + `"}`, link.CodeTooLong},
		{"too deep", `{"protocol":"vless","settings":` + strings.Repeat(`{"a":`, 1000) + "1" + strings.Repeat("}", 1000) + `}`, link.CodeBadHost},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := checkRejected(t, fmt.Sprintf(`{"outbounds":[%s,%s]}`, test.json, vlessOutbound), test.code)
			if strings.Contains(test.json, `"tag":"bad one"`) && p.Name != "bad one" {
				t.Errorf("%+v", p)
			}
		})
	}
}
