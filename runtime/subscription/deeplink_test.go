package subscription

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

func TestUnwrap(t *testing.T) {
	const address = "https://p.example/sub/token?a=b&c=d"
	escaped, encoded := url.QueryEscape(address), base64.StdEncoding.EncodeToString([]byte(address))
	const server = "trojan://p%40w@a.example.net:443?sni=s.example.net#one"
	for text, want := range map[string]string{
		"hiddify://import/" + address:                                        address,
		"hiddify://import/" + address + "#my%20name":                         address + "#my%20name",
		"hiddify://import/" + server:                                         server,
		"hiddify://install-config?url=" + escaped:                            address,
		"hiddify://install-config/?url=" + address:                           address,
		"hiddify://install-sub?url=" + escaped + "#n":                        address + "#n",
		"v2raytun://import/" + address:                                       address,
		"v2raytun://import/" + encoded:                                       address,
		"v2raytun://import-sub?url=" + escaped:                               address,
		"clash://install-config?url=" + escaped:                              address,
		"clash://install-config?url=" + escaped + "&name=a%20b":              address + "#a%20b",
		"clash://install-config?name=a%20b&url=" + escaped:                   address + "#a%20b",
		"clash://install-config?url=" + address + "&name=n":                  address + "#n",
		"CLASH://install-config?url=" + escaped:                              address,
		"clashmeta://install-config?url=" + escaped:                          address,
		"clash-verge://install-config/?url=" + escaped:                       address,
		"stash://install-config?url=" + escaped:                              address,
		"flclash://install-config?url=" + escaped:                            address,
		"sing-box://import-remote-profile?url=" + escaped + "#name":          address + "#name",
		"sing-box://import-remote-profile/?url=" + escaped + "#name":         address + "#name",
		"v2rayng://install-sub?url=" + escaped + "%23n&name=m":               address + "#n",
		"v2rayng://install-sub/?url=" + escaped + "&name=m":                  address + "#m",
		"v2rayng://install-config?url=" + url.QueryEscape(server):            server,
		"sub://" + encoded:                                                   address,
		"sub://" + base64.RawURLEncoding.EncodeToString([]byte(address)):     address,
		"sub://" + encoded + "#my%20name":                                    address + "#my%20name",
		"sub://" + encoded + "?remarks=n":                                    address + "#n",
		"shadowrocket://add/sub://" + encoded + "?remark=n":                  address + "#n",
		"shadowrocket://add/" + address:                                      address,
		"streisand://import/" + address + "#n":                               address + "#n",
		"streisand://import/" + server:                                       server,
		"happ://add/" + address:                                              address,
		"v2box://install-sub?url=" + escaped + "&name=n":                     address + "#n",
		"karing://install-config?url=" + escaped + "&name=n":                 address + "#n",
		"foxray://yiguo.dev/sub/add/?url=" + url.QueryEscape(encoded) + "#n": address + "#n",
		"sn://subscription?url=" + escaped + "&name=n":                       address + "#n",
		"exclave://subscription?url=" + escaped:                              address,
		"loon://import?nodelist=" + escaped:                                  address,
		"surge:///install-config?url=" + escaped:                             address,
		"ssconf://p.example/key.json#n":                                      "https://p.example/key.json#n",
		" hiddify://import/" + address + "\n":                                address,

		address:                                     "",
		server:                                      "",
		"sn://wg?eNo":                               "",
		"happ://crypt3/AbCd==":                      "",
		"clash://install-config?url=":               "",
		"clash://install-config?url=x":              "",
		"clash://install-config?url=%zz":            "",
		"clash://":                                  "",
		"clash://quit":                              "",
		"sub://!!":                                  "",
		"sub://" + wrap("file:///etc/passwd", 1):    "",
		"hiddify://import/javascript:alert(1)":      "",
		"hiddify://import/file:///etc/passwd":       "",
		"hiddify://import/" + address + "\nevil://": "",
		"hiddify://import/hiddify://import/hiddify://import/hiddify://import/" + address: "",
	} {
		got, ok := Unwrap(text)
		if got != want && ok || ok != (want != "") {
			t.Errorf("%q:\ngot  %q, %v\nwant %q", text, got, ok, want)
		}
	}
}

func TestWrappedEntries(t *testing.T) {
	const server = "trojan://x@a.example.net:443#n"
	b := mustParse(t, "hiddify://import/"+server+"\nv2raytun://import/"+wrap(server, 1)+"\nclash://install-config?url=https%3A%2F%2Fp.example%2F"+password+"\nhapp://crypt2/"+password+"\n")
	if len(b.Entries) != 2 || len(b.Problems) != 2 || b.Problems[0].Code != link.CodeWebAddress || b.Problems[1].Code != link.CodeUnsupportedProtocol ||
		!strings.Contains(b.Problems[0].Message, "xrat subscription add") || !strings.Contains(b.Problems[1].Message, "happ") {
		t.Errorf("%+v", b)
	}
	sameServer(t, b.Entries[0].Link, server)
	sameServer(t, b.Entries[1].Link, server)
	noSecrets(t, b)
}

func TestNamed(t *testing.T) {
	for text, want := range map[string][2]string{
		"https://a.org/x":                      {"https://a.org/x", ""},
		" https://a.org/x?a=b#My%20VPN\n":      {"https://a.org/x?a=b", "My VPN"},
		"https://a.org/x#a#b":                  {"https://a.org/x", "a#b"},
		"https://a.org/#\x1b[31m\u202e":        {"https://a.org/", "[31m"},
		"https://a.org/#vless://" + password:   {"https://a.org/", ""},
		"https://a.org/#" + wrap("ignored", 0): {"https://a.org/", "ignored"},
	} {
		if address, name := Named(text); address != want[0] || name != want[1] {
			t.Errorf("%q: %q, %q, want %q", text, address, name, want)
		}
	}
}

// Whatever a page puts into an address, only an address or a link comes out, in one line.
func FuzzUnwrap(f *testing.F) {
	for _, text := range []string{
		"hiddify://import/https://a.org/#n", "clash://install-config?url=https%3A%2F%2Fa.org&name=n", "sub://aHR0cHM6Ly9hLm9yZw==#n", "happ://crypt/x",
		"shadowrocket://add/sub://aHR0cHM6Ly9hLm9yZw?remark=x", "sn://subscription?url=x", "ssconf://a/b", "v2raytun://import/dmxlc3M6Ly94",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		inner, ok := Unwrap(text)
		if ok && (schemeOf(inner) == "" || strings.ContainsAny(inner, "\r\n")) {
			t.Errorf("%q gives %q", text, inner)
		}
	})
}
