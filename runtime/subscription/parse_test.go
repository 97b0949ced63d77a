package subscription

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

// What the tests take for a secret: no message may contain it.
const (
	uuid     = "5e07c0de-0000-4000-8000-00000000beef"
	password = "s3cret-pass"
	pbk      = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LTEyMzQ" // 32 bytes
)

const (
	vlessLink  = "vless://" + uuid + "@a.example.net:443?type=ws&security=tls&sni=a.example.net&path=%2Fp#one"
	trojanLink = "trojan://" + password + "@b.example.net:443?type=tcp&security=tls&sni=b.example.net#two"
)

const plainList = "\xEF\xBB\xBF# a comment\r\n" + vlessLink + "\r\n\r\n// another\n" + trojanLink + "\n"

// sameServer compares what a format made of an entry with the link that says the same.
func sameServer(t *testing.T, got link.Link, want string) {
	t.Helper()
	l, err := link.Parse(want)
	if err != nil {
		t.Fatalf("the wanted link: %v", err)
	}
	if got != l {
		t.Errorf("got  %s\nwant %s", got.URI(), l.URI())
	}
}

func mustParse(t *testing.T, body string) Body {
	t.Helper()
	b, err := Parse([]byte(body))
	if err != nil {
		t.Fatalf("%v (%+v)", err, b.Problems)
	}
	return b
}

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
		"notices only":      {"trojan://x@127.0.0.1:1#Traffic%20left%3A%203%20GB", CodeNoEntries},
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

func TestNotices(t *testing.T) {
	b := mustParse(t, "STATUS=Upload 1GB, Download 2GB\r\n"+
		"trojan://x@127.0.0.1:1?security=tls#Traffic%20left%3A%203%20GB%1B%5B31m\n"+
		"ss://YWVzLTI1Ni1nY206cA@example.com:1#%E5%88%B0%E6%9C%9F%202027-01-01\n"+
		"trojan://x@127.0.0.1:1?security=tls#lab\n"+ // a server of the user's own machine
		"trojan://x@server.example.net.de:1?security=tls#10%20GB%20traffic\n")
	if len(b.Entries) != 2 || len(b.Problems) != 0 || len(b.Notices) != 3 || b.Notices[1] != "Traffic left: 3 GB [31m" {
		t.Errorf("%d entries, %+v, %q", len(b.Entries), b.Problems, b.Notices)
	}
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
