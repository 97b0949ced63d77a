package link

import (
	"strings"
	"testing"
)

// Links of one group are the same server, and those of different groups are not.
func TestIdentityIsWhoTheServerIs(t *testing.T) {
	const (
		ws      = "vless://" + testUUID + "@example.org:443?security=tls&type=ws&path=/a"
		reality = "vless://" + testUUID + "@198.51.100.7:443?security=reality&pbk=" + testKey + "&flow=xtls-rprx-vision"
		xhttp   = "vless://" + testUUID + "@example.org:443?security=tls&type=xhttp&path=/x&host=h.example"
		trojan  = "trojan://password@example.org:443"
	)
	groups := map[string][]string{
		"websocket": {
			ws, ws + "#one", ws + "#two", strings.Replace(ws, "example.org", "EXAMPLE.org", 1), ws + "&fp=chrome", ws + "&fp=firefox", ws + "&alpn=h2", ws + "&mux=8",
			ws + "&allowInsecure=1", ws + "&utm_source=x", ws + "&headerType=none", ws + "&pcs=" + hexSum, ws + "?ed=2048", ws + "&ed=2560",
			strings.Replace(ws, "security=tls&type=ws", "type=websocket&security=TLS", 1),
			strings.Replace(ws, testUUID, strings.ReplaceAll(testUUID, "-", ""), 1),
			ws + "&sni=example.org", ws + "&host=Example.ORG&sni=front.example",
		},
		"another path":      {ws + "x"},
		"another port":      {strings.Replace(ws, "443", "444", 1)},
		"another user":      {strings.Replace(ws, "1111", "2222", 1)},
		"another transport": {strings.Replace(ws, "type=ws", "type=httpupgrade", 1)},
		"no TLS":            {strings.Replace(ws, "security=tls", "security=none", 1)},
		"a name":            {ws + "&host=de.example.net", ws + "&host=DE.example.net", ws + "&sni=de.example.net"},
		"another name":      {ws + "&host=nl.example.net"},
		"a wildcard":        {ws + "&host=a1b2c3d4.example.net", ws + "&host=9f8e7d6c5b4a3928.example.net", ws + "&host=x7q2k9w4mz.example.net"},

		"REALITY": {
			reality + "&sni=a.example&sid=0123&spx=/a", reality + "&sni=b.example&sid=4567&spx=/b", reality + "&sni=a.example&fp=safari", reality + "&sni=c.example&headerType=none",
		},
		"another key":  {strings.Replace(reality, testKey, strings.Replace(testKey, "A", "B", 1), 1) + "&sni=a.example"},
		"another flow": {strings.Replace(reality, "&flow=xtls-rprx-vision", "", 1) + "&sni=a.example"},

		"XHTTP": {
			xhttp, xhttp + `&extra={"xPaddingBytes":"1-2","noGRPCHeader":true}`, xhttp + `&extra={"noGRPCHeader":true,"xPaddingBytes":"1-2"}`,
			xhttp + `&extra={"headers":{"User-Agent":"a"}}`, xhttp + `&extra={"headers":{"User-Agent":"b"}}`, xhttp + "&mode=packet-up",
		},
		"trojan":              {trojan + "?sni=a.example", trojan + "?sni=b.example", trojan},
		"another password":    {"trojan://passworD@example.org:443"},
		"wildcard address":    {"trojan://password@a1b2c3d4.example.org:443", "trojan://password@ffee0011.example.org:443"},
		"shadowsocks":         {"ss://aes-128-gcm:x@example.org:1", "ss://YWVzLTEyOC1nY206eA==@example.org:1#n"},
		"another cipher":      {"ss://aes-256-gcm:x@example.org:1"},
		"VMess":               {vmessJSON(`{"add":"a.example","port":1,"id":"a","aid":0}`), vmessJSON(`{"add":"a.example","port":"1","id":"a","aid":"64","ps":"n"}`), "vmess://a@a.example:1"},
		"hysteria2":           {"hysteria2://x@example.org:443", "hy2://x@example.org:443?mport=5000-6000", "hy2://x@example.org:443?sni=a.example"},
		"hidden hysteria2":    {"hy2://x@example.org:443?obfs=salamander&obfs-password=y"},
		"a proxy":             {"socks://u:p@example.org:443", "socks5://u:p@example.org:443"},
		"a proxy by HTTP":     {"http://u:p@example.org:443"},
		"a proxy with no one": {"socks://example.org:443"},
	}
	owner := map[string]string{}
	for name, group := range groups {
		identity := ""
		for _, s := range group {
			l, err := Parse(s)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, s, err)
			}
			if got := l.Identity(); identity == "" {
				identity = got
			} else if got != identity {
				t.Errorf("%s: %s is another server than the first of its group", name, s)
			}
		}
		if other, taken := owner[identity]; taken {
			t.Errorf("%s and %s are one server", name, other)
		}
		owner[identity] = name
	}
}

// Kin are what one server looks like when the name that is asked for is drawn by lot.
func TestKinshipIsWithoutTheName(t *testing.T) {
	const ws = "vless://" + testUUID + "@example.org:443?security=tls&type=ws&path=/a"
	kinship := func(s string) string {
		l, err := Parse(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		return l.Kinship()
	}
	one := kinship(ws + "&host=one.example&sni=one.example")
	if kinship(ws+"&host=two.example&sni=two.example") != one {
		t.Error("another name makes another family")
	}
	if kinship(ws+"b&host=one.example") == one || kinship(strings.Replace(ws, ":443", ":444", 1)+"&host=one.example") == one {
		t.Error("other servers are kin")
	}
}

// Identities are stored: whatever changes them needs another IdentityVersion.
func TestIdentityNeverChanges(t *testing.T) {
	for in, want := range map[string]string{
		"vless://" + testUUID + "@example.org:443?security=tls&type=ws&path=/a": "1ff31dc6384e37c5c6f5dcc5a632ecd7",
		"trojan://x@example.org:443":       "b5dea44201331a4de5d380dfb1acf6ea",
		"ss://aes-128-gcm:x@example.org:1": "6e2c724d563fd339251d060c3e4a9458",
	} {
		l, err := Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got := l.Identity(); got != want {
			t.Errorf("%s: identity %s, want %s", in, got, want)
		}
	}
}

func TestSteadyHosts(t *testing.T) {
	for in, want := range map[string]string{
		"a1b2c3d4.example.net":   "*.example.net",
		"cdn1.example.net":       "cdn1.example.net",
		"node-12a3.example.net":  "node-12a3.example.net",
		"frankfurt.example.net":  "frankfurt.example.net",
		"vps12eu3.example.net":   "vps12eu3.example.net",
		"de1fra2.example.net":    "de1fra2.example.net",
		"x7q2k9w4mz.example.net": "*.example.net",
		"server2024.example.net": "server2024.example.net",
		"a1b2c3d4.net":           "a1b2c3d4.net",
		"198.51.100.7":           "198.51.100.7",
		"":                       "",
	} {
		if got := steady(in); got != want {
			t.Errorf("steady(%q) = %q, want %q", in, got, want)
		}
	}
}
