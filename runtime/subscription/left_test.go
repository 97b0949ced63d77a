package subscription

import (
	"strings"
	"testing"
)

// TestLeftOutByLinks checks that what a server can do without is left out and named, in every
// format in the same way.
func TestLeftOutByLinks(t *testing.T) {
	trojan := `{"protocol":"trojan","tag":"n","settings":{"address":"a.org","port":443,"password":"` + password + `"},"streamSettings":`
	singBox := `{"type":"trojan","tag":"n","server":"a.org","server_port":443,"password":"` + password + `","tls":{"enabled":true,"server_name":"a.org",`
	clash := "proxies:\n- {name: n, type: trojan, server: a.org, port: 443, password: " + password + ", sni: a.org, "
	for name, test := range map[string]struct{ body, says string }{
		"link, ECH":                   {"trojan://" + password + "@a.org:443?sni=a.org&ech=here!#n", "Encrypted Client Hello"},
		"link, ECH by this machine":   {"trojan://" + password + "@a.org:443?sni=a.org&ech=https%2Blocal://1.1.1.1/q#n", "Encrypted Client Hello"},
		"JSON, ECH":                   {trojan + `{"security":"tls","tlsSettings":{"serverName":"a.org","echConfigList":"here!"}}}`, "Encrypted Client Hello"},
		"Clash, ECH":                  {clash + "ech-opts: {enable: true}}", "Encrypted Client Hello"},
		"Clash, ECH with a name":      {clash + "ech-opts: {enable: true, query-server-name: b.org}}", "Encrypted Client Hello"},
		"sing-box, ECH":               {singBox + `"ech":{"enabled":true,"query_server_name":"x.org"}}}`, "Encrypted Client Hello"},
		"sing-box, split packets":     {singBox + `"insecure":false},"tls_fragment":{"enabled":true,"size":"x"}}`, "split packets"},
		"link, split packets":         {"trojan://" + password + "@a.org:443?sni=a.org&fragment=0,1,tlshello#n", "split packets"},
		"JSON, a mask":                {trojan + `{"security":"tls","tlsSettings":{"serverName":"a.org"},"finalmask":{"tcp":[{"type":"new"}]}}}`, "mask"},
		"link, first bytes":           {"trojan://" + password + "@a.org:443?sni=a.org&prefix=GET%20#n", "prefix"},
		"JSON list of links, a mask":  {`["trojan://` + password + `@a.org:443?sni=a.org&fm=%7B%22x%22:1%7D#n"]`, "mask"},
		"JSON, split in no known way": {`{"outbounds":[` + trojan + `{"security":"tls","tlsSettings":{"serverName":"a.org"},"sockopt":{"dialerProxy":"f"}}},{"protocol":"freedom","tag":"f","settings":{"fragment":{"packets":"x"}}}]}`, "fragment"},
	} {
		t.Run(name, func(t *testing.T) {
			b := mustParse(t, test.body)
			if len(b.Entries) != 1 || len(b.Problems) != 1 {
				t.Fatalf("%+v", b)
			}
			if p := b.Problems[0]; !p.Kept || p.Code != CodeLeftOut || p.Name != "n" || p.Position != 1 || !strings.Contains(p.Message, test.says) {
				t.Errorf("%+v", p)
			}
			sameServer(t, b.Entries[0].Link, "trojan://"+password+"@a.org:443?sni=a.org#n")
			noSecrets(t, b)
		})
	}
}

// TestPrivateHostsOfLinks checks that no host that an entry names may be more private than its
// server.
func TestPrivateHostsOfLinks(t *testing.T) {
	for _, query := range []string{"security=tls&ech=b.org%2Budp://192.168.1.1", `type=xhttp&extra={"downloadSettings":{"address":"10.0.0.1","port":1}}`} {
		b := mustParse(t, "vless://"+uuid+"@a.org:443?"+query+"#n\n"+trojanLink)
		if err := b.DropPrivate(); err != nil || len(b.Entries) != 1 || len(b.Problems) != 1 || b.Problems[0].Code != CodePrivate {
			t.Errorf("%s: %v, %+v", query, err, b)
		}
	}
}
