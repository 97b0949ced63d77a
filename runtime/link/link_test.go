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
		"vless://" + marked + `@example.org:443?fm={"tcp":[{"type":"sudoku","settings":{"password":"` + marked + `"}}]}`,
		"vless://" + marked + `@example.org:443?type=xhttp&extra={"downloadSettings":{"address":"a.org","port":1,"security":"reality","realitySettings":{"publicKey":"` + testKey + `"}}}`,
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
