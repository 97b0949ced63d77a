package subscription

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/xrat-tray/xrat/runtime/link"
)

// canary stands in every field of the hostile bodies that must not get through.
const canary = "CANARY"

// checkHostile checks what holds for every body: link.Parse accepts what is accepted, nothing else
// has come through, and what is shown is fit for a terminal.
func checkHostile(t *testing.T, b Body) {
	t.Helper()
	for _, e := range b.Entries {
		l, err := link.Parse(e.Link.URI())
		if err != nil || l != e.Link {
			t.Errorf("the entry %v is not accepted as a link: %v", e.Link, err)
		}
		if text := revealed(e.Link); strings.Contains(text, canary) {
			t.Errorf("%s came through", text)
		}
		checkShown(t, e.Link.Name)
	}
	for _, p := range b.Problems {
		if p.Code == "" || p.Message == "" {
			t.Errorf("%+v", p)
		}
		checkShown(t, p.Name)
		checkShown(t, p.Message)
	}
	for _, n := range b.Notices {
		checkShown(t, n)
	}
}

// revealed is a link with what is inside its base64.
func revealed(l link.Link) string {
	text := l.URI()
	if encoded, ok := strings.CutPrefix(text, "vmess://"); ok {
		decoded, _ := base64.StdEncoding.DecodeString(encoded)
		text += string(decoded)
	}
	return text
}

func checkShown(t *testing.T, text string) {
	t.Helper()
	if len(text) > 4000 {
		t.Errorf("%d bytes are shown", len(text))
	}
	for _, r := range text {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == 0xFEFF || r == unicode.ReplacementChar && !strings.Contains(text, "\uFFFD") {
			t.Errorf("%q shows %U", text, r)
			return
		}
	}
}

// TestHostileFiles reads testdata/hostile. The name of a file begins with the number of usable
// entries in it.
func TestHostileFiles(t *testing.T) {
	files, err := filepath.Glob("testdata/hostile/*")
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			before := listing(t)
			b, err := Parse(data)
			want := 0
			if _, scanErr := fmt.Sscanf(filepath.Base(file), "%d-", &want); scanErr != nil {
				t.Fatal(scanErr)
			}
			if len(b.Entries) != want || (err == nil) != (want > 0) {
				t.Errorf("%d entries, want %d: %v, %+v", len(b.Entries), want, err, b.Problems)
			}
			if len(b.Problems) == 0 && err == nil && !strings.Contains(file, "silent") {
				t.Error("no problem is reported")
			}
			checkHostile(t, b)
			if after := listing(t); after != before {
				t.Errorf("files changed from\n%s\nto\n%s", before, after)
			}
		})
	}
}

