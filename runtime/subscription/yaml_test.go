package subscription

import "testing"

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
