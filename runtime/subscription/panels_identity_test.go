package subscription_test

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/subscription"
)

// identity is that of the only server in a body.
func identity(t *testing.T, body string) string {
	t.Helper()
	b, err := subscription.Parse([]byte(body))
	if err != nil || len(b.Entries) != 1 {
		t.Fatalf("%d entries, %v:\n%s", len(b.Entries), err, body)
	}
	return b.Entries[0].Link.Identity()
}

// change is one thing that a panel may write in another way at the next request.
type change struct {
	name string
	to   func(d dice, s *server)
	on   func(s server) bool
}

func anyServer(server) bool        { return true }
func withREALITY(s server) bool    { return s.security.kind == "reality" }
func withTLS(s server) bool        { return s.security.kind == "tls" }
func withHost(s server) bool       { return s.transport.host != "" && !s.transport.disguised }
func withHostAndTLS(s server) bool { return withHost(s) && withTLS(s) }

// varying are the changes that make no other server of it.
var varying = []change{
	{"short id", func(d dice, s *server) { s.security.shortID = hex.EncodeToString(d.bytes(1 + d.IntN(8))) }, withREALITY},
	{"spider path", func(d dice, s *server) { s.security.spiderX = "/" + d.letters(15) }, withREALITY},
	{"borrowed name", func(d dice, s *server) { s.security.sni = d.letters(5) + ".b.org" }, withREALITY},
	{"fingerprint", func(d dice, s *server) { s.security.fp = "firefox" }, func(s server) bool { return s.security.kind != "none" }},
	{"ALPN", func(_ dice, s *server) { s.security.alpn = []string{"http/1.1"} }, withTLS},
	{"case of the address", func(_ dice, s *server) { s.host = strings.ToUpper(s.host) }, func(s server) bool { return otherScripts[s.host] == "" }},
	{"case of the host header", func(_ dice, s *server) { s.transport.host = strings.ToUpper(s.transport.host) }, withHost},
	{"case of the server name", func(_ dice, s *server) { s.security.sni = strings.ToUpper(s.security.sni) }, withTLS},
	{"name", func(d dice, s *server) { s.remark = d.letters(9) + " 3.4GB" }, anyServer},
	{"User-Agent", func(d dice, s *server) {
		s.transport.extra = object{"headers": object{"User-Agent": "curl/" + d.letters(4)}}
	}, func(s server) bool { return s.transport.kind == "xhttp" && s.transport.extra == nil }},
	{"padding", func(_ dice, s *server) { s.transport.extra = object{"xPaddingBytes": "1-2"} }, func(s server) bool { return s.transport.kind == "xhttp" && s.transport.extra == nil }},
	{"split packets", func(_ dice, s *server) { s.masks = split("tlshello", "1-2", "3-4") }, withTLS},
	{"early data", func(_ dice, s *server) { s.transport.early = 1024 }, func(s server) bool { return s.transport.kind == "ws" }},
	{"label under a wildcard, of the address", func(_ dice, s *server) { s.host = "9f8e7d6c5b4a3928.w.a.org" }, func(s server) bool {
		return strings.HasSuffix(s.host, ".w.a.org") && (s.transport.kind == "tcp" || s.security.kind == "reality")
	}},
	{"label under a wildcard, of the host header", func(_ dice, s *server) {
		s.transport.host = "9f8e7d6c5b4a3928.cdn.a.org"
		s.security.sni = s.transport.host
	}, func(s server) bool { return withHostAndTLS(s) && strings.HasPrefix(s.transport.host, "0a1b2c3d") }},
}

// telling are the changes that make another server of it.
var telling = []change{
	{"port", func(_ dice, s *server) { s.port++ }, anyServer},
	{"address", func(_ dice, s *server) { s.host = "other.a.org" }, anyServer},
	{"path", func(_ dice, s *server) { s.transport.path += "/other" }, func(s server) bool { return s.transport.path != "" }},
	{"service", func(_ dice, s *server) { s.transport.service += "other" }, func(s server) bool { return s.transport.kind == "grpc" }},
	{"seed", func(_ dice, s *server) { s.transport.seed += "other" }, func(s server) bool { return s.transport.kind == "kcp" }},
	{"transport", func(_ dice, s *server) { s.transport.kind = "httpupgrade" }, func(s server) bool { return s.transport.kind == "ws" }},
	{"credentials", func(d dice, s *server) { s.secret = d.uuid() }, func(s server) bool { return s.protocol != "shadowsocks" }},
	{"public key", func(d dice, s *server) { s.security.publicKey = d.rawKey(32) }, withREALITY},
	{"host header", func(_ dice, s *server) { s.transport.host = "other.a.org" }, func(s server) bool { return withHost(s) && s.security.kind != "reality" }},
	{"security", func(_ dice, s *server) { s.security = security{kind: "none"} }, func(s server) bool { return s.security.kind == "tls" }},
}

