package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestWebAddress(t *testing.T) {
	for text, want := range map[string][2]bool{ // unless wanted, and if so
		"https://provider.example/token":         {true, true},
		" https://provider.example/?token=x \n":  {true, true},
		"HTTP://provider.example/a":              {true, true},
		"http://1.2.3.4:8080":                    {false, true},
		"https://user:password@proxy.test:443#n": {false, true},
		"vless://x@y:1":                          {false, false},
		"http://a/b\nhttp://c/d":                 {false, false},
		"/etc/passwd":                            {false, false},
	} {
		for i, wanted := range []bool{false, true} {
			if _, is := webAddress(text, wanted); is != want[i] {
				t.Errorf("%q, wanted %v: %v", text, wanted, is)
			}
		}
	}
}

func TestIsList(t *testing.T) {
	for text, want := range map[string]bool{
		"\n# mine\nsocks://h:1\nwhatever": true,
		"socks://h:1":                     true,
		"nonsense\nsocks://h:1":           false,
		"c29ja3M6Ly9oOjE=":                false,
		"proxies:\n- {}":                  false,
		"{\"outbounds\":[]}":              false,
		"":                                false,
	} {
		if got := isList(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// What does not fit into a request must not be sent as one.
func TestEncodedSize(t *testing.T) {
	for _, text := range []string{"", "plain", "\r\n\t\"\\", "\x00\x1b\x7f", "日本 🇯🇵", "\u2028\u2029", "&<>"} {
		var b strings.Builder
		encoder := json.NewEncoder(&b)
		encoder.SetEscapeHTML(false)
		if err := encoder.Encode(text); err != nil {
			t.Fatal(err)
		}
		if got, need := encodedSize(text), b.Len()-len("\"\"\n"); got < need {
			t.Errorf("%q: %d, and it takes %d", text, got, need)
		}
	}
}
