package tray

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestCleanMakesOneHarmlessLine(t *testing.T) {
	tests := map[string]string{
		"":                            "",
		"tokyo-1":                     "tokyo-1",
		"  a\tb\r\nc  ":               "a b c",
		"a\x1b[31mb\x07":              "a[31mb",
		"\u202eabc\u2066d":            "abcd",
		"a\xffb":                      "ab",
		"🇩🇪 Берлин":                   "🇩🇪 Берлин",
		"שלום":                        "\u2068שלום\u2069",
		strings.Repeat("x", 40):       strings.Repeat("x", 40),
		strings.Repeat("x", 41):       strings.Repeat("x", 39) + "…",
		strings.Repeat("e\u0301", 30): strings.Repeat("e\u0301", 19) + "…",
	}
	for in, want := range tests {
		if got := clean(in, 40); got != want {
			t.Errorf("clean(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	f.Add("tokyo-1", 10)
	f.Add("👩‍👩‍👧‍👦\u202e\x00\n", 3)
	f.Fuzz(func(t *testing.T, s string, width int) {
		width = 1 + abs(width)%100
		got := clean(s, width)
		if !utf8.ValidString(got) || utf8.RuneCountInString(got) > width+2 {
			t.Errorf("clean(%q, %d) = %q", s, width, got)
		}
		inner := strings.TrimSuffix(strings.TrimPrefix(got, "\u2068"), "\u2069")
		for _, r := range inner {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Errorf("clean(%q, %d) leaves %U", s, width, r)
			}
		}
	})
}

func abs(n int) int {
	if n < 0 {
		return -(n + 1)
	}
	return n
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "just now", 0: "just now", 59 * time.Second: "just now", time.Minute: "1 min ago", 90 * time.Minute: "1 h 30 min ago", 100 * time.Hour: "4 days ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("ago(%v) = %q, want %q", d, got, want)
		}
	}
}

func TestExecValueIsQuotedTwice(t *testing.T) {
	for in, want := range map[string]string{
		"/usr/bin/xrat-tray": `"/usr/bin/xrat-tray"`,
		`/a b/$x"y\z%`:       `"/a b/\\$x\\"y\\\\z%%"`,
	} {
		if got := execValue(in); got != want {
			t.Errorf("execValue(%s) = %s, want %s", in, got, want)
		}
	}
}
