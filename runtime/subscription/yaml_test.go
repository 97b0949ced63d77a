package subscription

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// An entry that is not YAML spoils no other.
func TestBrokenYAMLSpoilsOneEntry(t *testing.T) {
	good := "{name: good, type: trojan, server: good.org, port: 443, password: x}"
	for name, bad := range map[string]string{
		"unclosed":    "- {name: bad, type: ss, server: [",
		"quote":       "- name: \"bad",
		"tab":         "-\tname: bad\n\ttype: ss",
		"control":     "- {name: \"\x07\", type: ss}",
		"no alias":    "- *nothing",
		"own indent":  "- name: bad\n      type: ss\n   server: x",
		"other value": "- just text",
	} {
		t.Run(name, func(t *testing.T) {
			b := mustParse(t, "mode: rule\nproxies:\n- "+good+"\n"+bad+"\n- "+good+"\nrules:\n- MATCH,x\n")
			if len(b.Entries) != 2 || len(b.Problems) != 1 || b.Problems[0].Position != 2 {
				t.Errorf("%d entries, %+v", len(b.Entries), b.Problems)
			}
		})
	}
}

func TestYAMLAnchors(t *testing.T) {
	b := mustParse(t, `
base: &base {type: trojan, port: 443, password: x, sni: s.org}
proxies:
  - {<<: *base, name: one, server: a.org}
  - &two
    <<: [*base]
    name: two
    server: b.org
    port: 8443
  - {<<: *two, name: three}
`)
	if len(b.Entries) != 3 {
		t.Fatalf("%+v", b)
	}
	sameServer(t, b.Entries[0].Link, "trojan://x@a.org:443?security=tls&sni=s.org#one")
	sameServer(t, b.Entries[1].Link, "trojan://x@b.org:8443?security=tls&sni=s.org#two")
	sameServer(t, b.Entries[2].Link, "trojan://x@b.org:8443?security=tls&sni=s.org#three")
}

// A long document, a broken one and a short one are read alike, in each style.
func TestClashAtEverySize(t *testing.T) {
	const common = "type: trojan, port: 443, password: x, sni: s.org"
	item := func(i int) string { return fmt.Sprintf("{name: \"n, %d\", server: s%d.org, <<: *c}", i, i) }
	full := func(i int) string { return fmt.Sprintf("{name: it's %d, server: s%d.org, %s}", i, i, common) }
	block := func(n int, item func(int) string) string {
		var b strings.Builder
		for i := range n {
			b.WriteString("  - " + item(i) + "\n")
		}
		return b.String()
	}
	flow := func(n int, item func(int) string) string {
		var items []string
		for i := range n {
			items = append(items, item(i))
		}
		return " [" + strings.Join(items, ",\n # a comment, with a comma\n ") + "]\n"
	}
	for name, document := range map[string]func(n int) string{
		"block": func(n int) string { return "port: 1\nproxies:\n" + block(n, full) + "rules:\n- MATCH,x\n" },
		"comments": func(n int) string {
			return "proxies:\n# first\n" + strings.ReplaceAll(block(n, full), "\n", "\n# between\n\n    # more\n") + "rules: []\n"
		},
		"flow":         func(n int) string { return "port: 1\nproxies:" + flow(n, full) + "rules:\n- MATCH,x\n" },
		"anchor":       func(n int) string { return "common: &c {" + common + "}\nproxies:\n" + block(n, item) + "rules: []\n" },
		"anchor, flow": func(n int) string { return "common: &c {" + common + "}\nproxies:" + flow(n, item) },
		"anchor in block style": func(n int) string {
			return "common:\n  mine: &c\n    " + strings.ReplaceAll(common, ", ", "\n    ") + "\nproxies:\n" + block(n, item)
		},
		"anchored proxy": func(n int) string {
			return "proxies:\n  - &c {name: first, server: first.org, " + common + "}\n" + block(n-1, item)
		},
		"anchor in a bad document": func(n int) string {
			return "common: &c {" + common + "}\nproxies:\n" + block(n, item) + "rules: [\n"
		},
		"bare": func(n int) string { return strings.ReplaceAll(block(n, full), "  - ", "- ") },
		"indented": func(n int) string {
			return "  port: 1\n  proxies:\n" + strings.ReplaceAll(block(n, full), "  - ", "    - ") + "  rules: []\n"
		},
		"old key, CRLF": func(n int) string {
			return "Proxy:\r\n" + strings.ReplaceAll(block(n, full), "\n", "\r\n") + "Rule: []\r\n"
		},
		"quoted key":  func(n int) string { return "\"proxies\" :\n" + block(n, full) },
		"second list": func(n int) string { return "---\nport: 1\n---\nproxies:\n" + block(n, full) },
	} {
		for _, n := range []int{3, 2000} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				text := document(n)
				if n > 3 && len(text) <= maxWholeYAML {
					text += "# " + strings.Repeat("x", maxWholeYAML) + "\n"
				}
				b := mustParse(t, text)
				if len(b.Entries) != n || len(b.Problems) > 0 || b.Lines {
					t.Fatalf("%d entries, want %d: %+v", len(b.Entries), n, b.Problems)
				}
				for i, e := range b.Entries {
					if e.Position != i+1 {
						t.Fatalf("entry %d is at %d", i+1, e.Position)
					}
				}
				last := b.Entries[n-1].Link
				if last.Port != 443 || !strings.HasPrefix(last.Host, "s") || last.Name == "" {
					t.Errorf("%v", last)
				}
			})
		}
	}
}

