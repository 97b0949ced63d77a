package link

import (
	"strings"
	"testing"
)

// TestLooseUsers reads passwords with every character that could be taken for another part of the
// link, escaped and not.
func TestLooseUsers(t *testing.T) {
	for _, password := range []string{"a/b", "a#b", "a?b", "a@b", "a:b", "a%b", "a&b=c", "a b", "#", "?x=1", "/", "a@b:1", "/a?b#c@d:e%", "12/3", "a@b?c", "☂"} {
		for scheme, of := range map[string]func(Link) string{
			"trojan://":         func(l Link) string { return l.Account.(Trojan).Password.Reveal() },
			"hy2://":            func(l Link) string { return l.Account.(Hysteria2).Auth.Reveal() },
			"ss://aes-256-gcm:": func(l Link) string { return l.Account.(Shadowsocks).Password.Reveal() },
			"socks://user:":     func(l Link) string { return l.Account.(SOCKS).Password.Reveal() },
			"http://user:":      func(l Link) string { return l.Account.(HTTP).Password.Reveal() },
			"https://user:":     func(l Link) string { return l.Account.(HTTP).Password.Reveal() },
		} {
			for _, written := range []string{escape(password, ""), password} {
				in := scheme + written + "@example.org:8443?sni=s.example.org#n@x"
				l, err := Parse(in)
				if err != nil {
					t.Errorf("%s: %v", in, err)
					continue
				}
				if got := of(l); got != password || l.Host != "example.org" || l.Port != 8443 || l.Name != "n@x" {
					t.Errorf("%s: the password is %q, %v", in, got, l)
				}
				checkRoundTrip(t, l)
			}
		}
	}
}

// TestLooseUsersLeaveOthersAlone checks that nothing else is taken for a password.
func TestLooseUsersLeaveOthersAlone(t *testing.T) {
	for in, want := range map[string]string{
		"socks://192.0.2.1:1080#@a:1":                      "192.0.2.1",
		"socks://user:pass@192.0.2.1:1080?x=a@b.org:1#a@b": "192.0.2.1",
		"hy2://example.org:443?x=a@b.org:1":                "example.org",
		"trojan://p@example.org?x=a@b.org:1":               "example.org",
		"trojan://p@ss/word@example.org":                   "example.org",
	} {
		if l, err := Parse(in); err != nil || l.Host != want {
			t.Errorf("%s: %v (%v)", in, l, err)
		}
	}
	for _, page := range []string{"https://example.org/sub?u=a@b.org:80", "https://example.org:8443/sub#a@b.org:80", "http://localhost:80/sub?u=a@b.org:80"} {
		if _, err := Parse(page); Code(err) != CodeWebAddress {
			t.Errorf("%s: %v", page, err)
		}
	}
}

func TestNamesHoldNoLink(t *testing.T) {
	for in, want := range map[string]string{
		"A&&detour=trojan://SECRET@b.org:1#B": "A",
		"A -> trojan://SECRET@b.org:1#B":      "A",
		"A%20-%3E%20vmess%3A%2F%2FSECRET":     "A",
		"trojan://SECRET@b.org":               "",
		"A http://u:SECRET@b.org:1":           "A",
		"A https://t.me/channel":              "A https://t.me/channel",
		"vless:// for all":                    "vless:// for all",
	} {
		got := cleanName(in)
		if got != want || cleanName(escape(got, "")) != got {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
		if strings.Contains(CleanName(in), "SECRET@") {
			t.Errorf("%q becomes %q", in, CleanName(in))
		}
	}
}
