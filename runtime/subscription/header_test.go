package subscription

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestUsage(t *testing.T) {
	expires := time.Unix(1800000000, 0).UTC()
	tests := map[string]*Usage{
		"":                                    nil,
		"nonsense":                            nil,
		"upload=; download=; total=; expire=": nil,
		"reset_day=3":                         nil,
		"upload=-1":                           nil,
		"upload=NaN; total=Inf":               {Total: 1 << 62},
		"upload=1;download=2;total=3;expire=1800000000":     {1, 2, 3, expires},
		" Upload = 1 ; DOWNLOAD=2;  ;total=1.5e+10; expire": {Upload: 1, Download: 2, Total: 15_000_000_000},
		"upload=0; download=0; total=0; expire=0":           {},
		"total=99999999999999999999999; expire=1e30":        {Total: 1 << 62},
		"total=9007199254740993; expire=253402300799":       {Total: 9007199254740993, Expires: time.Unix(253402300799, 0).UTC()},
	}
	for text, want := range tests {
		got := parseUsage(text)
		if (got == nil) != (want == nil) || got != nil && *got != *want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func TestHeader(t *testing.T) {
	b64 := func(s string) string { return "base64:" + base64.StdEncoding.EncodeToString([]byte(s)) }
	tests := []struct {
		header, value, title string
		interval             time.Duration
	}{
		{"Profile-Title", "plain", "plain", 0},
		{"Profile-Title", b64("провайдер"), "провайдер", 0},
		{"Profile-Title", strings.TrimRight(b64("ab"), "="), "ab", 0},
		{"Profile-Title", "base64:!!!", "", 0},
		{"Profile-Title", b64("a\x1b[31m\u202eb\r\n\x00c\xff"), "a [31mb c", 0},
		{"Profile-Title", strings.Repeat("x", 10_000), strings.Repeat("x", 200), 0},
		{"Content-Disposition", `attachment; filename="My VPN.yaml"`, "My VPN", 0},
		{"Content-Disposition", `attachment; filename*=UTF-8''%D0%B0%20b`, "а b", 0},
		{"Content-Disposition", `attachment; filename="../../etc/passwd"`, "passwd", 0},
		{"Content-Disposition", `attachment; filename="..\\..\\x.txt"`, "x", 0},
		{"Content-Disposition", `attachment; filename="/"`, "", 0},
		{"Content-Disposition", `attachment; filename=""`, "", 0},
		{"Content-Disposition", `;;;`, "", 0},
		{"Profile-Update-Interval", "24", "", 24 * time.Hour},
		{"Profile-Update-Interval", "0.1", "", time.Hour},
		{"Profile-Update-Interval", "1e300", "", 30 * 24 * time.Hour},
		{"Profile-Update-Interval", "-3", "", 0},
		{"Profile-Update-Interval", "NaN", "", 0},
		{"Profile-Update-Interval", "soon", "", 0},
	}
	for _, test := range tests {
		var r Response
		r.readHeader(http.Header{test.header: {test.value}})
		if r.Title != test.title || r.UpdateInterval != test.interval {
			t.Errorf("%s: %q: %q, %v", test.header, test.value, r.Title, r.UpdateInterval)
		}
	}
}

// What a provider says of itself, in headers and in comments alike.
func TestAbout(t *testing.T) {
	b64 := func(s string) string { return "base64:" + base64.StdEncoding.EncodeToString([]byte(s)) }
	tests := []struct {
		key, value string
		want       About
	}{
		{"profile-title", b64("Мой VPN"), About{Title: "Мой VPN"}},
		{"profile-update-interval", "12", About{UpdateInterval: 12 * time.Hour}},
		{"announce", b64("Maintenance\non Friday\x1b[2J"), About{Announce: "Maintenance on Friday [2J"}},
		{"announce", "plain", About{Announce: "plain"}},
		{"support-url", "https://t.me/support?start=1", About{SupportURL: "https://t.me/support?start=1"}},
		{"support-url", "tg://resolve?domain=x", About{SupportURL: "tg://resolve?domain=x"}},
		{"support-url", "mailto:help@example.org", About{SupportURL: "mailto:help@example.org"}},
		{"support-url", "javascript:alert(1)", About{}},
		{"support-url", "vless://" + uuid + "@a.org:1", About{}},
		{"support-url", "https://user:" + password + "@a.org/", About{}},
		{"support-url", "https://a.org/" + strings.Repeat("x", maxAddress), About{}},
		{"profile-web-page-url", "file:///etc/passwd", About{}},
		{"profile-web-page-url", "https://пример.рф/путь", About{WebPageURL: "https://%D0%BF%D1%80%D0%B8%D0%BC%D0%B5%D1%80.%D1%80%D1%84/%D0%BF%D1%83%D1%82%D1%8C"}},
		{"profile-web-page-url", "https://a.org/\u202ex", About{WebPageURL: "https://a.org/%E2%80%AEx"}},
		{"profile-web-page-url", "https://", About{}},
		{"routing", "happ://routing/add/x", About{}},
	}
	for _, test := range tests {
		var r Response
		r.readHeader(http.Header{http.CanonicalHeaderKey(test.key): {test.value}})
		if r.About != test.want {
			t.Errorf("header %s: %q: %+v, want %+v", test.key, test.value, r.About, test.want)
		}
		for _, mark := range []string{"#", "//", "# ", "// "} {
			if strings.ContainsAny(test.value, "\n\x1b") {
				continue
			}
			b := mustParse(t, mark+strings.ToUpper(test.key)+" : "+test.value+"\r\n\r\n"+trojanLink)
			if b.About != test.want || len(b.Entries) != 1 || b.Entries[0].Position != 3 {
				t.Errorf("%s%s: %q: %+v, want %+v", mark, test.key, test.value, b.About, test.want)
			}
		}
	}
}

// The comments stand before every format, and within what base64 hides.
func TestAboutBeforeEveryFormat(t *testing.T) {
	head := "#profile-title: T\n// support-url: https://s.example/\n\n"
	for name, body := range map[string]string{
		"list":          trojanLink,
		"JSON":          "[" + vlessOutbound + "]",
		"indented JSON": "\n  {\"outbounds\": [" + vlessOutbound + "]}",
		"YAML":          "proxies:\n- {name: n, type: trojan, server: a.org, port: 1, password: x}",
		"indented YAML": "  proxies:\n    - {name: n, type: trojan, server: a.org, port: 1, password: x}\n  rules: []",
		"base64":        wrap(trojanLink, 1),
		"base64 twice":  wrap(trojanLink, 2),
		"WireGuard":     wireGuardFile,
		"Surge":         "[Proxy]\nA = trojan, a.org, 443, password=x",
	} {
		for form, text := range map[string]string{"plain": head + body, "BOM": "\uFEFF" + head + body, "inside": wrap(head+body, 1), "CRLF": strings.ReplaceAll(head+body, "\n", "\r\n")} {
			if form == "inside" && name == "base64 twice" {
				continue // three layers are too many
			}
			b := mustParse(t, text)
			if len(b.Entries) != 1 || len(b.Problems) != 0 || b.About != (About{Title: "T", SupportURL: "https://s.example/"}) {
				t.Errorf("%s, %s: %d entries, %+v, %+v", name, form, len(b.Entries), b.Problems, b.About)
			}
		}
	}
}

func TestAboutFillsGaps(t *testing.T) {
	said := About{Title: "header", Usage: &Usage{Total: 1}}
	got := said.Or(About{Title: "body", Usage: &Usage{Total: 2}, UpdateInterval: time.Hour, Announce: "a", SupportURL: "s", WebPageURL: "w"})
	if want := (About{Title: "header", Usage: said.Usage, UpdateInterval: time.Hour, Announce: "a", SupportURL: "s", WebPageURL: "w"}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

// Titles from headers are fit for display, and intervals in their range.
func FuzzHeader(f *testing.F) {
	f.Add("upload=1; download=2; total=3; expire=4", "base64:YQ==", `attachment; filename*=UTF-8''%41`, "12", "https://a.org/x")
	f.Add("total=1e300", "\x1b[31m", `inline; filename="../x"`, "1e-9", "tg://x\x00")
	f.Fuzz(func(t *testing.T, usage, title, disposition, interval, address string) {
		var r Response
		r.readHeader(http.Header{
			"Subscription-Userinfo": {usage}, "Profile-Title": {title}, "Announce": {title}, "Content-Disposition": {disposition},
			"Profile-Update-Interval": {interval}, "Support-Url": {address}, "Profile-Web-Page-Url": {address},
		})
		for _, shown := range []string{r.Title, r.Announce, r.SupportURL, r.WebPageURL} {
			checkShown(t, shown)
		}
		if r.UpdateInterval != 0 && (r.UpdateInterval < minInterval || r.UpdateInterval > maxInterval) {
			t.Error(r.UpdateInterval)
		}
	})
}
