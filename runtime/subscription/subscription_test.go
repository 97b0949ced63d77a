package subscription

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

func TestParseLists(t *testing.T) {
	std := base64.StdEncoding.EncodeToString([]byte(plainList))
	wrapped := ""
	for i := 0; i < len(std); i += 76 {
		wrapped += std[i:min(i+76, len(std))] + "\r\n"
	}
	// Something with both special characters of each alphabet.
	special := "ss://YWVzLTI1Ni1nY206cGFzcw@c.example.net:1#\xF0\x9F\x9A\x80\xFF\xFE\xFB?>~~~\n" + plainList
	bodies := map[string]string{
		"plain":                 plainList,
		"base64":                std,
		"base64 unpadded":       base64.RawStdEncoding.EncodeToString([]byte(plainList)),
		"base64 URL":            base64.URLEncoding.EncodeToString([]byte(special)),
		"base64 URL unpadded":   base64.RawURLEncoding.EncodeToString([]byte(special)),
		"base64 standard":       base64.StdEncoding.EncodeToString([]byte(special)),
		"base64 in lines":       wrapped,
		"base64 twice":          base64.StdEncoding.EncodeToString([]byte(std)),
		"base64 line by line":   base64.StdEncoding.EncodeToString([]byte(vlessLink+"\n")) + "\n" + base64.StdEncoding.EncodeToString([]byte(trojanLink+"\n")),
		"one bad":               "vless://bad@:0\n" + plainList,
		"JSON array of strings": fmt.Sprintf("[%q, %q]", vlessLink, trojanLink),
	}
	for name, body := range bodies {
		t.Run(name, func(t *testing.T) {
			b := mustParse(t, body)
			if n := len(b.Entries); n < 2 {
				t.Fatalf("%d entries, %+v", n, b.Problems)
			}
			sameServer(t, b.Entries[len(b.Entries)-2].Link, vlessLink)
			sameServer(t, b.Entries[len(b.Entries)-1].Link, trojanLink)
			if b.Partial {
				t.Error("partial")
			}
		})
	}
}

func TestParsePositions(t *testing.T) {
	b := mustParse(t, plainList+"\nvless://bad@:0#broken%20one\nnonsense\n")
	if b.Entries[0].Position != 2 || b.Entries[1].Position != 5 {
		t.Errorf("positions %d, %d", b.Entries[0].Position, b.Entries[1].Position)
	}
	want := []Problem{{Position: 7, Name: "broken one", Code: link.CodeBadHost}, {Position: 8, Code: link.CodeNotALink}}
	if len(b.Problems) != len(want) {
		t.Fatalf("%+v", b.Problems)
	}
	for i, p := range b.Problems {
		if p.Position != want[i].Position || p.Name != want[i].Name || p.Code != want[i].Code || p.Message == "" || p.Kept {
			t.Errorf("%+v", p)
		}
	}
}

func TestParseCutBase64(t *testing.T) {
	whole := base64.RawStdEncoding.EncodeToString([]byte(plainList + plainList))
	b := mustParse(t, whole[:len(whole)/2/4*4+1])
	if !b.Partial || len(b.Entries) == 0 {
		t.Errorf("partial is %v, %d entries", b.Partial, len(b.Entries))
	}
}

