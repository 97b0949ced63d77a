//go:build linux

package xray

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/runtime/link"
)

// The configuration contains what is planned and nothing else.
func TestConfigure(t *testing.T) {
	in, err := newInbound()
	if err != nil {
		t.Fatal(err)
	}
	text, secrets, err := configure(mustLink(), in)
	if err != nil {
		t.Fatal(err)
	}
	var config map[string]json.RawMessage
	if err := json.Unmarshal(text, &config); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for key := range config {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	if got := strings.Join(keys, " "); got != "inbounds log outbounds policy" {
		t.Errorf("sections %s", got)
	}
	want := fmt.Sprintf(`[{"tag":"in","listen":"127.0.0.1","port":%s,"protocol":"socks","settings":{"auth":"password",`+
		`"accounts":[{"user":%q,"pass":%q}]},"sniffing":{"enabled":false}},`+
		`{"tag":"relay","listen":"127.0.0.1","port":%s,"protocol":"trojan","settings":{"clients":[{"password":%q}]},"sniffing":{"enabled":false}}]`,
		portOf(in.Address), in.User, in.Password, portOf(in.Relay), in.Password)
	if got := string(config["inbounds"]); got != want {
		t.Errorf("inbounds %s\nwant     %s", got, want)
	}
	for _, secret := range []string{canary, in.User, in.Password} {
		if !slices.Contains(secrets, secret) {
			t.Errorf("%q does not count as a secret", secret)
		}
	}
	if other, _ := newInbound(); other.Password == in.Password || other.User == in.User || len(in.Password) < 32 {
		t.Error("the inbound's password is weak")
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if shown := fmt.Sprintf(verb, in) + fmt.Sprintf(verb, &in); strings.Contains(shown, in.Password) || strings.Contains(shown, in.User) {
			t.Errorf("%s shows a secret: %s", verb, shown)
		}
	}
}

func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// TestRelay makes sure that TCP leads through the core a second time, to its own relay, and from
// there to the server.
func TestRelay(t *testing.T) {
	in, err := newInbound()
	if err != nil {
		t.Fatal(err)
	}
	server, err := link.Parse("ss://aes-128-gcm:password@127.0.0.1:9")
	if err != nil {
		t.Fatal(err)
	}
	text, _, err := configure(server, in)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"tag":"relay","protocol":"trojan","settings":{"servers":[{"address":"127.0.0.1","port":` + portOf(in.Relay) + `,"password":"` + in.Password + `"}]}}`,
		`"routing":{"rules":[{"inboundTag":["in"],"outboundTag":"relay"}]}`,
		`"outbounds":[{"protocol":"shadowsocks"`, // the default stays the server's
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}
