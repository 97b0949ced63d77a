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
		// Headers with addresses that a client might open are not even read.
		{"Profile-Web-Page-Url", "file:///etc/passwd", "", 0},
		{"Support-Url", "javascript:alert(1)", "", 0},
	}
	for _, test := range tests {
		var r Response
		r.readHeader(http.Header{test.header: {test.value}})
		if r.Title != test.title || r.UpdateInterval != test.interval {
			t.Errorf("%s: %q: %q, %v", test.header, test.value, r.Title, r.UpdateInterval)
		}
	}
}

// Titles from headers are fit for display, and intervals in their range.
func FuzzHeader(f *testing.F) {
	f.Add("upload=1; download=2; total=3; expire=4", "base64:YQ==", `attachment; filename*=UTF-8''%41`, "12")
	f.Add("total=1e300", "\x1b[31m", `inline; filename="../x"`, "1e-9")
	f.Fuzz(func(t *testing.T, usage, title, disposition, interval string) {
		var r Response
		r.readHeader(http.Header{"Subscription-Userinfo": {usage}, "Profile-Title": {title}, "Content-Disposition": {disposition}, "Profile-Update-Interval": {interval}})
		checkShown(t, r.Title)
		if r.UpdateInterval != 0 && (r.UpdateInterval < minInterval || r.UpdateInterval > maxInterval) {
			t.Error(r.UpdateInterval)
		}
	})
}
