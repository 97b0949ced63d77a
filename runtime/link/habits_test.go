package link

import (
	"strings"
	"testing"
)

// TestHabits checks what programs write in ways of their own against the usual way.
func TestHabits(t *testing.T) {
	vless := "vless://" + testUUID + "@192.0.2.1:443?"
	const plusKey = "ABCD+FGHI/KLMNOPQRSTUVWXYZ+bcdefghijklmnopo="
	vmess := `{"add":"192.0.2.1","port":443,"id":"` + testUUID + `",`
	for name, tt := range map[string]struct {
		in, want string
		left     string // a word of what is named as left out; empty: nothing is
	}{
		"null and undefined": {
			vless + "type=ws&security=tls&flow=null&fp=undefined&host=null&plugin=undefined&prefix=undefined&sni=a.org&sni=null",
			vless + "type=ws&security=tls&sni=a.org", "",
		},
		"null and undefined in VMess": {
			vmessJSON(vmess + `"net":"xhttp","host":"null","path":"/a","mode":"undefined","extra":{"host":"null","headers":{"Host":"undefined"}},"tls":"tls","fp":"null"}`),
			vmessJSON(vmess + `"net":"xhttp","path":"/a","tls":"tls"}`), "",
		},
		"a word that only begins like that": {vless + "type=ws&host=null.org", vless + "type=ws&host=null.org&host=undefined", ""},
		"host headers in other scripts": {
			vless + "type=ws&security=tls&host=%E8%8A%82%E7%82%B9.a.org, b.org,Bücher.a.org:443",
			vless + "type=ws&security=tls&sni=xn--3px729a.a.org&host=xn--3px729a.a.org,b.org,xn--bcher-kva.a.org:443", "",
		},
		"names in other scripts, HTTP":  {vless + "type=tcp&headerType=http&host=b.org,节点.A.org", vless + "type=tcp&headerType=http&host=b.org,xn--3px729a.a.org", ""},
		"names in other scripts, gRPC":  {vless + "type=grpc&authority=节点.a.org", vless + "type=grpc&authority=xn--3px729a.a.org", ""},
		"names in other scripts, xhttp": {vless + `type=xhttp&extra={"host":"节点.a.org"}`, vless + "type=xhttp&host=xn--3px729a.a.org", ""},
		"names in other scripts, mKCP":  {vless + `type=kcp&headerType=dns&host=节点.a.org`, vless + "type=kcp&headerType=dns&host=xn--3px729a.a.org", ""},
		"names in other scripts, masks": {
			vless + `type=kcp&fm={"udp":[{"type":"header-dns","settings":{"domain":"节点.a.org"}},{"type":"mkcp-original"}]}`, vless + "type=kcp&headerType=dns&host=xn--3px729a.a.org", "",
		},
		"no name": {vless + "type=ws&host=%E8%8A%82..%F0%9F%8C%90", vless + "type=ws&host=%E8%8A%82..%F0%9F%8C%90", ""},
		"REALITY with lists to choose from": {
			vless + "security=reality&pbk=" + testKey + "&sni=, a.org,b.org&sid=ab,cd", vless + "security=reality&pbk=" + testKey + "&sni=a.org&sid=ab", "",
		},
		"TLS with a list to choose from": {vless + "security=tls&sni=节点.a.org,b.org", vless + "security=tls&sni=xn--3px729a.a.org", ""},
		"an empty first short id": {
			vless + "security=reality&pbk=" + testKey + "&sid=,ab", vless + "security=reality&pbk=" + testKey, "",
		},
		"flow with a multiplexer":     {vless + "security=tls&flow=xtls-rprx-vision&mux=8", vless + "security=tls&flow=xtls-rprx-vision", "mux"},
		"the multiplexer of sing-box": {vless + "muxtype=smux&muxmaxc=4&mux=4&muxsmax=0&muxpad=False", vless, "mux"},
		"the multiplexer of sing-box, VMess": {
			vmessJSON(vmess + `"net":"tcp","mux":"4","muxtype":"h2mux"}`), vmessJSON(vmess + `"net":"tcp"}`), "mux",
		},
		"no multiplexer of sing-box":         {vless + "muxtype=&mux=0", vless, ""},
		"the multiplexer of the core, named": {vless + "muxtype=xray&mux=4", vless + "mux=4", ""},
		"WireGuard, short names, a plus in keys": {
			"wg://192.0.2.1:51820/?pk=" + plusKey + "&local_address=10.90.0.2/32&peer_pk=" + plusKey + "&pre_shared_key=" + plusKey + "&workers=4&mtu=1380&reserved=0,0,0&ifp=",
			"wg://" + escape(plusKey, "") + "@192.0.2.1:51820?publickey=" + escape(plusKey, "") + "&presharedkey=" + escape(plusKey, "") + "&address=10.90.0.2&mtu=1380", "",
		},
		"WireGuard, names with underscores": {
			"wireguard://192.0.2.1:51820?private_key=" + testKey + "=&peer_public_key=" + testKey + "=&pre_shared_key=" + testKey + "=",
			"wg://" + testKey + "@192.0.2.1:51820?publickey=" + testKey + "&presharedkey=" + testKey, "",
		},
		"WireGuard with noise":          {"wg://" + testKey + "@192.0.2.1?publickey=" + testKey + "&wnoise=quic&wnoisecount=15", "wg://" + testKey + "@192.0.2.1?publickey=" + testKey, "wnoise"},
		"WireGuard with false packets":  {"wg://" + testKey + "@192.0.2.1?publickey=" + testKey + "&ifp=40-80&ifps=", "wg://" + testKey + "@192.0.2.1?publickey=" + testKey, "ifp"},
		"a description behind the name": {vless + "#%F0%9F%87%A9 a?b?serverDescription=ZmFzdA==", vless + "#🇩 a?b", ""},
		"a description without a name":  {vless + "#?serverDescription=ZmFzdA==", vless, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, left, err := Read(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if want, err := Parse(tt.want); err != nil || got != want {
				t.Errorf("got %s, want %s (%v)", got.URI(), want.URI(), err)
			}
			if all := strings.Join(left, "; "); (all == "") != (tt.left == "") || !strings.Contains(all, tt.left) {
				t.Errorf("left out: %q, want %q", all, tt.left)
			}
			checkRoundTrip(t, got)
		})
	}
}
