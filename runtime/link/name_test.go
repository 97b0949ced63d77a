package link

import "testing"

func TestCleanName(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                  "plain",
		"a%20b":                  "a b",
		"a%2520b":                "a b",
		"a%252525252520b":        "a b",
		"100%":                   "100%",
		"%zz":                    "%zz",
		"a\u202eb\u2066c\u200fd": "abcd",
		"\x1b[31mred\x07\x00":    "[31mred",
		"a%0Ab%E2%80%A8c":        "a b c",
		"%ff":                    "\uFFFD",
		"👨‍👩‍👧 🇳🇱":               "👨‍👩‍👧 🇳🇱",
		" \t ":                   "",
		"a+b&amp;c":              "a+b&amp;c",
	} {
		got := cleanName(in)
		if got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
		if again := cleanName(escape(got, "")); again != got {
			t.Errorf("%q becomes %q the second time", got, again)
		}
	}
}

func TestNamesHoldNoDescription(t *testing.T) {
	const in = "🇩🇪 a?b?serverDescription=ZmFzdA=="
	if got := CleanName(in); got != "🇩🇪 a?b" {
		t.Errorf("%q", got)
	}
}