func TestParseErrors(t *testing.T) {
	tests := map[string]struct{ body, code string }{
		"nothing":           {"", CodeEmpty},
		"blank":             {"\xEF\xBB\xBF \r\n\t", CodeEmpty},
		"page":              {"<!DOCTYPE html><a href=\"" + vlessLink + "\">", CodeWebPage},
		"page in base64":    {base64.StdEncoding.EncodeToString([]byte("<html></html>")), CodeWebPage},
		"text":              {"the account has expired", CodeUnknownFormat},
		"word":              {"ok", CodeUnknownFormat},
		"binary":            {"\x00\x01\x02\xff\xfe", CodeUnknownFormat},
		"comments":          {"# see https://example.org\n", CodeNoEntries},
		"only bad":          {"vless://bad@:0\nss://\n", CodeNoEntries},
		"JSON nothing":      {"{}", CodeNoEntries},
		"JSON empty array":  {"[]", CodeNoEntries},
		"JSON error":        {`{"error":"expired"}`, CodeNoEntries},
		"JSON scalars":      {"[1,2,null,true]", CodeNoEntries},
		"JSON cut":          {`{"outbounds":[{"protocol":"vless"`, CodeBrokenBody},
		"JSON without list": {`{"outbounds":7,"servers":{},"proxies":""}`, CodeNoEntries},
		"YAML empty":        {"proxies: []\n", CodeNoEntries},
		"YAML null":         {"proxies:\n", CodeNoEntries},
		"YAML other":        {"proxies: yes\nrules: []\n", CodeNoEntries},
		"YAML scalars":      {"proxies:\n- one\n- two\n", CodeNoEntries},
		"direct only":       {`{"outbounds":[{"protocol":"freedom"},{"protocol":"blackhole"}]}`, CodeNoEntries},
		"notices only":      {"trojan://x@127.0.0.1:1#Traffic%20left%3A%203%20GB", CodeNotice},
		"too large":         {strings.Repeat("#", MaxBody+1), CodeTooLarge},
		"wrapped too often": {wrap(plainList, 4), CodeUnknownFormat},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			b, err := Parse([]byte(test.body))
			e, ok := errors.AsType[*Error](err)
			if !ok || e.Code != test.code || e.Message == "" || len(b.Entries) != 0 {
				t.Errorf("%v, %+v", err, b)
			}
		})
	}
}

func wrap(text string, times int) string {
	for range times {
		text = base64.StdEncoding.EncodeToString([]byte(text))
	}
	return text
}

func TestManyEntries(t *testing.T) {
	b := mustParse(t, strings.Repeat(trojanLink+"\n", maxPositions+5))
	if len(b.Entries) != maxPositions || !b.Partial || len(b.Problems) != 1 || b.Problems[0].Code != CodeTooMany {
		t.Errorf("%d entries, partial is %v, %+v", len(b.Entries), b.Partial, b.Problems)
	}
	b = mustParse(t, trojanLink+"\n"+strings.Repeat("a://b\n", maxProblems+7))
	if len(b.Problems) != maxProblems || b.Unlisted != 7 {
		t.Errorf("%d problems, %d unlisted", len(b.Problems), b.Unlisted)
	}
}

// BenchmarkParse reads 10,000 servers in each format.
func BenchmarkParse(b *testing.B) {
	const n = 10_000
	var list, clash, xray strings.Builder
	clash.WriteString("mixed-port: 7890\nproxies:\n")
	for i := range n {
		fmt.Fprintf(&list, "vless://%s@s%d.example.net:443?type=ws&security=tls&sni=s%d.example.net&path=%%2Fp#n%d\n", uuid, i, i, i)
		fmt.Fprintf(&clash, "  - {name: n%d, type: vless, server: s%d.example.net, port: 443, uuid: %s, tls: true, servername: s%d.example.net, network: ws, ws-opts: {path: /p, headers: {Host: h.example.net}}}\n", i, i, uuid, i)
		fmt.Fprintf(&xray, "%s\n", strings.Replace(vlessOutbound, "a.org", fmt.Sprintf("s%d.example.net", i), 1))
	}
	bodies := map[string]string{
		"list": list.String(), "base64": base64.StdEncoding.EncodeToString([]byte(list.String())), "clash": clash.String(),
		"xray": `{"outbounds":[` + strings.ReplaceAll(strings.TrimSpace(xray.String()), "\n", ",") + "]}",
	}
	for name, body := range bodies {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				got, err := Parse([]byte(body))
				if err != nil || len(got.Entries) != n {
					b.Fatal(len(got.Entries), err, got.Problems)
				}
			}
		})
	}
}
