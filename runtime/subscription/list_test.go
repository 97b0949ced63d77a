package subscription

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

func TestSplitLinks(t *testing.T) {
	for line, want := range map[string][]string{
		"vless://a@h:1#n":             {"vless://a@h:1#n"},
		"no link":                     {"no link"},
		"vless://a@h:1#n vmess://abc": {"vless://a@h:1#n", "vmess://abc"},
		"vless://a@h:1#n, trojan://b@h:2;ss://c@h:3":          {"vless://a@h:1#n", "trojan://b@h:2", "ss://c@h:3"},
		"vless://a@h:1#@channelwireguard://k@h:1?x=y":         {"vless://a@h:1#@channel", "wireguard://k@h:1?x=y"},
		"vmess://YWJjvless://a@h:1":                           {"vmess://YWJj", "vless://a@h:1"},
		"vless://a@h:1#n tuic://a@h:1":                        {"vless://a@h:1#n", "tuic://a@h:1"},
		"12. vless://a@h:1#n":                                 {"vless://a@h:1#n"},
		"- `vless://a@h:1#n` (fast)":                          {"vless://a@h:1#n"},
		"\"vless://a@h:1#n\",":                                {"vless://a@h:1#n"},
		"[Germany](vless://a@h:1#n)":                          {"vless://a@h:1#n"},
		"<trojan://a@h:1>":                                    {"trojan://a@h:1"},
		"vless://[a@h](mailto:a@h):1?x=y#n":                   {"vless://a@h:1?x=y#n"},
		"vless://a@h:1?path=https://x/y&sni=z#n":              {"vless://a@h:1?path=https://x/y&sni=z#n"},
		"vless://a@h:1?path=/ss://x#n":                        {"vless://a@h:1?path=/ss://x#n"},
		"vless://a@h:1#join https://t.me/x":                   {"vless://a@h:1#join https://t.me/x"},
		"http://1.2.3.4:80 http://1.2.3.5:81":                 {"http://1.2.3.4:80", "http://1.2.3.5:81"},
		"https://a.org/sub":                                   {"https://a.org/sub"},
		"see https://a.org/sub":                               {"see https://a.org/sub"},
		"vless://a@h:1#A&&detour=trojan://b@h:2#B":            {"vless://a@h:1#A&&detour=trojan://b@h:2#B"},
		"vless://a@h:1#A -> trojan://b@h:2#B":                 {"vless://a@h:1#A -> trojan://b@h:2#B"},
		"vless://a@h:1#A->B trojan://b@h:2":                   {"vless://a@h:1#A->B", "trojan://b@h:2"},
		"class://x vless://a@h:1":                             {"class://x", "vless://a@h:1"},
		"vless://a@h:1#vless://b@h:2":                         {"vless://a@h:1#", "vless://b@h:2"},
		"ssr://YWJj ssr://YWJk":                               {"ssr://YWJj", "ssr://YWJk"},
		"trojan://p:ss@h:1":                                   {"trojan://p:ss@h:1"},
		"hiddify://import/vless://a@h:1#n":                    {"hiddify://import/vless://a@h:1#n"},
		"clash://install-config?url=https://a.org/x&name=ss:": {"clash://install-config?url=https://a.org/x&name=ss:"},
	} {
		if got := splitLinks(line); !slices.Equal(got, want) {
			t.Errorf("%q:\ngot  %q\nwant %q", line, got, want)
		}
	}
}

func TestSeveralLinksInALine(t *testing.T) {
	b := mustParse(t, "\n1. "+vlessLink+" "+trojanLink+"\n`"+vlessLink+"`\n"+strings.TrimSuffix(vlessLink, "one")+"@x"+trojanLink+"\n")
	var got []int
	for _, e := range b.Entries {
		got = append(got, e.Position)
		if strings.ContainsAny(e.Link.Name, ":`") {
			t.Errorf("named %q", e.Link.Name)
		}
	}
	if want := []int{2, 2, 3, 4, 4}; !slices.Equal(got, want) || len(b.Problems) > 0 || !b.Lines {
		t.Errorf("lines %v, want %v: %+v", got, want, b.Problems)
	}
	noSecrets(t, b)
}

// A server behind another is not one without, and the other is no name.
func TestChains(t *testing.T) {
	for _, chained := range []string{
		vlessLink + "&&detour=" + trojanLink,
		vlessLink + " -> " + trojanLink,
		vlessLink + "->" + trojanLink,
		vlessLink + "%26%26detour%3D" + strings.ReplaceAll(trojanLink, "://", "%3A%2F%2F"),
		"warp://p1@1.2.3.4:5#one -> warp://p2@auto#two",
	} {
		p := checkRejected(t, chained+"\n"+trojanLink, CodeChained)
		if p.Name != "one" {
			t.Errorf("%q: %+v", chained, p)
		}
	}
}

func TestChainsInJSON(t *testing.T) {
	b := mustParse(t, fmt.Sprintf("[%q, %q, %q]", vlessLink+" -> "+trojanLink, trojanLink, strings.Replace(trojanLink, "two", "US -> https://a.page/x", 1)))
	if len(b.Entries) != 2 || len(b.Problems) != 1 || b.Problems[0].Code != CodeChained || b.Problems[0].Name != "one" || b.Entries[1].Link.Name != "US -> a.page" {
		t.Errorf("%+v", b)
	}
	noSecrets(t, b)
}

func TestForeignLinks(t *testing.T) {
	for uri, word := range map[string]string{
		"sn://wg?eNoBAAD__w": "NekoBox", "husi://wg?eNo": "NekoBox", "exclave://x": "Exclave", "nekoray://custom#e30": "NekoRay", "awg://x": "AmneziaWG", "vpn://AAAA": "AmneziaVPN",
		"psiphon://auto/": "psiphon", "direct://?fragment=1,2,3": "direct", "ssd://YQ": "SSD", "tuic://a@b:1": "tuic", "anytls://a@b:1": "anytls",
	} {
		p := checkRejected(t, uri+"\n"+trojanLink, link.CodeUnsupportedProtocol)
		if !strings.Contains(p.Message, word) {
			t.Errorf("%q: %q", uri, p.Message)
		}
	}
}

func TestListsWithOtherLines(t *testing.T) {
	b := mustParse(t, "STATUS=left 3 GB\nREMARKS=mine\nMAX=50\n"+base64.StdEncoding.EncodeToString([]byte(vlessLink))+"\n"+trojanLink+"\nQUJDREVGR0hJSktMTU5PUA==\n")
	if len(b.Entries) != 2 || b.Entries[0].Position != 4 || !slices.Equal(b.Notices, []string{"left 3 GB", "mine"}) ||
		len(b.Problems) != 1 || b.Problems[0].Position != 6 || b.Problems[0].Code != link.CodeNotALink {
		t.Errorf("%+v", b)
	}
}

// ParseList takes a text for a list, whatever it looks like.
func TestParseList(t *testing.T) {
	b := ParseList([]byte("{\n" + vlessLink + "\n}"))
	if len(b.Entries) != 1 || len(b.Problems) != 2 || !b.Lines {
		t.Errorf("%+v", b)
	}
}