// Broken items of a long document spoil no others, in flow style, too.
func TestBrokenItemsOfLongDocuments(t *testing.T) {
	good := "{name: good, type: trojan, server: good.org, port: 443, password: x}"
	long := "rules:\n" + strings.Repeat("- DOMAIN-SUFFIX,example.org,g\n", maxWholeYAML/20)
	for name, text := range map[string]string{
		"flow":   "proxies: [" + good + ", {name: bad, type: [}, " + good + "]\n" + long,
		"quote":  "proxies:\n- " + good + "\n- {name: \"bad, type: ss}\n- " + good + "\n" + long,
		"alias":  "proxies:\n- " + good + "\n- {<<: *nothing, name: bad}\n- " + good + "\n" + long,
		"tab":    "proxies:\n- " + good + "\n- name: bad\n\ttype: ss\n- " + good + "\n" + long,
		"string": "proxies: [" + good + ", text, " + good + "]\n" + long,
	} {
		b := mustParse(t, text)
		if len(b.Entries) != 2 || len(b.Problems) != 1 || b.Problems[0].Position != 2 || b.Entries[1].Position != 3 {
			t.Errorf("%s: %d entries, %+v", name, len(b.Entries), b.Problems)
		}
	}
}

func TestClashDocuments(t *testing.T) {
	one := "proxies:\n- {name: one, type: trojan, server: a.org, port: 443, password: x}\n"
	two := "proxies:\n- {name: two, type: trojan, server: b.org, port: 443, password: x}\n"
	b := mustParse(t, "# mine\n---\n"+one+"---\nrules: []\n--- # more\n"+two+"...\n---\n"+two)
	if len(b.Entries) != 1 || b.Entries[0].Link.Name != "one" || len(b.Problems) != 1 || b.Problems[0].Code != CodeNotRead || b.Problems[0].Kept {
		t.Errorf("%+v", b)
	}
	b = mustParse(t, "mixed-port: 1\n---\n"+two)
	if len(b.Entries) != 1 || len(b.Problems) != 0 {
		t.Errorf("%+v", b)
	}
}

func TestClashProviders(t *testing.T) {
	provider := func(name, host string) string {
		return "  " + name + ": {type: http, interval: 3600, url: 'https://" + host + "/" + password + "'}\n"
	}
	inline := "  own:\n    type: inline\n    payload:\n      - {name: own, type: trojan, server: own.org, port: 443, password: x}\n"
	good := "proxies:\n- {name: good, type: trojan, server: good.org, port: 443, password: x}\n"
	long := "rules:\n" + strings.Repeat("- DOMAIN-SUFFIX,example.org,g\n", maxWholeYAML/20)
	for _, rest := range []string{"", long} {
		for name, test := range map[string]struct {
			body    string
			servers int
			says    string // in the problem
		}{
			"one":              {"mixed-port: 1\nproxy-providers:\n" + provider("p", "p.example"), 0, "the address of another provider, which xrat does not follow (https://p.example/…)"},
			"empty list":       {"proxies:\nproxy-providers:\n" + provider("p", "p.example"), 0, "no servers here"},
			"several":          {"proxies: []\nproxy-providers:\n" + provider("a", "a.example") + provider("b", "b.example") + provider("c", "c.example") + provider("d", "d.example") + provider("e", "e.example"), 0, "5 other providers, which xrat does not follow (https://a.example/…, https://b.example/…, https://c.example/…, …)"},
			"beside servers":   {good + "proxy-providers:\n" + provider("p", "p.example"), 1, "beside its servers"},
			"inline":           {"proxy-providers:\n" + inline, 1, ""},
			"inline and fetch": {good + "proxy-providers:\n" + inline + provider("p", "p.example"), 2, "https://p.example/…"},
			"behind another":   {good + "proxy-providers:\n" + inline + "    dialer-proxy: other\n", 1, "another server"},
			"overridden":       {good + "proxy-providers:\n" + inline + "    override: {dialer-proxy: other}\n", 1, "another server"},
			"file only":        {good + "proxy-providers:\n  p: {type: file, path: /etc/passwd}\n", 1, ""},
			"none":             {"mixed-port: 1\nproxy-groups: []\n", 0, ""},
		} {
			b, err := Parse([]byte(test.body + rest))
			if (err == nil) != (test.servers > 0) || len(b.Entries) != test.servers || (len(b.Problems) == 1) != (test.says != "") {
				t.Errorf("%s: %v, %+v", name, err, b)
				continue
			}
			if test.says != "" && !strings.Contains(b.Problems[0].Message, test.says) {
				t.Errorf("%s: %q", name, b.Problems[0].Message)
			}
			if e, ok := errors.AsType[*Error](err); ok && (e.Code != CodeNoEntries || !strings.Contains(e.Message, test.says)) {
				t.Errorf("%s: %+v", name, e)
			}
			noSecrets(t, b)
		}
	}
}
