package subscription

import (
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

func TestV2RayN(t *testing.T) {
	const server = `"configVersion":2,"address":"a.org","port":443,"remarks":"n","testResult":"  44ms","subid":"x","sni":null`
	tests := []struct {
		name, json, link string
		left             string // the settings that are named as left out
	}{
		{"vmess", server + `,"configType":1,"id":"` + uuid + `","alterId":1,"security":"auto","network":"ws","headerType":"none","requestHost":"h.org","path":"/p","streamSecurity":"tls","allowInsecure":"true"`,
			"vmess://" + uuid + "@a.org:443?encryption=auto&type=ws&security=tls&host=h.org&path=%2Fp&allowInsecure=1#n", ""},
		{"shadowsocks", server + `,"configType":3,"id":"p@:/","security":"aes-256-gcm","network":"","flow":"","headerType":"","requestHost":"","path":"","streamSecurity":"","allowInsecure":""`,
			"ss://aes-256-gcm:p%40%3A%2F@a.org:443#n", ""},
		{"socks", server + `,"configType":4,"id":"p","security":"u"`, "socks://u:p@a.org:443#n", ""},
		{"newer socks", server + `,"configType":4,"password":"p","username":"u","security":""`, "socks://u:p@a.org:443#n", ""},
		{"vless reality", server + `,"configType":5,"id":"` + uuid + `","security":"none","flow":"xtls-rprx-vision","network":"tcp","streamSecurity":"reality","fingerprint":"chrome","publicKey":"` + pbk + `","shortId":"01","spiderX":"/x","muxEnabled":true`,
			"vless://" + uuid + "@a.org:443?flow=xtls-rprx-vision&security=reality&fp=chrome&pbk=" + pbk + "&sid=01&spx=%2Fx#n", "muxenabled"},
		{"trojan http header", server + `,"configType":"Trojan","id":"` + password + `","network":"tcp","headerType":"http","requestHost":"h.org","path":"/p"`,
			"trojan://" + password + "@a.org:443?headerType=http&host=h.org&path=%2Fp&security=none#n", ""},
		{"grpc", server + `,"configType":6,"id":"` + password + `","network":"grpc","headerType":"multi","requestHost":"auth.org","path":"svc","streamSecurity":"tls","alpn":"h2"`,
			"trojan://" + password + "@a.org:443?type=grpc&mode=multi&authority=auth.org&serviceName=svc&security=tls&alpn=h2#n", ""},
		{"kcp", server + `,"configType":5,"id":"` + uuid + `","network":"kcp","headerType":"dns","path":"seed"`,
			"vless://" + uuid + "@a.org:443?type=kcp&headerType=dns&seed=seed&security=none#n", ""},
		{"xhttp", server + `,"configType":5,"id":"` + uuid + `","network":"xhttp","headerType":"packet-up","requestHost":"h.org","path":"/x","extra":"{\"xPaddingBytes\":\"1-2\"}","streamSecurity":"tls"`,
			"vless://" + uuid + "@a.org:443?type=xhttp&mode=packet-up&host=h.org&path=%2Fx&extra=%7B%22xPaddingBytes%22%3A%221-2%22%7D&security=tls#n", ""},
		{"hysteria2", server + `,"configType":7,"id":"` + password + `","path":"op","ports":"2000:3000,4000","alpn":"h3","allowInsecure":"true"`,
			"hysteria2://" + password + "@a.org:443?obfs=salamander&obfs-password=op&mport=2000-3000,4000&alpn=h3&insecure=1#n", ""},
		{"wireguard", server + `,"configType":9,"id":"` + pbk + `","publicKey":"` + pbk + `","path":"1,2,3","requestHost":"10.0.0.2/32","shortId":"1280"`,
			"wireguard://" + pbk + "@a.org:443?publickey=" + pbk + "&reserved=1,2,3&address=10.0.0.2&mtu=1280#n", ""},
		{"https", server + `,"configType":10,"id":"p","username":"u","streamSecurity":"tls"`, "https://u:p@a.org:443?security=tls#n", ""},
		{"newer vless", `"ConfigVersion":4,"ConfigType":5,"IndexId":"1","CoreType":null,"IsSub":true,"DisplayLog":true,"Address":"a.org","Port":443,"Remarks":"n","Password":"` + uuid + `","Network":"ws","StreamSecurity":"tls","AllowInsecure":"false","Sni":"s.org","CertSha":"",` +
			`"ProtoExtra":"{\"VlessEncryption\":\"none\",\"Flow\":\"\"}","TransportExtra":"{\"Host\":\"h.org\",\"Path\":\"/p\",\"GrpcMode\":\"gun\"}"`,
			"vless://" + uuid + "@a.org:443?type=ws&security=tls&sni=s.org&host=h.org&path=%2Fp#n", ""},
		{"newer hysteria2", `"ConfigType":7,"Address":"a.org","Port":443,"Remarks":"n","Password":"` + password + `","ProtoExtra":"{\"SalamanderPass\":\"op\",\"UpMbps\":10,\"DownMbps\":20,\"Ports\":\"1-2\",\"HopInterval\":\"30\"}"`,
			"hysteria2://" + password + "@a.org:443?obfs=salamander&obfs-password=op&mport=1-2&hop-interval=30&up=10&down=20#n", ""},
		{"newer wireguard", `"ConfigType":9,"Address":"a.org","Port":443,"Remarks":"n","Password":"` + pbk + `","ProtoExtra":"{\"WgPublicKey\":\"` + pbk + `\",\"WgPresharedKey\":\"` + pbk + `\",\"WgInterfaceAddress\":\"10.0.0.2/32\",\"WgMtu\":1280}"`,
			"wireguard://" + pbk + "@a.org:443?publickey=" + pbk + "&presharedkey=" + pbk + "&address=10.0.0.2&mtu=1280#n", ""},
		{"newer shadowsocks", `"ConfigType":3,"Address":"a.org","Port":443,"Remarks":"n","Password":"p","ProtoExtra":"{\"SsMethod\":\"aes-256-gcm\",\"Uot\":true}"`,
			"ss://aes-256-gcm:p@a.org:443#n", "protoextra.uot"},
	}
	for _, test := range tests {
		for form, body := range map[string]string{
			"alone":  "{" + test.json + "}",
			"list":   "[{" + test.json + "}]",
			"config": `{"inbound":[{"localPort":10808}],"index":0,"vmess":[{` + test.json + `},{"configType":101,"remarks":"group"}],"subItem":[{"url":"https://x"}]}`,
		} {
			t.Run(test.name+"/"+form, func(t *testing.T) { checkOnly(t, body, test.link, test.left) })
		}
	}
}

func TestV2RayNRejected(t *testing.T) {
	const server = `"address":"a.org","port":443,"id":"` + password + `","security":"aes-256-gcm"`
	tests := []struct{ name, json, code string }{
		{"custom", `"configType":2,"address":"config.json"`, CodeNotAnEntry},
		{"tuic", server + `,"configType":8`, link.CodeUnsupportedProtocol},
		{"anytls", server + `,"configType":"Anytls"`, link.CodeUnsupportedProtocol},
		{"naive", server + `,"configType":12`, link.CodeUnsupportedProtocol},
		{"chain", `"configType":102`, CodeChained},
		{"unknown", server + `,"configType":55`, link.CodeUnsupportedProtocol},
		{"no type", server, link.CodeUnsupportedProtocol},
		{"no host", `"configType":3,"id":"x"`, link.CodeBadHost},
		{"no user ID", `"configType":1,"address":"a.org","port":443`, link.CodeMissingCredentials},
		{"quic", server + `,"configType":6,"network":"quic"`, link.CodeUnsupportedTransport},
		{"certificate", server + `,"configType":6,"cert":"-----BEGIN"`, link.CodeUnsupportedParameter},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := checkRejected(t, `{"vmess":[{"remarks":"bad one",`+test.json+`},{"configType":6,"address":"good.org","port":443,"id":"x"}]}`, test.code)
			if p.Name != "bad one" {
				t.Errorf("%+v", p)
			}
		})
	}
}
