//go:build linux

package xray

import (
	"encoding/json"
	"testing"
)

// With WireGuard the core asks for all names but the server's through the tunnel.
func TestResolver(t *testing.T) {
	const parameters = "?publickey=" + testKey
	for _, test := range []struct{ link, want string }{
		{"vless://" + testUUID + "@example.org:443", "null"},
		{"wg://" + testKey + "@192.0.2.1:1" + parameters, `{"servers":["1.1.1.1","8.8.8.8"],"tag":"dns"}`},
		{"wg://" + testKey + "@Example.org:1" + parameters + "&dns=10.0.0.1", `{"servers":[{"address":"localhost","domains":["full:example.org"],"skipFallback":true},"10.0.0.1"],"tag":"dns"}`},
		{"wg://" + testKey + "@192.0.2.1:1" + parameters + "&address=2001:db8::2", `{"servers":["2606:4700:4700::1111","2001:4860:4860::8888"],"tag":"dns"}`},
	} {
		l := mustParse(test.link)
		got, err := json.Marshal(resolver(l))
		if err != nil || string(got) != test.want {
			t.Errorf("%v: %s (%v), want %s", l, got, err, test.want)
		}
	}
}
