package subscription

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestPlainJSON(t *testing.T) {
	tests := []struct{ json, plain string }{
		{`{"a":[1,{}]}`, `{"a":[1,{}]}`},
		{`[1,]`, `[1 ]`},
		{"[1, // one\n]", "[1        \n]"},
		{"{} # end", "{}      "},
		{"/* a\nb */{/**/}", "         {    }"},
		{`{"a":"//b",}`, `{"a":"//b" }`},
		{`["\"#",'x']`, `["\"#",'x']`},
		{`["\\",#]` + "\n]", `["\\"   ` + "\n]"},
		{"\uFEFF[\uFEFF]", "   [   ]"},
		{`[1,2],`, `[1,2],`},
		{`[,,]`, `[, ]`},
		{`{"a`, `{"a`},
		{`{"a\`, `{"a\`},
		{`[/`, `[/`},
		{`[/*`, `[  `},
		{`[/*/`, `[   `},
	}
	for _, test := range tests {
		data := []byte(test.json)
		if got := string(plainJSON(data)); got != test.plain {
			t.Errorf("%q became %q, want %q", test.json, got, test.plain)
		}
		if string(data) != test.json {
			t.Errorf("%q was changed in place to %q", test.json, data)
		}
	}
}

func TestStartsJSON(t *testing.T) {
	for text, want := range map[string]bool{
		`{}`: true, `[]`: true, `[ {`: true, `["a"]`: true, `[[`: true, "#title: x\n//y\n/* z */ {": true, "\uFEFF# a\n\uFEFF[ // b\n{": true, "[": true,
		"[General]\n": false, "[Interface]": false, "# a\n[Proxy]": false, "#": false, "# a": false, "//a\nvless://x": false, "proxies: []": false,
	} {
		if got := startsJSON([]byte(text)); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// What is around and between the parts of a configuration does not matter.
func TestJSONWithComments(t *testing.T) {
	for name, body := range map[string]string{
		"lines":           "{\n  // the \"server\n  \"outbounds\": [ # one\n" + vlessOutbound + "]\n}",
		"blocks":          `/* a "b */{"outbounds":[/*,*/` + vlessOutbound + `/* c */]}`,
		"trailing commas": `{"outbounds":[` + vlessOutbound + `,],}`,
		"head lines":      "#profile-title: T\n# https://example.org/#x\n//support-url: https://t.me/x\n\n{\"outbounds\":[" + vlessOutbound + "]}",
		"byte order mark": "\uFEFF#profile-title: T\r\n\uFEFF[" + vlessOutbound + "]\r\n",
	} {
		t.Run(name, func(t *testing.T) { checkOnly(t, body, vlessOutboundLink+"#proxy", "") })
	}
}

// Everything that a comment could hide in, or a filter stumble over, costs what its length says.
func TestPlainJSONIsFast(t *testing.T) {
	fill := func(s string) []byte { return []byte("{" + strings.Repeat(s, MaxBody/len(s)-1) + "}") }
	for _, s := range []string{"#", "//\n", "/*", "/**/", ",", ",}", `"`, `\"`, `"\`, "\uFEFF", " ", vlessOutbound + ",// x\n"} {
		began := time.Now()
		plainJSON(fill(s))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%q took %v", s, took)
		} else {
			t.Log(fmt.Sprintf("%.10q", s), took)
		}
	}
}
