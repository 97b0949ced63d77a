package subscription

import "testing"

func TestNotices(t *testing.T) {
	b := mustParse(t, "STATUS=Upload 1GB, Download 2GB\r\n"+
		"trojan://x@127.0.0.1:1?security=tls#Traffic%20left%3A%203%20GB%1B%5B31m\n"+
		"ss://YWVzLTI1Ni1nY206cA@example.com:1#%E5%88%B0%E6%9C%9F%202027-01-01\n"+
		"trojan://x@127.0.0.1:1?security=tls#lab\n"+ // a server of the user's own machine
		"trojan://x@server.example.net.de:1?security=tls#10%20GB%20traffic\n")
	if len(b.Entries) != 2 || len(b.Problems) != 0 || len(b.Notices) != 3 || b.Notices[1] != "Traffic left: 3 GB [31m" {
		t.Errorf("%d entries, %+v, %q", len(b.Entries), b.Problems, b.Notices)
	}
}

// No name has an address in it: it may be a link, with its secrets.
func TestNamesHoldNoAddresses(t *testing.T) {
	for text, want := range map[string][2]string{ // as a name, and as a notice
		"plain":                              {"plain", "plain"},
		"join https://t.me/channel now":      {"join t.me now", "join https://t.me/channel now"},
		"@herehttps://u:p@a.org?token=x":     {"@", "@"},
		"a vless://" + uuid + "@h:1#b c":     {"a", "a"},
		"avless://x":                         {"a", "a"},
		"a%20vless%3A%2F%2Fsecret%40h%3A1":   {"a", "a"},
		"a://b://c":                          {"", ""},
		"://":                                {"", ""},
		"日本 hy2://secret@h:1":                {"日本", "日本"},
		"%4https://1a.org":                   {"%4 1a.org", "%4 https://1a.org"},
		"http://a.org http://b.org/x":        {"a.org b.org", "http://a.org http://b.org/x"},
		"left 3 GB, renew at https://a.org/": {"left 3 GB, renew at a.org", "left 3 GB, renew at https://a.org/"},
	} {
		if got := cleanName(text); got != want[0] {
			t.Errorf("%q: the name %q, want %q", text, got, want[0])
		}
		if got := cleanNotice(text); got != want[1] {
			t.Errorf("%q: the notice %q, want %q", text, got, want[1])
		}
	}
}
