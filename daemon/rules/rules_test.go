package rules

import (
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

func TestRulesFit(t *testing.T) {
	server := Server{
		Name: "🇩🇪 Frankfurt Premium 01", Protocol: "vless", Tags: []string{"Home", "fast"},
		Subscriptions: []Subscription{{7, "My VPN: best"}, {12, "other"}},
	}
	for rule, want := range map[string]bool{
		"name:premium": true, "name:PREMIUM 01": true, "name:basic": false, "name:🇩🇪": true,
		"name:/Premium/": true, "name:/premium/": false, "name:/premium/i": true, `name:/^🇩🇪 .* \d+$/`: true, "name:/a|b:c/": true, "name:/x/y/": false,
		"country:DE": true, "country:de": true, "country:🇩🇪": true, "country:NL": false, " Country : DE ": true,
		"protocol:vless": true, "protocol:VLESS": true, "protocol:ss": false,
		"subscription:my vpn: best": true, "subscription:My": false, "subscription:7": true, "subscription:1": false, "subscription:Other": true,
		"tag:home": true, "tag:hom": false,
	} {
		set, err := NewSet([]string{rule}, nil)
		if err != nil {
			t.Errorf("%s: %v", rule, err)
			continue
		}
		if _, away := set.KeepsAway(&server); away == want {
			t.Errorf("only %s: kept away %v", rule, away)
		}
		set, _ = NewSet(nil, []string{rule})
		if _, away := set.KeepsAway(&server); away != want {
			t.Errorf("never %s: kept away %v", rule, away)
		}
	}
}

func TestCountriesOfNames(t *testing.T) {
	for name, want := range map[string]string{
		"🇩🇪 Berlin": "DE", "Berlin🇩🇪🇳🇱": "DE NL", "🇬🇧": "GB", "UK-3": "GB", "🏴󠁧󠁢󠁳󠁣󠁴󠁿 Edinburgh": "",
		"DE-01": "DE", "[DE] x": "DE", "DE1": "DE", "de-01": "", "De": "", "DEX": "", "XDE": "", "ДЕ": "", "DEé": "", "US→NL": "US NL", "": "",
		"🇩🇪 no logs, IT team": "DE", "\U0001F1E9 D": "", "\U0001F1E9x\U0001F1EA": "",
	} {
		if got := strings.Join(countriesOf(name), " "); got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
}

func TestSetsNameTheRule(t *testing.T) {
	server := Server{Name: "DE 1", Protocol: "trojan"}
	for name, test := range map[string]struct {
		only, never []string
		want        string
	}{
		"none":          {nil, nil, ""},
		"one of two":    {[]string{"country:NL", "protocol:trojan"}, nil, ""},
		"none of two":   {[]string{"country:NL", "protocol:ss"}, nil, "only country:NL, protocol:ss"},
		"none of many":  {[]string{"tag:a", "tag:b", "tag:c", "tag:d", "tag:e"}, nil, "only tag:a, tag:b, tag:c and 2 more"},
		"never":         {nil, []string{"tag:a", "country:de"}, "never country:de"},
		"never is last": {[]string{"country:DE"}, []string{"protocol:trojan"}, "never protocol:trojan"},
	} {
		set, err := NewSet(test.only, test.never)
		if err != nil {
			t.Fatal(err)
		}
		if got, away := set.KeepsAway(&server); got != test.want || away != (test.want != "") {
			t.Errorf("%s: %q, %v", name, got, away)
		}
		if set.Empty() != (name == "none") {
			t.Errorf("%s: empty %v", name, set.Empty())
		}
	}
}

// What is no rule is refused with what to write instead.
func TestBadRules(t *testing.T) {
	for rule, want := range map[string]string{
		"":                       "is empty",
		"DE":                     `"DE" is no rule; write name:TEXT`,
		"country:":               "has no value",
		"country:Germany":        "two letters such as DE",
		"country:DE,NL":          "one a rule",
		"country:🇩🇪🇳🇱":           "one a rule",
		"protocol:vles":          "the protocols are vless",
		"city:Berlin":            `there are no rules by "city"`,
		"name:/a":                "no / at its end",
		"name://":                "is empty",
		"name:/a/g":              "only an i is known",
		"name:/(/":               "missing closing )",
		"name:/(a{1000}){1000}/": "invalid repeat count",
		"tag:\xff":               "not UTF-8",
		strings.Repeat("x", 501): "too long",
	} {
		if _, err := Parse(rule); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", rule, err, want)
		}
	}
	if _, err := NewSet(make([]string, 65), nil); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Error(err)
	}
	if _, err := NewSet(nil, []string{"tag:a", "nonsense"}); err == nil || !strings.Contains(err.Error(), "nonsense") {
		t.Error(err)
	}
}

// Every protocol of the configs can be named in a rule.
func TestProtocolsAreThoseOfLinks(t *testing.T) {
	for _, p := range []link.Protocol{
		link.ProtocolVLESS, link.ProtocolVMess, link.ProtocolTrojan, link.ProtocolShadowsocks, link.ProtocolSOCKS, link.ProtocolHTTP,
		link.ProtocolHysteria2, link.ProtocolWireGuard,
	} {
		if r, err := Parse("protocol:" + string(p)); err != nil || r.value != string(p) {
			t.Errorf("%s: %v, %v", p, r, err)
		}
	}
}

// A rule that is read means the same when it is read again, and applying it never panics.
func FuzzRules(f *testing.F) {
	for _, rule := range []string{"name:a", "name:/a|b/i", "country:DE", "country:🇩🇪", "protocol:ss", "subscription:x", "tag:y", ":", "name:/[/"} {
		f.Add(rule, "🇩🇪 DE one")
	}
	f.Fuzz(func(t *testing.T, text, name string) {
		r, err := Parse(text)
		if err != nil {
			return
		}
		again, err := Parse(r.String())
		if err != nil || again.kind != r.kind || again.value != r.value {
			t.Fatalf("%q: %+v, %v", text, again, err)
		}
		server := Server{Name: name, Protocol: "vless", Tags: []string{name}, Subscriptions: []Subscription{{1, name}}}
		only, never := Set{only: []Rule{r}}, Set{never: []Rule{r}}
		_, a := only.KeepsAway(&server)
		_, b := never.KeepsAway(&server)
		if a == b {
			t.Errorf("%q and %q: only %v, never %v", text, name, a, b)
		}
	})
}

func BenchmarkKeepsAway(b *testing.B) {
	set, err := NewSet([]string{"country:DE", "country:NL", "name:/fast|premium/i", "tag:home"}, []string{"country:RU", "protocol:socks", "name:/ipv6$/i"})
	if err != nil {
		b.Fatal(err)
	}
	server := Server{Name: "🇫🇷 France, Paris 01 | VLESS", Protocol: "vless", Tags: []string{"work"}}
	for b.Loop() {
		set.KeepsAway(&server)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)*10_000/1e6, "ms/10000")
}
