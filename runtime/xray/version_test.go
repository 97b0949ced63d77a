//go:build linux

package xray

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/xrat-tray/xrat/runtime/link"
)

// A server that needs more than the core has is named with both versions, and every other is left
// alone.
func TestVersionLacks(t *testing.T) {
	vless := "vless://" + testUUID + "@example.org:443?"
	for uri, since := range map[string]Version{
		vless + "security=tls&type=ws":                         {},
		vless + "security=reality&sni=a.org&pbk=" + testKey:    {},
		"trojan://x@example.org:443":                           {},
		vless + "type=httpupgrade":                             {1, 8, 15},
		vless + "type=xhttp":                                   {25, 3, 6},
		vless + "security=tls&ech=AAAA":                        {25, 8, 3},
		vless + "type=kcp&seed=s":                              {26, 1, 13},
		vless + "type=kcp":                                     {},
		"hy2://x@example.org:443":                              {26, 1, 13},
		vless + "security=tls&pcs=" + strings.Repeat("ab", 32): {26, 1, 13},
	} {
		l, err := link.Parse(uri)
		if err != nil {
			t.Fatalf("%s: %v", uri, err)
		}
		if text := (Version{}).Lacks(l); text != "" {
			t.Errorf("%s, version unknown: %s", uri, text)
		}
		if text := since.Lacks(l); text != "" {
			t.Errorf("%s: %v lacks %s", uri, since, text)
		}
		older := Version{0, 0, 1}
		if text := older.Lacks(l); (text != "") != (since != Version{}) || text != "" && (!strings.Contains(text, since.String()) || !strings.Contains(text, older.String())) {
			t.Errorf("%s: %q", uri, text)
		}
	}
}

func TestVersionBefore(t *testing.T) {
	ordered := []Version{{}, {1, 8, 15}, {1, 8, 24}, {25, 3, 6}, {25, 12, 8}, {26, 1, 13}}
	for i, a := range ordered {
		for j, b := range ordered {
			if a.Before(b) != (i < j) {
				t.Errorf("%v before %v", a, b)
			}
		}
	}
}

// A core is asked once, and again when it has been replaced.
func TestVersionsOfPrograms(t *testing.T) {
	path := filepath.Join(t.TempDir(), "xray")
	calls := path + ".calls"
	write := func(text string, age time.Duration) {
		t.Helper()
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho x >> "+calls+"\n"+text), 0o700); err != nil {
			t.Fatal(err)
		}
		when := time.Now().Add(-age)
		if err := os.Chtimes(path, when, when); err != nil {
			t.Fatal(err)
		}
	}
	var v Versions
	if got := v.Of(t.Context(), path); got != (Version{}) {
		t.Errorf("nothing there: %v", got)
	}
	write("echo 'Xray 25.3.6 (Xray, Penetrates Everything.)'\necho more\n", time.Hour)
	for range 2 {
		if got := v.Of(t.Context(), path); got != (Version{25, 3, 6}) {
			t.Errorf("%v", got)
		}
	}
	write("echo 'Xray 26.3.27 (Xray)'\n", time.Minute)
	if got := v.Of(t.Context(), path); got != (Version{26, 3, 27}) {
		t.Errorf("replaced: %v", got)
	}
	for i, text := range []string{"exit 1\n", "echo 'another program 1.2.3'\n", "echo Xray\n"} {
		write(text, time.Duration(i+2)*time.Minute)
		if got := v.Of(t.Context(), path); got != (Version{}) {
			t.Errorf("%q: %v", text, got)
		}
	}
	if said, err := os.ReadFile(calls); err != nil || strings.Count(string(said), "x") != 5 {
		t.Errorf("%q, %v", said, err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	write("echo 'Xray 26.3.27 (Xray)'\n", 20*time.Minute)
	if got := v.Of(over, path); got != (Version{}) {
		t.Errorf("canceled: %v", got)
	}
	if got := v.Of(t.Context(), path); got != (Version{26, 3, 27}) {
		t.Errorf("after that: %v", got)
	}
}

// The core that is built here says its version, and lacks nothing.
func TestVersionOfTheRealCore(t *testing.T) {
	var v Versions
	if got := v.Of(t.Context(), realCore(t)); got.Before(withNames) {
		t.Errorf("version %v", got)
	}
}
