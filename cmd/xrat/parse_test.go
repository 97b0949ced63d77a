package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	parseUUID = "11111111-2222-4333-8444-555555555555"
	parseLink = "vless://" + parseUUID + "@example.org:443?security=tls&type=ws&path=/a"
)

// parseJSON runs "xrat parse --json" on text and returns what it prints.
func parseJSON(t *testing.T, text string) []parsedLine {
	t.Helper()
	var out bytes.Buffer
	if _, err := parseLinks(t.Context(), strings.NewReader(text), "", &out, true); err != nil {
		t.Fatal(err)
	}
	var lines []parsedLine
	for decoder := json.NewDecoder(&out); ; {
		var p parsedLine
		err := decoder.Decode(&p)
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, p)
	}
}

func TestParsePrintsOneObjectALine(t *testing.T) {
	var out, stderr bytes.Buffer
	code := run(t.Context(), []string{"parse", "--json"}, strings.NewReader("# list\n\n"+parseLink+"#a<b>\nbroken"), &out, &stderr)
	const want = `{"line":3,"ok":true,"error":null,"config":{"protocol":"vless","address":"example.org","port":443,"network":"ws","security":"tls","name":"a<b>"},` +
		`"outbound":{"protocol":"vless","settings":{"vnext":[{"address":"example.org","port":443,"users":[{"id":"` + parseUUID + `","encryption":"none"}]}]},` +
		`"streamSettings":{"network":"ws","security":"tls","tlsSettings":{},"wsSettings":{"path":"/a"}}}}` + "\n" +
		`{"line":4,"ok":false,"error":{"code":"not_a_link","message":"this is not a share link: it does not begin with a scheme like vless://"},"config":null,"outbound":null}` + "\n"
	if code != exitDone || out.String() != want || stderr.Len() > 0 {
		t.Errorf("code %d, %s\ngot  %s\nwant %s", code, stderr.String(), out.String(), want)
	}
}

func TestParseExitCodes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "links")
	if err := os.WriteFile(file, []byte(parseLink), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		in   string
		code int
	}{
		{nil, parseLink, exitDone},
		{[]string{"-"}, "bad\n" + parseLink, exitDone},
		{[]string{file}, "", exitDone},
		{[]string{parseLink}, "", exitDone},
		{[]string{"--json"}, "bad", exitFailure},
		{nil, "# nothing\n", exitFailure},
		{[]string{file + "x"}, "", exitUsage},
		{[]string{"a", "b"}, "", exitUsage},
		{[]string{filepath.Dir(file)}, "", exitFailure},
	} {
		var out, stderr bytes.Buffer
		if code := run(t.Context(), append([]string{"parse"}, test.args...), strings.NewReader(test.in), &out, &stderr); code != test.code {
			t.Errorf("%q: %d, want %d: %s%s", test.args, code, test.code, out.String(), stderr.String())
		}
	}
}

func TestParsePrintsNoSecretsAndNoEscapeSequences(t *testing.T) {
	var out bytes.Buffer
	in := parseLink + "#\x1b]0;gotcha\x07\u202ename\ntrojan://Marked5ecret@[2001:db8::1]:443\nss://\x1b[31m:Marked5ecret@example.org:1\n"
	counts, err := parseLinks(t.Context(), strings.NewReader(in), "", &out, false)
	if err != nil {
		t.Fatal(err)
	}
	text := out.String() + counts.String()
	for _, secret := range []string{parseUUID, "Marked5ecret", "\x1b", "\x07", "\u202e"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %q", secret, text)
		}
	}
	for _, part := range []string{"example.org:443", "[2001:db8::1]:443", "]0;gotcha name", "2 of 3 understood", "1  unsupported_cipher"} {
		if !strings.Contains(text, part) {
			t.Errorf("%q is not in %q", part, text)
		}
	}
}

