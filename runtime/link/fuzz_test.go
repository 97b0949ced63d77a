package link

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func FuzzParse(f *testing.F) {
	for _, s := range goodLinks {
		f.Add(s)
	}
	f.Fuzz(checkParse)
}

// FuzzVMess reaches behind the base64, which FuzzParse hardly gets through.
func FuzzVMess(f *testing.F) {
	for _, s := range goodLinks {
		if encoded, ok := strings.CutPrefix(s, "vmess://"); ok {
			if object, ok := decodeBase64(base64Text(encoded)); ok && object[0] == '{' {
				f.Add(string(object))
			}
		}
	}
	f.Fuzz(func(t *testing.T, object string) { checkParse(t, vmessJSON(object)) })
}

func FuzzExtra(f *testing.F) {
	f.Add(`{"xPaddingBytes":"100-1000","noGRPCHeader":false,"headers":{"X-A":"b"},"xmux":{"maxConcurrency":"16-32"}}`)
	f.Add(`{"scMaxEachPostBytes":+1000,"uplinkHTTPMethod":"GET","sessionPlacement":"cookie"}`)
	f.Fuzz(func(t *testing.T, extra string) {
		checkParse(t, "vless://a@192.0.2.1:1?type=xhttp&mode=packet-up&extra="+escape(extra, ""))
	})
}

func checkParse(t *testing.T, s string) {
	l, err := Parse(s)
	if err != nil {
		if Code(err) == "" || l != (Link{}) {
			t.Errorf("rejected with %v and %v", err, l)
		}
		return
	}
	if l.Port == 0 || l.Host == "" || l.Account == nil || l.Transport == nil || l.Account.protocol() != l.Protocol {
		t.Errorf("%v is not complete", l)
	}
	if !utf8.ValidString(l.Name) || strings.ContainsFunc(l.Name, func(r rune) bool { return unicode.IsControl(r) || invisible(r) }) {
		t.Errorf("the name %q is not clean", l.Name)
	}
	checkRoundTrip(t, l)
}

func FuzzParseList(f *testing.F) {
	f.Add("\uFEFF# comment\r\n\n// comment\n" + goodLinks[0] + "\r\nbroken\n" + goodLinks[len(goodLinks)-1])
	f.Add(strings.TrimPrefix(vmessJSON("socks://192.0.2.1\r\ntrojan://x@example.org"), "vmess://"))
	f.Fuzz(func(t *testing.T, text string) {
		last := 0
		for _, line := range ParseList(text) {
			if line.Number <= last || (line.Err == nil) == (line.Link == Link{}) {
				t.Errorf("line %d: %v, %v", line.Number, line.Link, line.Err)
			}
			last = line.Number
		}
	})
}

func BenchmarkParse(b *testing.B) {
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			if _, err := Parse(goodLinks[i%len(goodLinks)]); err != nil {
				b.Error(err)
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "links/s")
}
