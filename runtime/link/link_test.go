package link

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// TestPrintingShowsNoSecret prints links in every way that a log or an error might.
func TestPrintingShowsNoSecret(t *testing.T) {
	const marked = "Marked5ecret"
	list := []string{
		"vless://" + marked + "@example.org:443?encryption=mlkem768x25519plus.native.0rtt." + testKey,
		"vless://" + testUUID + "@example.org:443?security=reality&pbk=" + testKey + "&sid=abcdef99",
		vmessJSON(`{"add":"example.org","port":443,"id":"` + testUUID + `"}`),
		"trojan://" + marked + "@example.org:443#tokyo-1",
		"ss://aes-256-gcm:" + marked + "@example.org:1",
		"socks://" + marked + ":" + marked + "@example.org:1",
		"http://" + marked + ":" + marked + "@example.org:1",
		"hy2://" + marked + "@example.org:1?obfs=salamander&obfs-password=" + marked,
		"wg://" + testKey + "@example.org:1?publickey=" + testKey + "&presharedkey=" + testKey,
		"vless://" + marked + "@example.org:443?type=kcp&seed=" + marked,
	}
	for _, s := range list {
		l, err := Parse(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		shown := []any{l, &l, l.Account, l.Secure, []Link{l}, map[string]Link{"a": l}, struct{ L Link }{l}, struct{ l Link }{l}, struct{ l *Link }{&l}, struct{ a Account }{l.Account}, struct{ s Security }{l.Secure}}
		for _, v := range shown {
			var b strings.Builder
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%10.3v", "%T"} {
				fmt.Fprintf(&b, verb+"\n", v)
			}
			encoded, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			b.Write(encoded)
			for _, secret := range []string{marked, fmt.Sprintf("%x", marked), testKey, testUUID, "abcdef99"} {
				if strings.Contains(b.String(), secret) {
					t.Errorf("%T of %v shows a secret: %s", v, l, b.String())
				}
			}
		}
	}
}

func TestString(t *testing.T) {
	for in, want := range map[string]string{
		"trojan://x@example.org:443#tokyo-1": "trojan tokyo-1 (example.org:443)",
		"trojan://x@[2001:db8::1]:8443":      "trojan ([2001:db8::1]:8443)",
	} {
		l, err := Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if l.String() != want || fmt.Sprintf("%#v", l) != want {
			t.Errorf("%q, want %q", l.String(), want)
		}
	}
}

func TestIdentityIsWhatTheServerSees(t *testing.T) {
	vless := "vless://" + testUUID + "@example.org:443?security=tls&type=ws&path=/a"
	same := [][]string{
		{vless + "#one", vless + "#two", strings.Replace(vless, "example.org", "EXAMPLE.org", 1), vless + "&fp=chrome", vless + "&allowInsecure=1", vless + "&utm_source=x",
			strings.Replace(vless, "security=tls&type=ws", "type=websocket&security=TLS", 1), strings.Replace(vless, testUUID, strings.ReplaceAll(testUUID, "-", ""), 1)},
		{"ss://aes-128-gcm:x@example.org:1", "ss://YWVzLTEyOC1nY206eA==@example.org:1#n"},
		{vmessJSON(`{"add":"a.example","port":1,"id":"a","aid":0}`), vmessJSON(`{"add":"a.example","port":"1","id":"a","aid":"64","ps":"n"}`), "vmess://a@a.example:1"},
	}
	seen := map[string]int{}
	for i, group := range same {
		for _, s := range group {
			l, err := Parse(s)
			if err != nil {
				t.Fatalf("%s: %v", s, err)
			}
			if j, ok := seen[l.Identity()]; ok && j != i {
				t.Errorf("%s has the identity of another server", s)
			}
			seen[l.Identity()] = i
		}
	}
	if len(seen) != len(same) {
		t.Errorf("%d identities for %d servers", len(seen), len(same))
	}

	different := []string{
		vless, vless + "x", vless + "&sni=a.example", vless + "&fp=firefox", vless + "&alpn=h2", vless + "&host=a.example", vless + "&mux=8", vless + "&flow=xtls-rprx-vision",
		vless + "&pcs=" + hexSum, strings.Replace(vless, "443", "444", 1), strings.Replace(vless, "1111", "2222", 1), strings.Replace(vless, "security=tls", "", 1),
	}
	seen = map[string]int{}
	for i, s := range different {
		l, err := Parse(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if j, ok := seen[l.Identity()]; ok {
			t.Errorf("%s and %s have one identity", s, different[j])
		}
		seen[l.Identity()] = i
	}

	// Identities are stored: they must not change from one version to the next.
	l, err := Parse(vless)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := l.Identity(), "200ef0938b68cc9cd3b0fe25bd4908ad"; got != want {
		t.Errorf("identity %s, want %s", got, want)
	}
}
