package link

import (
	"encoding/base64"
	"strings"
	"testing"
)

const (
	testUUID = "11111111-2222-4333-8444-555555555555"
	testKey  = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" // bytes 0 to 31
	hexSum   = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

var pqKey = strings.Repeat("A", 2602) + "A" // 1952 zero bytes

// goodLinks are made up. They cover every protocol, transport and security, and whatever mess is
// tolerated.
var goodLinks = []string{
	"vless://" + testUUID + "@example.org:443?type=tcp&security=none#plain",
	"vless://" + testUUID + "@example.org:443?encryption=none&flow=xtls-rprx-vision&security=reality&sni=www.example.com&fp=chrome&pbk=" + testKey + "&sid=0123abcd&spx=%2Fa%3Fp%3D1&type=tcp#reality",
	"vless://" + testUUID + "@example.org:443?security=reality&sni=www.example.com&pbk=" + testKey + "&pqv=" + pqKey,
	"vless://" + testUUID + "@example.org:443?encryption=mlkem768x25519plus.native.0rtt." + testKey + "&type=tcp",
	"vless://" + testUUID + "@example.org:443?encryption=mlkem768x25519plus.xorpub.1rtt.100-111-1111." + testKey,
	"vless://" + testUUID + "@[2001:DB8::1]:8443?type=ws&security=tls&host=cdn.example.org&path=%2Fws%3Fed%3D2560&alpn=h2%2Chttp%2F1.1#v6",
	"vless://" + testUUID + "@192.0.2.1:80?type=ws&path=/a b ☂&host=cdn.example.org&ed=2048&eh=Sec-WebSocket-Protocol&amp;security=none&encryption=none=@channel#raw%2520 name ☂",
	"vless://" + testUUID + "@192.0.2.1:443?type=ws&security=tls&host=cdn.example.org&allowInsecure=1&utm_medium=x&note",
	"vless://" + testUUID + "@192.0.2.1:443?type=grpc&serviceName=a/b c&mode=multi&authority=example.org&security=tls&sni=example.org",
	"vless://" + testUUID + "@192.0.2.1:443?type=grpc&serviceName=/custom/path|multi&mode=gun&security=reality&pbk=" + testKey + "=&sid=",
	"vless://" + testUUID + "@192.0.2.1:80?type=httpupgrade&path=%252Fdouble&host=example.org",
	"vless://" + testUUID + "@192.0.2.1:443?type=xhttp&mode=packet-up&host=example.org&path=/x&security=tls&fp=Firefox&extra=" +
		escape(`{"xPaddingBytes":"100-1000", "scMaxConcurrentPosts": 100, "noGRPCHeader":false,"scMaxEachPostBytes":1000000,
			"headers":{"X-A":"b"},"scMaxBufferedPosts":"30","xmux":{"maxConcurrency":"16-32","maxConnections":0,"hKeepAlivePeriod":10}}`, ""),
	"vless://" + testUUID + "@192.0.2.1:443?type=splithttp&extra={\"scMaxEachPostBytes\":+1000}",
	"vless://" + testUUID + "@192.0.2.1:80?type=raw&headerType=http&host=a.example.org,b.example.org&path=/,/b",
	"vless://" + testUUID + "@192.0.2.1:443?security=tls&pcs=" + strings.ToUpper(hexSum) + "&vcn=a.example.org,b.example.org&ech=AAECAw==",
	"vless://short-name@example.org:443?mux=8",
	"vless://" + strings.ReplaceAll(testUUID, "-", "") + "@example.org:443/?type=tcp",
	"vmess://" + testUUID + "@example.org:443?encryption=auto&type=ws&security=tls&path=/v#uri",
	vmessJSON(`{"v":"2","ps":"json ☂","add":"example.org","port":"443","id":"` + testUUID + `","aid":"64","scy":"auto","net":"ws","type":"none","host":"cdn.example.org","path":"/?ed=2048","tls":"tls","sni":"","alpn":"h2,http/1.1","fp":"chrome"}`),
	vmessJSON(`{"add":"192.0.2.1","port":80,"id":"` + testUUID + `","aid":0,"net":"tcp","type":"http","host":"example.org","path":"/a,/b","tls":false,"skip-cert-verify":true}`),
	vmessJSON(`{"add":"192.0.2.1","port":443,"id":"`+testUUID+`","net":"grpc","path":"service","host":"authority.example.org","type":"multi","tls":"tls","security":"zero","allowInsecure":true}`) + "#from the fragment",
	vmessJSON(`{"add":"192.0.2.1","port":443,"id":"` + testUUID + `","net":"tcp","tls":"reality","pbk":"` + testKey + `","sid":"ab","sni":"example.org"}`),
	vmessJSON(`{"add":"192.0.2.1","port":443,"id":"` + testUUID + `","net":"xhttp","type":"stream-one","tls":"tls","path":"x","mux":"4"}`),
	vmessJSON(`{"add":"192.0.2.1","port":443,"id":"`+testUUID+`","net":"httpupgrade","type":null}`) + "```",
	"trojan://p%40ss%3Aw%2For%23d@example.org:443?security=tls&sni=example.org&alpn=http%2F1.1#trojan",
	"trojan://p@ss/word@example.org",
	"trojan://p?ss#word@example.org:443?type=ws&path=/a@b#name@channel",
	"trojan://password@example.org:443?ws=1&wspath=%2Fold&Host=example.org&peer=example.org",
	"trojan://password@example.org:443?security=none&type=grpc",
	"ss://YWVzLTI1Ni1nY206cGFzc3dvcmQ@example.org:8388#sip002",
	"ss://YWVzLTI1Ni1nY206cGFzc3dvcmQ%3D@example.org:8388/?type=tcp&headerType=none",
	"ss://YWVzLTI1Ni1nY206cGFzc3dvcmRAZXhhbXBsZS5vcmc6ODM4OA==#legacy",
	"ss://chacha20-ietf-poly1305:p%3Aa%40ss@example.org:8388",
	"ss://2022-blake3-aes-128-gcm:AAECAwQFBgcICQoLDA0ODw%3D%3D%3AAAECAwQFBgcICQoLDA0ODw==@example.org:8388#2022",
	"ss://2022-blake3-chacha20-poly1305:" + testKey + "@example.org:8388",
	"ss://plain:x@example.org:8388?type=ws&path=/s&security=tls",
	"socks://dXNlcjpwYXNz@192.0.2.1:1080#socks",
	"socks5://us%3Aer:pa:ss@[2001:db8::1]:1080",
	"socks5://192.0.2.1",
	"http://user:pass@192.0.2.1:3128#http",
	"https://192.0.2.1:3128?sni=example.org&fp=chrome&allowInsecure=1",
	"https://user:@example.org",
	"ss://YWVzLTI1Ni1nY206eA==@example.org:443?plugin=v2ray-plugin%3Bmode%3Dwebsocket%3Bmux%3D0%3Bhost%3Dcdn.example.org%3Bpath%3D%2Fa%3Btls",
	"vless://" + testUUID + "@192.0.2.1:80?type=kcp&headerType=wechat-video&seed=a%20b&mtu=1200&tti=20",
	"vless://" + testUUID + "@192.0.2.1:443?type=mkcp&headerType=dns&host=example.org&security=tls&sni=example.org",
	vmessJSON(`{"add":"192.0.2.1","port":80,"id":"` + testUUID + `","net":"kcp","type":"utp","path":"/"}`),
	vmessJSON(`{"add":"192.0.2.1","port":80,"id":"` + testUUID + `","net":"kcp","type":"none","path":"se/ed"}`),
	"hysteria2://pass%2Fword@example.org:443/?insecure=1&obfs=salamander&obfs-password=a%20b&sni=www.example.com&pinSHA256=" + hexSum + "#hy2",
	"hy2://user:pass@192.0.2.1:443,5000-6000,7000?hop-interval=10-30&up=50&down=100mbps&alpn=h3&security=tls&fp=chrome",
	"hy2://example.org",
	"wireguard://" + escape(testKey+"=", "") + "@192.0.2.1:51820?publickey=" + testKey + "%3D&address=10.0.0.2%2F32%2C2001%3Adb8%3A%3A2%2F128&reserved=1%2C2%2C3&mtu=1280#wg",
	"wg://example.org?privateKey=" + testKey + "&publicKey=" + hexSum + "&presharedkey=" + testKey + "&allowedips=10.0.0.0/8&keepalive=25",
}

// vmessJSON is a VMess link in the form of v2rayN.
func vmessJSON(object string) string {
	return "vmess://" + base64.StdEncoding.EncodeToString([]byte(object))
}

// checkRoundTrip fails the test if printing and parsing l does not give l. It shows no secrets,
// because l may come from a corpus of real links.
func checkRoundTrip(t *testing.T, l Link) {
	t.Helper()
	again, err := Parse(l.URI())
	if err != nil {
		t.Errorf("%v: parsing the printed link: %v", l, err)
	} else if again != l {
		t.Errorf("%v: printing and parsing gives another link (name %q, then %q; same account %v, transport %v, security %v)", l, l.Name, again.Name,
			l.Account == again.Account, l.Transport == again.Transport, l.Secure == again.Secure)
	} else if again.Identity() != l.Identity() {
		t.Errorf("%v: the identity changes", l)
	}
}
