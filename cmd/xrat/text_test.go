package main

import (
	"testing"
	"time"
)

func TestTextIsShortAndHarmless(t *testing.T) {
	for n, want := range map[uint64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 999_949: "999.9 kB", 999_950: "1.0 MB", 1_500_000_000: "1.5 GB", 1 << 63: "9.2 EB"} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{
		0: "0 s", 59 * time.Second: "59 s", 59*time.Second + 600*time.Millisecond: "1 min", 3 * time.Hour: "3 h 0 min", 100 * time.Hour: "4 days",
	} {
		if got := ago(d); got != want {
			t.Errorf("ago(%v) = %q, want %q", d, got, want)
		}
	}
	for s, want := range map[string]string{
		"plain": "plain", "\x1b[31mred": "·[31mred", "a\u202eb": "a·b", "12345678": "12345678", "123456789": "1234567…", "日本日本日本日本日": "日本日…",
		"🇯🇵🇯🇵🇯🇵🇯🇵🇯🇵": "🇯🇵🇯🇵🇯🇵…", "👨‍👩‍👧‍👦 family and": "👨‍👩‍👧‍👦 fami…", "e\u0301e\u0301": "e\u0301e\u0301", "a\xffb": "a·b",
	} {
		if got := fit(s, 8); got != want {
			t.Errorf("fit(%q) = %q, want %q", s, got, want)
		}
	}
	if got := sentence("connected to x"); got != "Connected to x." {
		t.Errorf("%q", got)
	}
	if sentence("") != "" {
		t.Error("a sentence from nothing")
	}
}
