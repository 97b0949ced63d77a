package link

import (
	"slices"
	"strings"
	"testing"
)

func TestXHTTP(t *testing.T) {
	base := "vless://" + testUUID + "@example.org:443?type=xhttp&"
	vmess := `{"add":"example.org","port":443,"id":"` + testUUID + `","net":"xhttp",`
	tests := []struct {
		name, in string
		want     XHTTP
		left     string
	}{
		{"mode, host and path within", base + `mode=auto&path=/a&host=h.example.org&extra={"mode":"auto","host":"h.example.org","path":"/a","xPaddingBytes":"100-1000"}`,
			XHTTP{Host: "h.example.org", Path: "/a", Mode: "auto", Extra: `{"xPaddingBytes":"100-1000"}`}, ""},
		{"the ones outside win", base + `mode=packet-up&path=/a&host=a.example.org&extra={"mode":"stream-up","host":"b.example.org","path":"/b"}`,
			XHTTP{Host: "a.example.org", Path: "/a", Mode: "packet-up"}, ""},
		{"only within", base + `extra={"mode":"stream-up","host":"b.example.org","path":"b"}`, XHTTP{Host: "b.example.org", Path: "/b", Mode: "stream-up"}, ""},
		{"a Host header", base + `extra={"headers":{"HOST":"b.example.org","X-A":["b"],"X-C":1}}`,
			XHTTP{Host: "b.example.org", Path: "/", Mode: "auto", Extra: `{"headers":{"X-A":"b","X-C":"1"}}`}, ""},
		{"a Host header that is another", base + `host=a.example.org&extra={"headers":{"Host":"b.example.org"}}`, XHTTP{Host: "a.example.org", Path: "/", Mode: "auto"}, ""},
		{"newer names", base + `extra={"sessionIDPlacement":"header","sessionIDKey":"X-S","seqPlacement":"query","seqKey":"q"}`,
			XHTTP{Path: "/", Mode: "auto", Extra: `{"seqKey":"q","seqPlacement":"query","sessionKey":"X-S","sessionPlacement":"header"}`}, ""},
		{"newer settings", base + `extra={"sessionIDLength":"16-32","sessionIDTable":"Base62","sessionKey":""}`, XHTTP{Path: "/", Mode: "auto"}, "sessionID"},
		{"for servers and other programs", base + `extra={"serverMaxHeaderBytes":8192,"enableXmux":true,"scMaxConcurrentPosts":"10"}`, XHTTP{Path: "/", Mode: "auto"}, ""},
		{"spans as objects, flags as numbers", base + `extra={"xPaddingBytes":{"from":100,"to":1000},"xPaddingObfsMode":1,"scMaxEachPostBytes":{"from":5,"to":5}}`,
			XHTTP{Path: "/", Mode: "auto", Extra: `{"scMaxEachPostBytes":"5","xPaddingBytes":"100-1000","xPaddingObfsMode":true}`}, ""},
		{"encoded as a form", base + `extra=%7B%22headers%22%3A%7B%22User-Agent%22%3A%22Mozilla%2F5.0+%28X11%3B+Linux%29+xhtml%2Bxml%22%7D%7D`,
			XHTTP{Path: "/", Mode: "auto", Extra: `{"headers":{"User-Agent":"Mozilla/5.0 (X11; Linux) xhtml+xml"}}`}, ""},
		{"encoded as a form with spaces between", base + `extra=%7B%22headers%22%3A+%7B%22Accept%22%3A+%22xhtml%2Bxml%22%7D%7D`,
			XHTTP{Path: "/", Mode: "auto", Extra: `{"headers":{"Accept":"xhtml+xml"}}`}, ""},
		{"a plus that is one", base + `extra={"headers":{"Accept":"xhtml+xml"}}`, XHTTP{Path: "/", Mode: "auto", Extra: `{"headers":{"Accept":"xhtml+xml"}}`}, ""},
		{"padding beside extra", base + `x_padding_bytes=200-300`, XHTTP{Path: "/", Mode: "auto", Extra: `{"xPaddingBytes":"200-300"}`}, ""},
		{"padding in both places", base + `x_padding_bytes=200-300&extra={"xPaddingBytes":"100-200"}`, XHTTP{Path: "/", Mode: "auto", Extra: `{"xPaddingBytes":"100-200"}`}, ""},
		{"padding beside an extra without", base + `x_padding_bytes=200-300&extra={"xPaddingBytes":"","noGRPCHeader":true}`,
			XHTTP{Path: "/", Mode: "auto", Extra: `{"noGRPCHeader":true,"xPaddingBytes":"200-300"}`}, ""},
		{"VMess, padding in another spelling", vmessJSON(vmess + `"x_padding_bytes":"200-300"}`), XHTTP{Path: "/", Mode: "auto", Extra: `{"xPaddingBytes":"200-300"}`}, ""},
		{"VMess, settings beside the others", vmessJSON(vmess + `"path":"/a","mode":"packet-up","xPaddingBytes":"100-1000","xPaddingObfsMode":true,"sessionIDPlacement":"cookie","xmux":{"maxConcurrency":"16-32"},"headers":{"X-A":"b"}}`),
			XHTTP{Path: "/a", Mode: "packet-up", Extra: `{"headers":{"X-A":"b"},"sessionPlacement":"cookie","xPaddingBytes":"100-1000","xPaddingObfsMode":true,"xmux":{"maxConcurrency":"16-32"}}`}, ""},
		{"VMess, settings in both places", vmessJSON(vmess + `"scMaxEachPostBytes":1,"noGRPCHeader":true,"extra":{"scMaxEachPostBytes":2}}`),
			XHTTP{Path: "/", Mode: "auto", Extra: `{"noGRPCHeader":true,"scMaxEachPostBytes":"2"}`}, ""},
		{"VMess, extra as a text", vmessJSON(vmess + `"extra":"{\"scMaxEachPostBytes\":2}"}`), XHTTP{Path: "/", Mode: "auto", Extra: `{"scMaxEachPostBytes":"2"}`}, ""},
		{"a second way", base + `path=/a&extra={"noGRPCHeader":true,"downloadSettings":{"address":"D.example.org","port":"8443","network":"xhttp","security":"tls",` +
			`"tlsSettings":{"serverName":"s.example.org","alpn":["h2"],"fingerprint":"firefox","allowInsecure":false},"sockopt":{"tcpFastOpen":true},` +
			`"xhttpSettings":{"host":"h.example.org","path":"/a","mode":"auto","noSSEHeader":true,"extra":{"xPaddingBytes":5}}}}`,
			XHTTP{Path: "/a", Mode: "auto", Extra: `{"noGRPCHeader":true}`, Download: NewSecret(`{"address":"d.example.org","port":8443,"network":"xhttp","security":"tls",` +
				`"tlsSettings":{"serverName":"s.example.org","alpn":["h2"],"fingerprint":"firefox"},"xhttpSettings":{"host":"h.example.org","path":"/a","extra":{"xPaddingBytes":"5"}}}`)}, ""},
		{"a second way with REALITY", base + `extra={"downloadSettings":{"address":"192.0.2.1","port":443,"network":"splithttp","security":"reality",` +
			`"realitySettings":{"serverName":"s.example.org","password":"` + testKey + `","shortId":"ab","show":false},"splithttpSettings":{"path":"/b"},"tlsSettings":{"serverName":"x"}}}`,
			XHTTP{Path: "/", Mode: "auto", Download: NewSecret(`{"address":"192.0.2.1","port":443,"network":"xhttp","security":"reality",` +
				`"realitySettings":{"serverName":"s.example.org","fingerprint":"chrome","publicKey":"` + testKey + `","shortId":"ab"},"xhttpSettings":{"path":"/b"}}`)}, ""},
		{"a second way with an empty extra", base + `extra={"downloadSettings":{"address":"192.0.2.1","port":443,"network":"xhttp","xhttpSettings":{"path":"/b","noSSEHeader":true,"extra":{}}}}`,
			XHTTP{Path: "/", Mode: "auto", Download: NewSecret(`{"address":"192.0.2.1","port":443,"network":"xhttp","xhttpSettings":{"path":"/b"}}`)}, ""},
		{"no second way", base + `extra={"downloadSettings":{}}`, XHTTP{Path: "/", Mode: "auto"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, left, err := Read(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if l.Transport != tt.want {
				got := l.Transport.(XHTTP)
				t.Errorf("got  %+v with %s\nwant %+v with %s", got, got.Download.Reveal(), tt.want, tt.want.Download.Reveal())
			}
			if all := strings.Join(left, "; "); (all == "") != (tt.left == "") || !strings.Contains(all, tt.left) {
				t.Errorf("left out: %q, want %q", all, tt.left)
			}
			checkRoundTrip(t, l)
		})
	}
}

// TestOthersOfXHTTP checks that the host of the second way is known to whoever judges hosts.
func TestOthersOfXHTTP(t *testing.T) {
	l, err := Parse("vless://a@example.org:443?type=xhttp&extra=" + escape(`{"downloadSettings":{"address":"10.0.0.1","port":1,"security":"tls","tlsSettings":{"echConfigList":"a.org+udp://10.0.0.2"}}}`, ""))
	if err != nil || !slices.Equal(l.Others(), []string{"10.0.0.1", "10.0.0.2"}) {
		t.Errorf("%q (%v)", l.Others(), err)
	}
}
