package subscription

import (
	"encoding/base64"
	"strings"
	"testing"
	"unicode/utf16"
)

func encodedLines(text string, encoding *base64.Encoding) string {
	var lines []string
	for line := range strings.SplitSeq(text, "\n") {
		lines = append(lines, encoding.EncodeToString([]byte(line)))
	}
	return strings.Join(lines, "\n")
}

const clashFile = "port: 7890\nmode: rule\nproxies:\n  - name: one\n    type: trojan\n    server: b.example.net\n    port: 443\n    password: " + password +
	"\n  - {name: two, type: trojan, server: c.example.net, port: 443, password: x}\nproxy-groups:\n  - {name: g, type: select, proxies: [one]}"

func TestEncodedBodies(t *testing.T) {
	same := "trojan://x@a.example.net:1#n"
	bodies := map[string]struct {
		body    string
		servers int
	}{
		"YAML":                       {wrap(clashFile, 1), 2},
		"YAML twice":                 {wrap(clashFile, 2), 2},
		"YAML line by line":          {encodedLines(clashFile, base64.StdEncoding), 2},
		"YAML line by line unpadded": {encodedLines(clashFile, base64.RawStdEncoding), 2},
		"YAML line by line URL":      {encodedLines(clashFile, base64.URLEncoding), 2},
		"YAML line by line CRLF":     {strings.ReplaceAll(encodedLines(clashFile, base64.StdEncoding), "\n", "\r\n"), 2},
		"JSON":                       {wrap("["+vlessOutbound+"]", 1), 1},
		"JSON twice":                 {wrap("["+vlessOutbound+"]", 2), 1},
		"links line by line":         {encodedLines(vlessLink+"\n"+trojanLink+"\n"+same, base64.RawURLEncoding), 3},
		"links of one length":        {encodedLines(same+"1\n"+same+"2\n"+same+"3", base64.StdEncoding), 3},
		"two links, the last short":  {encodedLines(vlessLink+"\n"+same, base64.StdEncoding), 2},
		"BOM inside":                 {wrap("\uFEFF"+vlessLink+"\r\n"+trojanLink, 1), 2},
		"BOM outside":                {"\uFEFF" + wrap(vlessLink, 1), 1},
		"UTF-16":                     {utf16Text(vlessLink+"\r\n"+trojanLink, false), 2},
		"UTF-16 big endian":          {utf16Text("proxies:\n- {name: 日本🇯🇵, type: trojan, server: a.org, port: 1, password: x}", true), 1},
		"WireGuard":                  {wrap(wireGuardFile, 1), 1},
	}
	for name, test := range bodies {
		t.Run(name, func(t *testing.T) {
			b := mustParse(t, test.body)
			if len(b.Entries) != test.servers || len(b.Problems) != 0 || b.Partial {
				t.Errorf("%d entries, want %d: %+v, partial %v", len(b.Entries), test.servers, b.Problems, b.Partial)
			}
			if b.Entries[0].Link.Name == "" && name != "WireGuard" {
				t.Error("no name")
			}
		})
	}
}

// What is one piece in lines of one length must not be taken for several.
func TestDecodeLines(t *testing.T) {
	e := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for name, test := range map[string]struct {
		text string
		want bool
	}{
		"one piece":                   {e("abcdef") + "\n" + e("ghijkl") + "\n" + e("mno"), false},
		"one piece, padded":           {e("abcdef") + "\n" + e("ghijkl") + "\n" + e("m"), false},
		"one line":                    {e("abcdef"), false},
		"the second of four is short": {e("abcdef") + "\n" + e("ghi") + "\n" + e("jklmno") + "\n" + e("pqrstu"), true},
		"the first of three is short": {e("abc") + "\n" + e("defghi") + "\n" + e("jklmno"), true},
		"padded":                      {e("abcde") + "\n" + e("fghij") + "\n" + e("klmno"), true},
		"links of one length":         {e("ss://abcd") + "\n" + e("ss://efgh") + "\n" + e("ss://ijkl"), true},
		"one link of one length":      {e("ss://abcd") + "\n" + e("efghijklm") + "\n" + e("ss://ijkl"), false},
		"no UTF-8":                    {e("\xff\xfe\xff") + "\n" + e("defghi"), false},
		"no base64":                   {e("abc") + "\n%\n" + e("defghi"), false},
	} {
		if decoded, ok := decodeLines([]byte(test.text)); ok != test.want {
			t.Errorf("%s: %v, %q", name, ok, decoded)
		}
	}
}

func utf16Text(text string, bigEndian bool) string {
	var b strings.Builder
	for _, unit := range append([]uint16{0xFEFF}, utf16.Encode([]rune(text))...) {
		if low, high := byte(unit), byte(unit>>8); bigEndian {
			b.Write([]byte{high, low})
		} else {
			b.Write([]byte{low, high})
		}
	}
	return b.String()
}