// listing returns the names of all files below the directory of the test.
func listing(t *testing.T) string {
	t.Helper()
	var names []string
	err := fs.WalkDir(os.DirFS("."), ".", func(name string, _ fs.DirEntry, err error) error {
		names = append(names, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(names, "\n")
}

// TestHostileFieldsGetNowhere plants every hostile field everywhere. The good entry beside each is
// untouched.
func TestHostileFieldsGetNowhere(t *testing.T) {
	places := map[string]string{
		"outbound":           `{"protocol":"trojan",%s,"settings":{"servers":[{"address":"a.org","port":443,"password":"x"}]},"streamSettings":{"network":"ws","security":"tls","wsSettings":{"path":"/"}}}`,
		"settings":           `{"protocol":"trojan","settings":{%s,"servers":[{"address":"a.org","port":443,"password":"x"}]},"streamSettings":{"security":"tls"}}`,
		"server":             `{"protocol":"shadowsocks","settings":{"servers":[{%s,"address":"a.org","port":443,"method":"aes-256-gcm","password":"x"}]}}`,
		"user":               `{"protocol":"vless","settings":{"vnext":[{"address":"a.org","port":443,"users":[{%s,"id":"` + uuid + `","encryption":"none"}]}]}}`,
		"stream":             `{"protocol":"trojan","settings":{"address":"a.org","port":443,"password":"x"},"streamSettings":{%s,"network":"grpc","security":"tls","grpcSettings":{"serviceName":"s"}}}`,
		"tls":                `{"protocol":"trojan","settings":{"address":"a.org","port":443,"password":"x"},"streamSettings":{"security":"tls","tlsSettings":{%s}}}`,
		"reality":            `{"protocol":"vless","settings":{"address":"a.org","port":443,"id":"` + uuid + `"},"streamSettings":{"security":"reality","realitySettings":{%s,"publicKey":"` + pbk + `","serverName":"s.org"}}}`,
		"socket":             `{"protocol":"trojan","settings":{"address":"a.org","port":443,"password":"x"},"streamSettings":{"security":"tls","sockopt":{%s}}}`,
		"ws":                 `{"protocol":"trojan","settings":{"address":"a.org","port":443,"password":"x"},"streamSettings":{"security":"tls","network":"ws","wsSettings":{%s,"path":"/"}}}`,
		"xhttp":              `{"protocol":"trojan","settings":{"address":"a.org","port":443,"password":"x"},"streamSettings":{"security":"tls","network":"xhttp","xhttpSettings":{%s,"path":"/"}}}`,
		"clash":              `{"type":"trojan","server":"a.org","port":443,"password":"x",%s}`,
		"sing-box":           `{"type":"trojan","tag":"n","server":"a.org","server_port":443,"password":"x",%s}`,
		"sing-box tls":       `{"type":"trojan","tag":"n","server":"a.org","server_port":443,"password":"x","tls":{%s,"enabled":true}}`,
		"sing-box transport": `{"type":"trojan","tag":"n","server":"a.org","server_port":443,"password":"x","transport":{%s,"type":"ws"}}`,
		"sing-box xhttp":     `{"type":"trojan","tag":"n","server":"a.org","server_port":443,"password":"x","transport":{%s,"type":"xhttp"}}`,
		"sing-box endpoint":  `{"type":"wireguard","tag":"n","private_key":"` + pbk + `","address":"10.0.0.2/32",%s,"peers":[{"address":"a.org","port":1,"public_key":"` + pbk + `"}]}`,
		"sing-box peer":      `{"type":"wireguard","tag":"n","private_key":"` + pbk + `","address":"10.0.0.2/32","peers":[{%s,"address":"a.org","port":1,"public_key":"` + pbk + `"}]}`,
		"v2rayN":             `{"configType":6,"address":"a.org","port":443,"id":"x","streamSecurity":"tls",%s}`,
		"sip008":             `{"server":"a.org","server_port":443,"method":"aes-256-gcm","password":"x",%s}`,
	}
	fields := []string{
		`"masterKeyLog":"/home/u/CANARY"`, `"MasterKeyLog":"/home/u/CANARY"`, `"certificateFile":"CANARY"`, `"keyFile":"CANARY"`, `"certificates":[{"certificateFile":"CANARY","keyFile":"CANARY"}]`,
		`"sockopt":{"mark":1,"interface":"CANARY","dialerProxy":"CANARY","customSockopt":[{"level":"CANARY"}]}`, `"dialerProxy":"CANARY"`, `"interface":"CANARY"`, `"interface-name":"CANARY"`, `"dialer-proxy":"CANARY"`,
		`"sendThrough":"CANARY"`, `"redirect":"CANARY:1"`, `"proxySettings":{"tag":"CANARY","transportLayer":true}`, `"reverse":{"tag":"CANARY"}`, `"echConfigList":"CANARY+udp://1.1.1.1"`,
		`"echSockopt":{"dialerProxy":"CANARY"}`, `"downloadSettings":{"address":"CANARY"}`, `"finalmask":{"udp":[{"type":"CANARY"}]}`, `"masquerade":{"dir":"CANARY"}`, `"plugin":"/bin/sh","plugin_opts":"CANARY"`,
		`"inbounds":[{"listen":"CANARY"}]`, `"log":{"access":"CANARY"}`, `"env":{"XRAY_CANARY":"1"}`, `"CANARY":"CANARY"`, `"\u001b]0;CANARY\u0007":{"CANARY":["CANARY"]}`,
	}
	for place, pattern := range places {
		for _, field := range fields {
			t.Run(place+"/"+field, func(t *testing.T) {
				hostile := fmt.Sprintf(pattern, field)
				body := `{"outbounds":[` + hostile + `,` + vlessOutbound + `],"inbounds":[{"tag":"CANARY"}]}`
				switch place {
				case "clash":
					body = `{"proxies":[` + hostile + `,{"type":"trojan","server":"good.org","port":443,"password":"x"}]}`
				case "v2rayN":
					body = `{"vmess":[` + hostile + `,{"configType":6,"address":"good.org","port":443,"id":"x"}]}`
				case "sip008":
					body = `{"servers":[` + hostile + `,{"server":"good.org","server_port":443,"method":"aes-256-gcm","password":"x"}]}`
				}
				b := mustParse(t, body)
				checkHostile(t, b)
				if n := len(b.Entries); n == 0 || b.Entries[n-1].Position != 2 {
					t.Errorf("the other entry is gone: %+v", b.Problems)
				}
				if len(b.Problems) == 0 {
					t.Error("no problem is reported")
				}
			})
		}
	}
}

func TestHostileNamesAreCleaned(t *testing.T) {
	for _, name := range []string{
		"\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "a\nb\r\nc", "\u202Eevil\u2066", "../../etc/passwd", "-rf", "%n%s%x", "<b>&amp;</b>", "\x00", "\xff\xfe\x80", strings.Repeat("x", 1<<20), "\uFEFF\u200B",
		"%1b%5b31m", "%251b[31m",
	} {
		quoted := strings.ToValidUTF8(name, "?")
		for _, body := range []string{
			"trojan://x@a.org:443?security=tls#" + strings.NewReplacer("\n", "%0A", "\r", "%0D").Replace(name),
			"trojan://x@127.0.0.1:443?security=tls#" + strings.NewReplacer("\n", "%0A", "\r", "%0D").Replace("3 GB "+name),
			"vless://bad#" + strings.NewReplacer("\n", "%0A", "\r", "%0D").Replace(name) + "\n" + trojanLink,
			fmt.Sprintf(`{"proxies":[{"type":"trojan","server":"a.org","port":443,"password":"x","name":%s}]}`, jsonString(quoted[:min(len(quoted), 1000)])),
			fmt.Sprintf("proxies:\n- {type: trojan, server: a.org, port: 443, password: x, name: %s}\n- {type: bad, name: %s}\n", jsonString(quoted[:min(len(quoted), 1000)]), jsonString(quoted[:min(len(quoted), 1000)])),
		} {
			b, _ := Parse([]byte(body))
			checkHostile(t, b)
		}
	}
}

func jsonString(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		fmt.Fprintf(&b, `\u%04x`, min(r, 0xffff))
	}
	b.WriteByte('"')
	return b.String()
}

// bombs are bodies that could cost much more than their size suggests.
func bombs() map[string]func() string {
	fill := func(s string) string { return strings.Repeat(s, max(1, (bombSize-2000)/len(s))) }
	aliases := "a0: &a0 [x,x,x,x,x,x,x,x,x]\n"
	for i := 1; i < 12; i++ {
		aliases += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","))
	}
	merges := "a0: &a0 {k0: x}\n"
	for i := 1; i < 12; i++ {
		merges += fmt.Sprintf("a%d: &a%d {<<: [%s], k%d: x}\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d,", i-1), 9), ","), i)
	}
	item := "- {name: &b0 [x,x,x,x,x,x,x,x,x]"
	for i := 1; i < 12; i++ {
		item += fmt.Sprintf(", k%d: &b%d [%s]", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*b%d,", i-1), 9), ","))
	}
	item += "}\n"
	return map[string]func() string{
		"a million links":       func() string { return fill("a://b\n") },
		"a million empty links": func() string { return fill("ss://\n") },
		"good links":            func() string { return fill(trojanLink + "\n") },
		"one long line":         func() string { return "a://" + fill("a") },
		"one long name":         func() string { return trojanLink + fill("%250a") },
		"long names":            func() string { return fill(trojanLink + strings.Repeat("%25", 340_000) + "\n") },
		"blank lines":           func() string { return "a://b" + fill("\n") },
		"NUL":                   func() string { return "a://b" + fill("\x00") },
		"no UTF-8":              func() string { return "a://b" + fill("\xff\n") },
		"base64": func() string {
			return base64.StdEncoding.EncodeToString([]byte(strings.Repeat(trojanLink+"\n", bombSize/140)))
		},
		"padding":           func() string { return "QUFB" + fill("=") },
		"JSON deep arrays":  func() string { return fill("[") },
		"JSON deep objects": func() string { return fill(`{"a":`) },
		"JSON deep in an entry": func() string {
			return `{"outbounds":[{"protocol":"vless","settings":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + "}]}"
		},
		"JSON numbers":           func() string { return "[" + fill("0,") + "0]" },
		"JSON strings":           func() string { return "[" + fill(`"",`) + `""]` },
		"JSON links":             func() string { return "[" + fill(`"a://b",`) + `""]` },
		"JSON objects":           func() string { return "[" + fill("{},") + "{}]" },
		"JSON outbounds":         func() string { return `{"outbounds":[` + fill("{},") + "{}]}" },
		"JSON one long outbound": func() string { return `{"outbounds":[{"protocol":"` + fill("x") + `"}]}` },
		"JSON wide outbounds": func() string {
			return `{"outbounds":[` + fill(`{"settings":[`+strings.Repeat("0,", 30_000)+"0]},") + "{}]}"
		},
		"JSON many keys":  func() string { return "{" + fill(`"":0,`) + `"":0}` },
		"JSON documents":  func() string { return fill("{}") },
		"JSON comments":   func() string { return "[" + fill("/**/#\n") + vlessOutbound + "]" },
		"JSON commas":     func() string { return "[" + fill("[,],") + "]" },
		"JSON head lines": func() string { return fill("#\n") + "{}" },
		"JSON detours": func() string {
			return `{"outbounds":[` + fill(`{"type":"http","tag":"a","detour":"b"},`) + `{"type":"direct","tag":"b"}]}`
		},
		"JSON configurations with detours": func() string { return "[" + fill(`{"outbounds":[{"type":"http","tag":"a","detour":"b"}]},`) + "{}]" },
		"JSON peers": func() string {
			return `{"endpoints":[` + fill(`{"type":"wireguard","tag":"a","peers":[`+strings.Repeat("{},", 15_000)+"{}]},") + "{}]}"
		},
		"JSON embedded": func() string {
			return `{"vmess":[` + fill(`{"configType":9,"protoExtra":"`+strings.Repeat("[", 60_000)+`"},`) + "{}]}"
		},
		"JSON sing-box":         func() string { return `{"outbounds":[` + fill(`{"type":"vless","tag":"a"},`) + "{}]}" },
		"YAML aliases":          func() string { return aliases + "proxies:\n- *a11\n- *a11\n- {name: *a11}\n" },
		"YAML merges":           func() string { return merges + "proxies:\n" + strings.Repeat("- {<<: *a11}\n", 1000) },
		"YAML many aliases":     func() string { return aliases + "proxies:\n" + strings.Repeat("- *a3\n", 15_000) },
		"YAML aliases in items": func() string { return "proxies:\n" + fill(item) },
		"YAML short items":      func() string { return "proxies:\n" + fill("- a\n") },
		"YAML wide items":       func() string { return "proxies:\n" + fill("- ["+strings.Repeat("a,", 30_000)+"a]\n") },
		"YAML one line":         func() string { return "proxies: [" + fill("a,") + "a]\n" },
		"YAML short line":       func() string { return "proxies: [" + strings.Repeat("a,", maxWholeYAML/2-20) + "a]\n" },
		"YAML deep":             func() string { return "proxies:\n- " + strings.Repeat("[", 60_000) + "\n" },
		"YAML deep line":        func() string { return "proxies: " + strings.Repeat("[", maxWholeYAML-20) + "\n" },
		"YAML deep block":       func() string { return "proxies:\n" + strings.Repeat("- ", 60_000) + "\n" },
		"YAML anchors":          func() string { return "proxies:\n" + fill("- &a {a: b}\n") },
		"YAML rules": func() string {
			return "proxies:\n- {type: trojan, server: a.org, port: 1, password: x}\nrules:\n" + fill("- DOMAIN,a,b\n")
		},
		"YAML comments": func() string { return "proxies:\n" + fill("# x\n") },
		"YAML long key": func() string { return "proxies:\n- {? " + strings.Repeat("a", 60_000) + " : b}\n" },
		"YAML quotes":   func() string { return "proxies:\n" + fill("- \"\n") },
		"YAML flow depth": func() string {
			return "proxies: [" + strings.Repeat("[", bombSize/2) + strings.Repeat("}", bombSize/2-20)
		},
		"YAML documents": func() string { return fill("---\nproxies:\n- a\n") },
		"YAML flow":      func() string { return "proxies: [" + fill("{a: *b},") },
		"YAML anchors used": func() string {
			return "c: &c {a: [" + strings.Repeat("b,", 12_000) + "b]}\nproxies:\n" + strings.Repeat("- {<<: *c}\n", bombSize/12)
		},
		"YAML anchored items": func() string { return "proxies:\n" + fill("- &c {<<: *c}\n") },
		"YAML keys":           func() string { return "proxies:\n" + fill("k:\n") },
		"links in a line":     func() string { return fill("ss://") },
		"pages in a line":     func() string { return "a://b" + fill(" http://") },
		"quotes in a line":    func() string { return fill("`ss://` ") },
		"mail in a line":      func() string { return "a://" + fill("[](mailto:)") },
		"chain":               func() string { return "a://b#" + fill("->") },
		"comments":            func() string { return fill("#a:b\n") + "a://b" },
		"encoded lines":       func() string { return fill("dHJvamFuOi8veA==\n") },
		"encoded among links": func() string { return "a://b\n" + fill("dHJvamFuOi8veA==\n") },
		"short encoded lines": func() string { return fill("QQ==\n") },
		"WireGuard tunnels":   func() string { return fill("[Interface]\n") },
		"WireGuard peers":     func() string { return "[Interface]\n" + fill("[Peer]\n") },
		"WireGuard addresses": func() string { return "[Interface]\n" + fill("A=b\n") },
		"WireGuard settings": func() string {
			var b strings.Builder
			for b.WriteString("[Interface]\n"); b.Len() < bombSize-20; {
				fmt.Fprintf(&b, "%d=b\n", b.Len())
			}
			return b.String()
		},
		"Surge lines":        func() string { return "[Proxy]\n" + fill("a=trojan,b,1\n") },
		"Surge commas":       func() string { return "[Proxy]\na=trojan," + fill(",") },
		"Surge quotes":       func() string { return "[Proxy]\n" + fill("a=\"\n") },
		"Surge wide lines":   func() string { return "[Proxy]\n" + fill("a=trojan,b,1"+strings.Repeat(",c=d", 15_000)+"\n") },
		"Surge tunnels":      func() string { return "[Proxy]\n" + fill("[WireGuard a]\n") },
		"Surge equals signs": func() string { return fill("a=") },
		"UTF-16":             func() string { return "\xFF\xFE" + fill("a\x00:\x00/\x00/\x00") },
		"YAML tags":          func() string { return "proxies:\n" + fill("- !!binary x\n") },
	}
}

func TestBombsStayCheap(t *testing.T) {
	for name, make := range bombs() {
		t.Run(name, func(t *testing.T) {
			data := []byte(make())
			if len(data) > MaxBody {
				t.Fatalf("%d bytes are too many for the test", len(data))
			}
			var b Body
			began := time.Now()
			peak := heapPeak(t, func() { b, _ = Parse(data) })
			took := time.Since(began)
			runtime.KeepAlive(data)
			t.Logf("%-22s %5d KiB: %6d entries, %5d problems, %6v, heap +%d MiB", name, len(data)>>10, len(b.Entries), len(b.Problems)+b.Unlisted, took.Round(time.Millisecond), peak>>20)
			if peak > 80<<20 {
				t.Errorf("took %d MiB", peak>>20)
			}
			if took > 15*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// No body makes Parse panic, return what link.Parse does not accept, or show what a terminal would
// obey.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/hostile/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		if len(data) < 8<<10 {
			f.Add(data)
		}
	}
	for _, body := range []string{
		plainList, vlessOutbound, "[" + vlessOutbound + "]", base64.URLEncoding.EncodeToString([]byte(plainList)),
		"proxies:\n- {name: n, type: hysteria2, server: a.org, ports: 1-2, password: p, up: 1 Mbps, obfs: salamander, obfs-password: x}\n",
		"proxies:\n- {name: n, type: wireguard, server: a.org, port: 1, private-key: " + pbk + ", peers: [{server: b.org, port: 2, public-key: " + pbk + ", reserved: [1,2,3]}]}\n",
		"proxies:\n- &a {type: vless, uuid: u, server: a, port: 1, network: xhttp, tls: true, xhttp-opts: {mode: auto, reuse-settings: {max-connections: 1}}}\n- <<: *a\n",
		`{"endpoints":[{"type":"wireguard","tag":"n","address":"10.0.0.2/32","private_key":"` + pbk + `","peers":[{"address":"b.org","port":2,"public_key":"` + pbk + `","reserved":[1,2,3]}]}],"outbounds":[{"type":"hysteria2","server":"a","server_ports":["1:2"],"hop_interval":"5s","password":"p","tls":{"enabled":true,"ech":{"enabled":true,"config":["AAAA"]}},"detour":"d"},{"type":"direct","tag":"d"}]}`,
		`#title
[{"type":"vless","tag":"n","server":"a","server_port":1,"uuid":"u","transport":{"type":"xhttp","x_padding_bytes":"1-2",},/* c */}] // d`,
		`{"vmess":[{"configType":5,"Address":"a","Port":1,"Password":"u","ProtoExtra":"{\"Flow\":\"\",\"WgMtu\":1}","network":"ws"}]}`,
		`{"configs":[{"server":"a","server_port":1,"method":"aes-128-gcm","password":"p","protocol":"origin"}]}`,
		clashFile, wrap(clashFile, 1), encodedLines(clashFile, base64.StdEncoding), wireGuardFile, utf16Text(plainList, true),
		"#profile-title: base64:YQ==\n//announce: x\n" + vlessLink + "&&detour=" + trojanLink + "\n1. " + vlessLink + " " + trojanLink + "\nsn://x\nclash://install-config?url=https%3A%2F%2Fa.org",
		"[Proxy]\na = ss, a.org, 1, encrypt-method=aes-128-gcm, password=x\nb = wireguard, section-name=c\n[WireGuard c]\nprivate-key=" + pbk + "\npeer=(public-key=" + pbk + ", endpoint=a.org:1)\n[Remote Proxy]\nx=https://a.org",
		"vmess=a.org:1, method=none, password=" + uuid + ", obfs=wss, obfs-host=h.org, tag=n\n", "n = VLESS,a.org,1,\"" + uuid + "\",transport=ws,over-tls=true\n",
		"common: &c {type: trojan, port: 1}\nproxies: [{<<: *c, server: a.org, password: x}]\nproxy-providers: {a: {url: 'https://a.org'}, b: {payload: [{<<: *c}]}}\n---\nproxies: []\n",
		"- {name: n, type: vless, uuid: u, server: a, port: 1, network: xhttp, tls: true, xhttp-opts: {headers: {Host: h}, download-settings: {server: b, reality-opts: {public-key: k}}}}\n",
		`{"protocol":"hysteria","settings":{"address":"a","port":1},"streamSettings":{"finalmask":{"udp":[{"type":"salamander","settings":{"password":"x"}}],"quicParams":{"brutalUp":"1 mbps"}}}}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Parse(data)
		if (err == nil) != (len(b.Entries) > 0) {
			t.Fatalf("%d entries, %v", len(b.Entries), err)
		}
		for _, e := range b.Entries {
			if l, err := link.Parse(e.Link.URI()); err != nil || l != e.Link {
				t.Errorf("%q is not accepted as a link: %v", e.Link.URI(), err)
			}
			checkShown(t, e.Link.Name)
			if strings.Contains(e.Link.Name, "://") {
				t.Errorf("the name %q holds an address", e.Link.Name)
			}
		}
		for _, shown := range []string{b.About.Title, b.About.Announce, b.About.SupportURL, b.About.WebPageURL} {
			checkShown(t, shown)
		}
		for _, p := range b.Problems {
			checkShown(t, p.Name)
			checkShown(t, p.Message)
		}
		for _, n := range b.Notices {
			checkShown(t, n)
		}
		c := Reconcile([]Known{{ID: 1, Identity: "x"}}, b)
		if err != nil && len(c.Retire) > 0 {
			t.Error("a bad body retires")
		}
	})
}
