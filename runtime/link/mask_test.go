package link

import (
	"strings"
	"testing"
)

func TestMasks(t *testing.T) {
	vless := "vless://" + testUUID + "@example.org:443?security=tls&type=ws&"
	udp := "hysteria2://x@example.org:443?"
	kcp := "vless://" + testUUID + "@example.org:443?type=kcp&"
	const split = `{"tcp":[{"settings":{"delay":"30-50","length":"40-60","packets":"tlshello"},"type":"fragment"}]}`
	tests := []struct{ name, in, want, left string }{
		{"none", vless, "", ""},
		{"switched on, length, interval, packets", vless + "fragment=1,40-60,30-50,tlshello", split, ""},
		{"length, interval, packets", vless + "fragment=40-60,30-50,tlshello", split, ""},
		{"packets first", vless + "fragment=tlshello,40-60,30-50", split, ""},
		{"packets by number", vless + "fragment=3,5-6,1-2", `{"tcp":[{"settings":{"delay":"5-6","length":"3","packets":"1-2"},"type":"fragment"}]}`, ""},
		{"a fourth value", vless + "fragment=3,0,tlshello,7", `{"tcp":[{"settings":{"length":"3","maxSplit":"7","packets":"tlshello"},"type":"fragment"}]}`, ""},
		{"switched off", vless + "fragment=0,40-60,30-50,tlshello", "", ""},
		{"no", vless + "fragment=none", "", ""},
		{"of length 0", vless + "fragment=0-5,1,tlshello", "", "fragment"},
		{"of another kind", vless + "fragment=sni", "", "fragment"},
		{"that takes forever", vless + "fragment=1-2,99999,tlshello", "", "fragment"},
		{"as a mask", vless + `fm={"tcp":[{"type":"fragment","settings":{"packets":"tlshello","length":"40-60","delay":"30-50"}}]}`, split, ""},
		{"as a mask and as a parameter", vless + `fragment=1,1,1,tlshello&fm={"tcp":[{"type":"fragment","settings":{"packets":"tlshello","length":"40-60","delay":"30-50"}}]}`, split, ""},
		{"as a form", vless + `fm={"tcp":+[{"type":+"fragment","settings":{"packets":"tlshello",+"length":+"40-60",+"delay":"30-50"}}]}`, split, ""},
		{"lists of one", vless + `fm={"tcp":[{"type":"fragment","settings":{"packets":"tlshello","lengths":["40-60"],"delays":["30-50"]}}]}`, split, ""},
		{"lists of several", vless + `fm={"tcp":[{"type":"fragment","settings":{"packets":"tlshello","lengths":["5","94"],"delays":["0"]}}]}`, "", "fragment"},
		{"with more", vless + `fm={"tcp":[{"type":"fragment","settings":{"packets":"tlshello","length":"40-60","delay":"30-50","sni":"","order":"reverse"}}]}`, split, "order"},
		{"unknown mask", vless + `fm={"tcp":[{"type":"invisible","settings":{"a":1}}]}`, "", "does not know"},
		{"unknown part", vless + `fm={"sctp":[]}`, "", "does not know"},
		{"noise", udp + `fm={"udp":[{"type":"noise","settings":{"reset":60,"noise":[{"rand":"10-20","delay":"1"},{"type":"hex","packet":"00ff"},{"packet":[1,2]},{"type":"str","packet":"a"}]}}]}`,
			`{"udp":[{"settings":{"noise":[{"delay":"1","rand":"10-20"},{"packet":"AP8=","type":"base64"},{"packet":"AQI=","type":"base64"},{"packet":"YQ==","type":"base64"}],"reset":"60"},"type":"noise"}]}`, ""},
		{"noise of a wrong kind", udp + `fm={"udp":[{"type":"noise","settings":{"noise":[{"type":"hex","packet":"zz"}]}}]}`, "", "noise"},
		{"salamander is obfs", udp + `fm={"udp":[{"type":"salamander","settings":{"password":"x"}}]}`, "", ""},
		{"QUIC", udp + `fm={"quicParams":{"congestion":"bbr","brutalUp":"50 mbps","brutalDown":"1500 kbps","keepAlivePeriod":15,"maxIdleTimeout":30,"debug":true,"udpHop":{"ports":"443,5000-6000","interval":"10-30"}}}`,
			`{"quicParams":{"brutalDown":"1536000 bps","congestion":"bbr","keepAlivePeriod":15,"maxIdleTimeout":30}}`, ""},
		{"QUIC, out of bounds", udp + `fm={"quicParams":{"keepAlivePeriod":1,"initStreamReceiveWindow":9999999999}}`, "", "QUIC"},
		{"QUIC, force-brutal", udp + `up=5&fm={"quicParams":{"congestion":"force-brutal"}}`, `{"quicParams":{"congestion":"force-brutal"}}`, ""},
		{"QUIC, force-brutal without a bandwidth", udp + `fm={"quicParams":{"congestion":"force-brutal"}}`, "", "force-brutal"},
		{"mKCP as it always was", kcp + `fm={"udp":[{"type":"header-wechat"},{"type":"mkcp-aes128gcm","settings":{"password":"s"}}]}`, "", ""},
		{"mKCP with noise", kcp + `seed=s&fm={"udp":[{"type":"noise","settings":{"noise":[{"rand":5}]}}]}`,
			`{"udp":[{"settings":{"noise":[{"rand":"5"}]},"type":"noise"},{"settings":{"password":"s"},"type":"mkcp-aes128gcm"}]}`, ""},
		{"header of both sides", vless + `fm={"tcp":[{"type":"header-custom","settings":{"clients":[[{"type":"str","packet":"GET "},{"rand":4,"randRange":"65-90","delay":"1-2"}]],"servers":[[{"packet":[111,107]}]],"errors":[[{"rand":1}]]}}]}`,
			`{"tcp":[{"settings":{"clients":[[{"packet":"R0VUIA==","type":"base64"},{"delay":"1-2","rand":4,"randRange":"65-90"}]],"servers":[[{"packet":"b2s=","type":"base64"}]]},"type":"header-custom"}]}`, ""},
		{"sudoku", vless + `fm={"tcp":[{"type":"sudoku","settings":{"password":"p","ascii":"prefer_ascii","custom_table":"xpxvvpvv","padding_min":1,"paddingMax":7}}]}`,
			`{"tcp":[{"settings":{"ascii":"prefer_ascii","customTable":"xpxvvpvv","paddingMax":7,"paddingMin":1,"password":"p"},"type":"sudoku"}]}`, ""},
		{"VMess", vmessJSON(`{"add":"example.org","port":443,"id":"a","fm":{"tcp":[{"type":"fragment","settings":{"packets":"tlshello","length":"40-60","delay":"30-50"}}]}}`), split, ""},
		{"Shadowsocks", "ss://aes-256-gcm:x@example.org:1?fragment=40-60,30-50,tlshello", split, ""},
		{"SOCKS", "socks://example.org:1?fragment=40-60,30-50,tlshello", split, ""},
		{"HTTP", "https://u:p@example.org?fragment=40-60,30-50,tlshello", split, ""},
		{"WireGuard", "wg://" + testKey + "@example.org?publickey=" + testKey + `&fm={"udp":[{"type":"noise","settings":{"noise":[{"rand":5}]}}]}`,
			`{"udp":[{"settings":{"noise":[{"rand":"5"}]},"type":"noise"}]}`, ""},
		{"Outline's prefix", "ss://aes-256-gcm:x@example.org:1?prefix=%16%03%01", "", "prefix"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, left, err := Read(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Mask.Reveal(); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
			if all := strings.Join(left, "; "); (all == "") != (tt.left == "") || !strings.Contains(all, tt.left) {
				t.Errorf("left out: %q, want %q", all, tt.left)
			}
			checkRoundTrip(t, l)
		})
	}
}

