package subscription

import (
	"errors"
	"strings"
	"testing"
)

// A list may name any server of the internet, and none around the user.
func TestDropPrivate(t *testing.T) {
	for host, want := range map[string]bool{
		"127.0.0.1": true, "127.8.9.1": true, "[::1]": true, "[::ffff:127.0.0.1]": true, "0.0.0.0": true, "0.0.0.1": true, "[::]": true,
		"10.1.2.3": true, "172.16.0.1": true, "192.168.1.1": true, "[fd12::1]": true, "100.64.1.1": true, "169.254.169.254": true, "[fe80::1]": true,
		"[64:ff9b::7f00:1]": true, "[2002:c0a8:101::1]": true, "224.0.0.1": true, "255.255.255.255": true,
		"localhost": true, "LOCALHOST": true, "x.localhost": true, "nas.lan": true, "metadata.google.internal": true,
		"1.1.1.1": false, "192.0.2.1": false, "198.18.0.1": false, "[2606:4700::1]": false, "[64:ff9b::101:101]": false, "172.32.0.1": false,
		"server.example": false, "localhost.example": false,
	} {
		body, err := Parse([]byte("socks://" + host + ":1080#here\nsocks://server.example:1080#there\n"))
		if err != nil {
			t.Fatal(host, err)
		}
		if err := body.DropPrivate(); err != nil {
			t.Error(host, err)
		}
		dropped := len(body.Entries) == 1 && body.Entries[0].Link.Name == "there" && len(body.Problems) == 1
		if dropped != want || !dropped && (len(body.Entries) != 2 || len(body.Problems) > 0) {
			t.Errorf("%s: %d entries, problems %v", host, len(body.Entries), body.Problems)
		}
		if p := body.Problems; dropped && (p[0].Code != CodePrivate || p[0].Name != "here" || p[0].Position != 1 || !strings.Contains(p[0].Message, "--private")) {
			t.Errorf("%s: %+v", host, p)
		}
	}
}

// A list without anything else is a failure, which takes nothing away.
func TestDropPrivateLeavesNothing(t *testing.T) {
	body, err := Parse([]byte("socks://192.168.0.1:1080#one\nsocks://10.0.0.1:1080#two\n"))
	if err != nil {
		t.Fatal(err)
	}
	var failed *Error
	if err := body.DropPrivate(); !errors.As(err, &failed) || failed.Code != CodePrivate || len(body.Problems) != 2 {
		t.Errorf("%v, %+v", err, body.Problems)
	}
	none := Body{}
	if err := none.DropPrivate(); err != nil {
		t.Error(err)
	}
}
