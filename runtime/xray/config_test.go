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
	port := in.Address[strings.LastIndexByte(in.Address, ':')+1:]
	want := fmt.Sprintf(`[{"tag":"in","listen":"127.0.0.1","port":%s,"protocol":"socks","settings":{"auth":"password",`+
		`"accounts":[{"user":%q,"pass":%q}],"udp":true,"ip":"127.0.0.1"},"sniffing":{"enabled":false}}]`, port, in.User, in.Password)
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

// TestRelay makes sure that what leads through the core a second time is on loopback, behind a
// password, and for TCP alone.
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
	port := in.Address[strings.LastIndexByte(in.Address, ':')+1:]
	for _, want := range []string{
		`{"tag":"relay","listen":"127.0.0.2","port":` + port + `,"protocol":"trojan","settings":{"clients":[{"password":"` + in.Password + `"}]}`,
		`{"tag":"relay","protocol":"trojan","settings":{"servers":[{"address":"127.0.0.2","port":` + port + `,"password":"` + in.Password + `"}]}}`,
		`"routing":{"rules":[{"inboundTag":["in"],"network":"tcp","outboundTag":"relay"}]}`,
		`"outbounds":[{"protocol":"shadowsocks"`, // the default stays the server's
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%s is not in %s", want, text)
		}
	}
}