// TestMasksInOtherWords checks that what a mask says is the same as what a parameter says.
func TestMasksInOtherWords(t *testing.T) {
	kcp := "vless://" + testUUID + "@example.org:443?type=kcp"
	for in, want := range map[string]string{
		`hy2://x@example.org:443?fm={"udp":[{"type":"salamander","settings":{"password":"o"}}],"quicParams":{"brutalUp":"50 mbps","brutalDown":"1 gbps","udpHop":{"ports":"5000:6000","interval":30}}}`:              "hy2://x@example.org:443?obfs=salamander&obfs-password=o&up=50&down=1024&mport=5000-6000&hop-interval=30",
		kcp + `&fm={"udp":[{"type":"header-dns","settings":{"domain":"d.example.org"}},{"type":"mkcp-original"}]}`:                                                                                                   kcp + "&headerType=dns&host=d.example.org",
		`hy2://x@example.org:443?obfs=salamander&obfs-password=cry+me%2Fa%2Briver&fm=%7B%22udp%22%3A%5B%7B%22settings%22%3A%7B%22password%22%3A%22cry+me%2Fa%2Briver%22%7D%2C%22type%22%3A%22salamander%22%7D%5D%7D`: "hy2://x@example.org:443?obfs=salamander&obfs-password=cry%20me/a%2Briver",
		kcp + `&fm=%7B%22udp%22%3A%5B%7B%22settings%22%3A%7B%22password%22%3A%22se%2Fed+%2B1%22%7D%2C%22type%22%3A%22mkcp-aes128gcm%22%7D%5D%7D`:                                                                     kcp + "&seed=se/ed%20%2B1",
		kcp + `&seed=old&fm={"udp":[{"type":"mkcp-aes128gcm","settings":{"password":"s"}}]}`:                                                                                                                         kcp + "&seed=s",
	} {
		got, err := Parse(in)
		if err != nil {
			t.Fatalf("%s: %v", in, err)
		}
		if wanted, err := Parse(want); err != nil || got != wanted {
			t.Errorf("%s is %s, want %s (%v)", in, got.URI(), wanted.URI(), err)
		}
	}
}