func TestPanelsIdentity(t *testing.T) {
	d := newDice(6)
	var list []server
	for i, s := range slices.Concat(servers(d, "vless"), servers(d, "vmess"), servers(d, "trojan")) {
		if otherScripts[s.host] != "" {
			continue
		}
		if i%4 == 0 && withHostAndTLS(s) {
			s.transport.host, s.security.sni = "0a1b2c3d4e5f6071.cdn.a.org", "0a1b2c3d4e5f6071.cdn.a.org"
		}
		list = append(list, s)
	}
	// Each is written as the panels do; the JSON of 3x-ui has random values, too.
	writers := []struct {
		format string
		write  func(server) string
	}{
		{"link", remnawaveLink},
		{"JSON", func(s server) string { return jsonText(xrayConfig(s, xrayStyle{asServer: true}, nil, "")) }},
	}
	wrong := map[string]int{}
	first := map[string]string{}
	note := func(kind, one, other string) {
		if wrong[kind]++; wrong[kind] == 1 {
			first[kind] = one + "\n" + other
		}
	}
	for _, w := range writers {
		for i, s := range list {
			if i%oneIn > 0 || s.protocol == "vmess" && w.format == "link" {
				continue
			}
			text := w.write(s)
			before := identity(t, text)
			for _, c := range varying {
				if changed := s; c.on(s) {
					c.to(d, &changed)
					if now := w.write(changed); identity(t, now) != before {
						note(w.format+": another server by its "+c.name, text, now)
					}
				}
			}
			for _, c := range telling {
				if changed := s; c.on(s) {
					c.to(d, &changed)
					if now := w.write(changed); identity(t, now) == before {
						note(w.format+": the same server in spite of its "+c.name, text, now)
					}
				}
			}
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(wrong)) {
		t.Errorf("%d times: %s\n%s", wrong[kind], kind, first[kind])
	}
}

// What says the same in other words is one server.
func TestPanelsSameInOtherWords(t *testing.T) {
	const id = "8ad949f0-36de-4115-a803-0ff64092ceff"
	const xhttp = "vless://" + id + "@de1.a.org:443?type=xhttp&security=tls&sni=de1.a.org&path=%2Fx"
	const tcp = "vless://" + id + "@de1.a.org:443?type=tcp&security=none"
	for name, pair := range map[string][2]string{
		"order of keys":       {xhttp + `&extra={"a":1,"xPaddingBytes":"1-2","noGRPCHeader":true}`, xhttp + `&extra={"noGRPCHeader":true,"xPaddingBytes":"1-2"}`},
		"headerType none":     {tcp, tcp + "&headerType=none"},
		"headerType None":     {tcp, tcp + "&headerType=None"},
		"headerType empty":    {tcp, tcp + "&headerType="},
		"UUID without dashes": {tcp, strings.Replace(tcp, id, strings.ReplaceAll(id, "-", ""), 1)},
		"UUID in capitals":    {tcp, strings.Replace(tcp, id, strings.ToUpper(id), 1)},
		"raw and tcp":         {tcp, strings.Replace(tcp, "type=tcp", "type=raw", 1)},
		"xhttp and splithttp": {xhttp, strings.Replace(xhttp, "type=xhttp", "type=splithttp", 1)},
		"mode auto":           {xhttp, xhttp + "&mode=auto"},
		"mode in extra":       {xhttp + "&mode=packet-up", xhttp + `&mode=packet-up&extra={"mode":"packet-up"}`},
	} {
		pair[0] = strings.Replace(pair[0], `"a":1,`, "", 1)
		if identity(t, pair[0]) != identity(t, pair[1]) {
			t.Errorf("%s: two servers:\n%s\n%s", name, pair[0], pair[1])
		}
	}
}

// The same server is the same in every format that has it.
func TestPanelsSameInAllFormats(t *testing.T) {
	d := newDice(7)
	clash, box := clashConfig(yamlStyle{plain: careful, quote: doubleQuoted}), singBoxConfig
	compared := 0
	wrong := map[string]bool{}
	for _, s := range slices.Concat(servers(d, "vless"), servers(d, "trojan"), shadowsocksServers(d)) {
		if otherScripts[s.host] != "" || s.security.kind == "tls" && s.security.sni == "" {
			continue // what stands for a missing name differs between formats
		}
		bodies := map[string]string{"JSON": jsonText(xrayConfig(s, xrayStyle{}, nil, ""))}
		if s.protocol != "shadowsocks" {
			bodies["link"] = remnawaveLink(s)
		}
		if text, _, ok := clashItem(s); ok {
			bodies["Clash"] = clash([]string{text})
		}
		if text, _, ok := singBoxItem(s); ok {
			bodies["sing-box"] = box([]string{text})
		}
		of := map[string]string{}
		for format, body := range bodies {
			b, err := subscription.Parse([]byte(body))
			if err != nil || len(b.Entries) != 1 {
				continue // TestPanels says so
			}
			of[format] = b.Entries[0].Link.Identity()
		}
		for format, id := range of {
			compared++
			if kind := format + " " + s.transport.kind + " " + s.security.kind; id != of["JSON"] && !wrong[kind] {
				wrong[kind] = true
				t.Errorf("%s: another server than in JSON:\n%s\n%s", kind, bodies[format], bodies["JSON"])
			}
		}
	}
	t.Logf("%d compared", compared)
}

// Panels draw labels for the asterisk of a wildcard at every request. Nearly every draw has to be
// the server that is known; a label that happens to look like a word cannot be told from one.
func TestPanelsWildcards(t *testing.T) {
	d := newDice(8)
	alphabet := func(letters string, n int) func() string {
		return func() string {
			b := make([]byte, n)
			for i := range b {
				b[i] = letters[d.IntN(len(letters))]
			}
			return string(b)
		}
	}
	for _, test := range []struct {
		name string
		draw func() string
		most int // of 1000 that may be taken for another server
	}{
		{"16 hexadecimal digits", alphabet("0123456789abcdef", 16), 5},
		{"8 hexadecimal digits", alphabet("0123456789abcdef", 8), 50},
		// An update knows these by the address and the name, if they are not in an identity.
		{"10 letters and digits", alphabet("abcdefghijklmnopqrstuvwxyz0123456789", 10), 350},
	} {
		for _, link := range []string{
			"vless://8ad949f0-36de-4115-a803-0ff64092ceff@%s.w.a.org:443?type=tcp&security=reality&sni=b.org&pbk=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8",
			"vless://8ad949f0-36de-4115-a803-0ff64092ceff@198.51.100.7:443?type=ws&security=tls&path=/x&host=%[1]s.w.a.org&sni=%[1]s.w.a.org",
		} {
			ids := map[string]int{}
			for range 1000 {
				ids[identity(t, fmt.Sprintf(link, test.draw()))]++
			}
			if others := 1000 - slices.Max(slices.Collect(maps.Values(ids))); others > test.most {
				t.Errorf("%s: %d of 1000 draws make another server: %s", test.name, others, link)
			}
		}
	}
}

// Names of servers that people think up have letters and digits, too. All of a panel's servers have
// the same port and user, so that their names alone tell them apart.
func TestPanelsNamesOfServersAreNotDrawn(t *testing.T) {
	for _, names := range [][]string{
		{"de1", "de2", "nl1"}, {"server2024", "server2025"}, {"node-1a2b", "node-1a2c"}, {"frankfurt", "amsterdam"},
		{"de1fra1", "de1fra2", "de2fra1"}, {"us3lax1", "us3lax2"}, {"s1de2v", "s2de2v"}, {"vps12eu3", "vps13eu3"}, {"ip1v6n2", "ip1v6n3"},
	} {
		owner := map[string]string{}
		for _, name := range names {
			id := identity(t, "vless://8ad949f0-36de-4115-a803-0ff64092ceff@"+name+".w.a.org:443?type=tcp&security=reality&sni=b.org&pbk=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8")
			if owner[id] != "" {
				t.Errorf("%s and %s are one server", name, owner[id])
			}
			owner[id] = name
		}
	}
}
