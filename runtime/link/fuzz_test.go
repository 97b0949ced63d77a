package link

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func FuzzParse(f *testing.F) {
	for _, s := range goodLinks {
		f.Add(s)
	}
	f.Fuzz(checkParse)
}

// FuzzVMess fuzzes the JSON behind the base64, through which FuzzParse hardly gets.
func FuzzVMess(f *testing.F) {
	for _, s := range goodLinks {
		if encoded, ok := strings.CutPrefix(s, "vmess://"); ok {
			if object, ok := decodeBase64(base64Text(encoded)); ok && object[0] == '{' {
				f.Add(string(object))
			}
		}
	}
	f.Fuzz(func(t *testing.T, object string) { checkParse(t, vmessJSON(object)) })
}

// FuzzHysteria2 and those below put the fuzzer's text where the parser of one protocol or transport
// reads it.
func FuzzHysteria2(f *testing.F) {
	f.Add("user:pass", "443,5000-6000", "obfs=salamander&obfs-password=x&hop-interval=10-30&up=5&down=7mbps&pinSHA256="+hexSum)
	f.Add("", "443", "mport=1-2&insecure=1&sni=example.org&alpn=h3")
	f.Add("", "1,\f1", "") // a space that is a control character
	f.Fuzz(func(t *testing.T, user, ports, query string) {
		checkParse(t, "hy2://"+user+"@example.org:"+ports+"/?"+query)
	})
}

func FuzzWireGuard(f *testing.F) {
	f.Add(testKey, testKey, "address=10.0.0.2/32,2001:db8::2&reserved=1,2,3&mtu=1280&keepalive=5&allowedips=10.0.0.0/8&dns=1.1.1.1&presharedkey="+testKey)
	f.Add(hexSum, testKey+"=", "reserved=AQID&ip=10.0.0.2")
	f.Fuzz(func(t *testing.T, private, public, query string) {
		checkParse(t, "wireguard://"+private+"@example.org:51820?publickey="+public+"&"+query)
	})
}

func FuzzShadowsocks(f *testing.F) {
	f.Add("aes-256-gcm:password", "v2ray-plugin;mode=websocket;mux=0;tls;host=example.org;path=/a", "type=tcp")
	f.Add("2022-blake3-aes-128-gcm:AAECAwQFBgcICQoLDA0ODw==", "", "")
	f.Fuzz(func(t *testing.T, user, plugin, query string) {
		checkParse(t, "ss://"+escape(user, "")+"@example.org:1?plugin="+escape(plugin, "")+"&"+query)
		checkParse(t, "ss://"+base64.RawURLEncoding.EncodeToString([]byte(user+"@example.org:1"))+"?"+query)
	})
}

func FuzzTransport(f *testing.F) {
	for _, network := range []string{"tcp", "ws", "grpc", "httpupgrade", "xhttp", "kcp"} {
		f.Add(network, "tls", "/a", "example.org", "ech=a.b+https://1.1.1.1:1/q&echForceQuery=half&sni=☂.example")
		f.Add(network, "tls", "/a?ed=2048", "example.org", "headerType=srtp&seed=s&mtu=1200&tti=20&mode=multi&serviceName=s&ed=100&alpn=h2")
	}
	f.Fuzz(func(t *testing.T, network, security, path, host, rest string) {
		checkParse(t, "vless://a@192.0.2.1:1?type="+network+"&security="+security+"&pbk="+testKey+"&path="+escape(path, "")+"&host="+escape(host, "")+"&"+rest)
	})
}

func FuzzExtra(f *testing.F) {
	f.Add(`{"xPaddingBytes":"100-1000","noGRPCHeader":false,"headers":{"X-A":"b"},"xmux":{"maxConcurrency":"16-32"}}`)
	f.Add(`{"scMaxEachPostBytes":+1000,"uplinkHTTPMethod":"GET","sessionPlacement":"cookie"}`)
	f.Add(`{"mode":"auto","host":"a","headers":{"Host":["b"]},"sessionIDKey":"k","sessionIDLength":"1-2"}`)
	f.Add(`{"downloadSettings":{"address":"a.b","port":1,"security":"reality","realitySettings":{"publicKey":"` + testKey + `"},"xhttpSettings":{"extra":{"xPaddingBytes":"1-2"}},"finalmask":{"tcp":[{"type":"sudoku"}]}}}`)
	f.Fuzz(func(t *testing.T, extra string) {
		checkParse(t, "vless://a@192.0.2.1:1?type=xhttp&mode=packet-up&extra="+escape(extra, ""))
	})
}

// checkParse checks what holds for every text.
func checkParse(t *testing.T, s string) {
	l, err := Parse(s)
	if err != nil {
		if Code(err) == "" || l != (Link{}) {
			t.Errorf("rejected with %v and %v", err, l)
		}
		return
	}
	if l.Port == 0 || l.Host == "" || l.Account == nil || l.Transport == nil || l.Account.protocol() != l.Protocol {
		t.Errorf("%v is not complete", l)
	}
	if !utf8.ValidString(l.Name) || strings.ContainsFunc(l.Name, func(r rune) bool { return unicode.IsControl(r) || invisible(r) }) {
		t.Errorf("the name %q is not clean", l.Name)
	}
	checkRoundTrip(t, l)
}