// There are more than a few batches, in every form in which lists come.
func TestParseKeepsTheOrder(t *testing.T) {
	var plain strings.Builder
	const n = 5000
	for i := range n {
		fmt.Fprintf(&plain, "trojan://x@host%d.example:443#☂ %d\r\n", i+1, i+1)
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(plain.String()))
	var wrapped strings.Builder
	for s := encoded; s != ""; {
		k := min(76, len(s))
		wrapped.WriteString(s[:k] + "\r\n")
		s = s[k:]
	}
	for name, text := range map[string]string{
		"plain": "\uFEFF" + plain.String(), "base64": encoded, "wrapped": wrapped.String(),
		"unpadded, URL-safe": strings.TrimRight(strings.NewReplacer("+", "-", "/", "_").Replace(encoded), "="),
	} {
		lines := parseJSON(t, text)
		if len(lines) != n {
			t.Errorf("%s: %d lines, want %d", name, len(lines), n)
			continue
		}
		for i, p := range lines {
			if p.Line != i+1 || !p.OK || p.Config.Address != fmt.Sprintf("host%d.example", i+1) {
				t.Fatalf("%s: line %d is %+v", name, i+1, p)
			}
		}
	}
}

// Everything that an import reads is parsed, with notices, warnings, and places in the terms of
// what was given.
func TestParseReadsWhatAnImportReads(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"head", "#profile-title: x\n\n" + parseLink, "3 vless"},
		{"notice", "socks://127.0.0.1:1#3 GB left\n" + parseLink, "0 notice 3 GB left|2 vless"},
		{"two in a line", "x: " + parseLink + "#a " + parseLink + "#b", "1 vless|1 vless"},
		{"chain", parseLink + "#a -> " + parseLink + "#b", "1 unsupported_chain"},
		{"YAML", "proxies:\n- {type: tuic}\n- {type: socks5, server: h, port: 1, smux: {enabled: true}}\n---\nproxies: []", "0 part_not_read|entry 1 unsupported_protocol|entry 2 socks, 1 warnings"},
		{"YAML in base64", base64.StdEncoding.EncodeToString([]byte("proxies:\n- {type: socks5, server: h, port: 1}\n")), "entry 1 socks"},
		{"JSON", `{"outbounds":[{"protocol":"freedom"},{"protocol":"socks","settings":{"servers":[{"address":"h","port":1}]}}]}`, "entry 2 socks"},
		{"SIP008", `{"servers":[{"server":"h","server_port":1,"method":"aes-256-gcm","password":"x"}]}`, "entry 1 shadowsocks"},
		{"WireGuard", tunnelFile, "entry 1 wireguard"},
		{"Surge", "[Proxy]\na = trojan, h, 1, password=x\nb = snell, h, 1", "2 trojan|3 unsupported_protocol"},
		{"deep link", "hiddify://import/" + parseLink, "1 vless"},
		{"many problems", "proxies:\n" + strings.Repeat("- x\n", 1002), strings.Repeat("|entry 1 not_an_entry", 1000)[1:] + "|0 unlisted"},
	}
	for _, test := range tests {
		var got []string
		for i, p := range parseJSON(t, test.text) {
			text := fmt.Sprint(p.Line)
			if p.Entry > 0 {
				text = fmt.Sprintf("entry %d", p.Entry)
				if test.name == "many problems" && p.Entry == i+1 {
					text = "entry 1"
				}
			}
			switch {
			case p.Notice != "":
				text += " notice " + p.Notice
			case p.Error != nil:
				text += " " + p.Error.Code
			default:
				text += " " + p.Config.Protocol
			}
			if len(p.Warnings) > 0 {
				text += fmt.Sprintf(", %d warnings", len(p.Warnings))
			}
			got = append(got, text)
		}
		if all := strings.Join(got, "|"); all != test.want {
			t.Errorf("%s: %s, want %s", test.name, all, test.want)
		}
	}
}

func TestParseSaysWhyAWholeIsBad(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		"# nothing":                "it contains no server",
		"nonsense":                 "it is none of the known formats",
		"<html>":                   "it is a web page and not a subscription",
		`{"outbounds":[`:           "it is JSON with errors",
		strings.Repeat("A", 9<<20): "larger than",
		"mixed-port: 1\nproxy-providers:\n  p: {url: 'https://p.example/secret'}": "",
	} {
		var out bytes.Buffer
		_, err := parseLinks(t.Context(), strings.NewReader(text), "", &out, false)
		if (err != nil) != (want != "") || err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "link was") || out.Len() > 0) {
			t.Errorf("%.20q: %v, %s", text, err, out.String())
		}
	}
}

