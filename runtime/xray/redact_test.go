//go:build linux

package xray

import (
	"slices"
	"strings"
	"testing"
)

func TestFindSecrets(t *testing.T) {
	got := findSecrets([]byte(`{"protocol":"vless","settings":{"vnext":[{"address":"example.org","users":[{"id":"secret-1","encryption":"none"}]}],
		"servers":[{"password":"secret-2","user":"abc"}]},"streamSettings":{"wsSettings":{"path":"/secret-3","headers":{"X-Token":"secret-4"}},"realitySettings":{"shortId":"secret-5"}}}`))
	slices.Sort(got)
	if want := "/secret-3 secret-1 secret-2 secret-4 secret-5"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %s", got, want)
	}
	if got := findSecrets([]byte("{")); got != nil {
		t.Errorf("from garbage: %q", got)
	}
}

func TestClean(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                      "plain",
		" \x1b[31mred\x1b[0m\x00 ":   "[31mred[0m",
		"a\u202eb\u2066c":            "abc",
		"bad \xff utf8":              "bad  utf8",
		"key s3cr3t, again s3cr3t":   "key [secret], again [secret]",
		strings.Repeat("é", 1000):    strings.Repeat("é", 299) + "…",
		"tab\tand\r\nnewline":        "tabandnewline",
		strings.Repeat("s3cr3t", 60): strings.Repeat("[secret]", 37) + "[se…",
	} {
		if got := clean(in, []string{"s3cr3t", "a"}); got != want {
			t.Errorf("%q gave %q, want %q", in, got, want)
		}
	}
}