func TestMasksRejected(t *testing.T) {
	vless := "vless://" + testUUID + "@example.org:443?"
	udp := "hysteria2://x@example.org:443?"
	for name, tt := range map[string]struct{ in, code string }{
		"cut off":                {udp + "fm=%7B", CodeBadParameter},
		"no object":              {vless + "fm=[1]", CodeBadParameter},
		"no list":                {vless + `fm={"tcp":{}}`, CodeBadParameter},
		"too many":               {vless + `fm={"tcp":[` + strings.Repeat(`{"type":"sudoku"},`, 20) + `{"type":"sudoku"}]}`, CodeBadParameter},
		"rights of root":         {udp + `fm={"udp":[{"type":"xicmp"}]}`, CodeUnsupportedParameter},
		"no password":            {udp + `fm={"udp":[{"type":"salamander"}]}`, CodeBadParameter},
		"two passwords":          {udp + `obfs=salamander&obfs-password=a&fm={"udp":[{"type":"salamander","settings":{"password":"b"}}]}`, CodeConflictingParameter},
		"another salamander":     {udp + `fm={"udp":[{"type":"salamander","settings":{"password":"b","packetSize":"512-1200"}}]}`, CodeUnsupportedParameter},
		"a header with more":     {vless + `type=kcp&fm={"udp":[{"type":"header-dns","settings":{"domain":"a.org","\u0001":"x"}},{"type":"mkcp-original"}]}`, CodeUnsupportedParameter},
		"nothing to set":         {vless + `type=kcp&fm={"udp":[{"type":"mkcp-original","settings":{"seed":"x"}}]}`, CodeUnsupportedParameter},
		"a packet with more":     {vless + `fm={"tcp":[{"type":"header-custom","settings":{"clients":[[{"rand":1,"save":"x"}]]}}]}`, CodeBadParameter},
		"a tunnel without name":  {udp + `fm={"udp":[{"type":"xdns"}]}`, CodeBadParameter},
		"sudoku not last":        {udp + `fm={"udp":[{"type":"sudoku"},{"type":"noise","settings":{"noise":[{"rand":1}]}}]}`, CodeBadParameter},
		"table":                  {vless + `fm={"tcp":[{"type":"sudoku","settings":{"customTable":"xxxxxxxx"}}]}`, CodeBadParameter},
		"huge packet":            {vless + `fm={"tcp":[{"type":"header-custom","settings":{"clients":[[{"rand":99999}]]}}]}`, CodeBadParameter},
		"header that would hurt": {udp + `fm={"udp":[{"type":"header-custom","settings":{"client":[{"rand":1}],"server":[{"rand":2}]}}]}`, CodeBadParameter},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Parse(tt.in); Code(err) != tt.code {
				t.Errorf("code %q (%v), want %q", Code(err), err, tt.code)
			}
		})
	}
}

func FuzzMasks(f *testing.F) {
	f.Add("ws", `{"tcp":[{"type":"fragment","settings":{"packets":"1-3","length":{"from":1,"to":5},"delay":3,"maxSplit":"2"}}]}`, "1,2-3,4,tlshello")
	f.Add("kcp", `{"udp":[{"type":"header-dns","settings":{"domain":"a.b"}},{"type":"mkcp-aes128gcm","settings":{"password":" s"}}]}`, "0")
	f.Add("kcp", `{"udp":[{"type":"noise","settings":{"noise":[{"packet":"AQI=","randRange":"1-2"}]}},{"type":"sudoku","settings":{"custom_tables":["xxppvvvv"]}}]}`, "")
	f.Add("xhttp", `{"quicParams":{"brutalUp":"1 gbps","udpHop":{"ports":[1,"2-3"],"interval":"5-6"},"congestion":"force-brutal"}}`, "tlshello,1,2")
	f.Fuzz(func(t *testing.T, network, masks, fragment string) {
		checkParse(t, "vless://a@192.0.2.1:1?seed=s&headerType=dns&type="+network+"&fm="+escape(masks, "")+"&fragment="+escape(fragment, ""))
		checkParse(t, "hy2://a@192.0.2.1:1?up=7&mport=1-2&fm="+escape(masks, "")+"&fragment="+escape(fragment, ""))
	})
}