func TestLinesThatAreTooLongAreNamed(t *testing.T) {
	lines := parseJSON(t, parseLink+"#"+strings.Repeat("n", 1<<20)+"\n"+strings.Repeat("x", maxParseLine+100_000)+"\n"+parseLink+"\nvless://"+strings.Repeat("x", 1<<17)+"\n"+strings.Repeat("y", 100_000))
	if len(lines) != 5 {
		t.Fatalf("%d lines", len(lines))
	}
	for i, want := range []string{"", "too_long", "", "too_long", "not_a_link"} {
		if p := lines[i]; p.Line != i+1 || p.OK != (want == "") || p.Error != nil && p.Error.Code != want {
			t.Errorf("line %d: %+v, %+v", i+1, p, p.Error)
		}
	}
}

func TestParseAnswersBeforeTheNextLinkIsThere(t *testing.T) {
	in, feed := io.Pipe()
	shown, out := io.Pipe()
	done := make(chan error, 1)
	go func() {
		_, err := parseLinks(t.Context(), in, "", out, true)
		out.CloseWithError(err)
		done <- err
	}()
	decoder := json.NewDecoder(shown)
	for i := range 3 {
		fmt.Fprintln(feed, parseLink)
		var p parsedLine
		if err := decoder.Decode(&p); err != nil || p.Line != i+1 || !p.OK {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	feed.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestParseStopsWhenItCannotGoOn(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := parseLinks(ctx, neverEnding{}, "", io.Discard, true); err == nil || err.Error() != "interrupted" {
		t.Errorf("an interrupted read ends with %v", err)
	}
	closed, out := io.Pipe()
	closed.Close()
	if _, err := parseLinks(t.Context(), strings.NewReader(strings.Repeat(parseLink+"\n", 5000)), "", out, true); err == nil {
		t.Error("nobody reads, and nobody says so")
	}
	in, feed := io.Pipe()
	feed.CloseWithError(io.ErrUnexpectedEOF)
	if _, err := parseLinks(t.Context(), in, "", io.Discard, true); err == nil {
		t.Error("a read that fails is taken for the end")
	}
	if _, err := parseLinks(t.Context(), strings.NewReader(strings.Repeat("A", 1<<16)+"!"), "", io.Discard, true); err == nil {
		t.Error("broken base64 is taken for the end")
	}
}

func BenchmarkParseLinks(b *testing.B) {
	links := []string{
		parseLink + "&host=cdn.example.org&fp=chrome&alpn=h2,http/1.1&sni=cdn.example.org#%F0%9F%87%A9%F0%9F%87%AA%20name",
		"vless://" + parseUUID + "@192.0.2.1:443?security=reality&flow=xtls-rprx-vision&sni=www.example.org&fp=chrome&pbk=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8&sid=0123abcd&type=tcp#reality",
		"vmess://" + base64.StdEncoding.EncodeToString([]byte(`{"v":"2","ps":"name","add":"example.org","port":"443","id":"`+parseUUID+`","aid":"0","scy":"auto","net":"ws","type":"none","host":"cdn.example.org","path":"/?ed=2048","tls":"tls","sni":"","alpn":"","fp":""}`)),
		"trojan://password@example.org:443?security=tls&sni=example.org#trojan",
		"ss://YWVzLTI1Ni1nY206cGFzc3dvcmQ@example.org:8388#shadowsocks",
	}
	const rounds = 4000
	text := strings.Repeat(strings.Join(links, "\n")+"\n", rounds)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		if counts, err := parseLinks(b.Context(), strings.NewReader(text), "", io.Discard, true); err != nil || counts.ok != rounds*len(links) {
			b.Fatal(counts.ok, err)
		}
	}
	b.ReportMetric(float64(b.N*rounds*len(links))/b.Elapsed().Seconds(), "links/s")
}
