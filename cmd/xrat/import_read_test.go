package main

import (
	"context"
	"strings"
	"testing"

	"github.com/xrat-tray/xrat/daemon/ipc"
)

func TestOnlyAnAddressAloneIsFetched(t *testing.T) {
	for text, want := range map[string][2]bool{ // unless wanted, and if so
		"https://provider.example/token":         {true, true},
		" https://provider.example/?token=x \n":  {true, true},
		"HTTP://provider.example/a":              {true, true},
		"http://1.2.3.4:8080":                    {false, true},
		"https://user:password@proxy.test:443#n": {false, true},
		"vless://x@y:1":                          {false, false},
		"http://a/b\nhttp://c/d":                 {false, false},
		"/etc/passwd":                            {false, false},
	} {
		for i, wanted := range []bool{false, true} {
			if _, is := webAddress(text, wanted); is != want[i] {
				t.Errorf("%q, wanted %v: %v", text, wanted, is)
			}
		}
	}
}

func TestOnlyATextThatBeginsWithALinkIsAList(t *testing.T) {
	for text, want := range map[string]bool{
		"\n# mine\nsocks://h:1\nwhatever": true,
		"socks://h:1":                     true,
		"nonsense\nsocks://h:1":           false,
		"c29ja3M6Ly9oOjE=":                false,
		"proxies:\n- {}":                  false,
		"{\"outbounds\":[]}":              false,
		"":                                false,
	} {
		if got := isList(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}

// A reader that never ends is a terminal, for example.
func TestEndlessSourcesHoldNothingUp(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := readBounded(ctx, neverEnding{}); err == nil {
		t.Error("an interrupted read succeeds")
	}
	if text, err := readBounded(t.Context(), strings.NewReader("links")); err != nil || text != "links" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := readBounded(t.Context(), zeros{}); err == nil || !strings.Contains(err.Error(), "larger") {
		t.Errorf("an endless source: %v", err)
	}
}

type neverEnding struct{}

func (neverEnding) Read([]byte) (int, error) { select {} }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestAddressesForOtherClients(t *testing.T) {
	const address = "https://provider.example/token#name"
	for text, want := range map[string]string{
		"hiddify://import/" + address: address,
		" clash://install-config?url=https%3A%2F%2Fprovider.example%2Ftoken&name=name \n": address,
		"hiddify://import/vless://x@y:1": "",
		"happ://crypt/x":                 "",
	} {
		if got, is := webAddress(text, false); is != (want != "") || is && got != want {
			t.Errorf("%q: %q, %v", text, got, is)
		}
	}
}

const tunnelFile = "[Interface]\nPrivateKey=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n[Peer]\nPublicKey=AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\nEndpoint=a.example.org:51820\n"

// A tunnel is named after its file, and nothing else is.
func TestTunnelsAreNamedAfterTheirFiles(t *testing.T) {
	for want, s := range map[string]source{
		"my home":      {name: "/etc/wireguard/my home.conf", text: tunnelFile, file: true},
		"100% [31mred": {name: "100%25 \x1b[31mred.conf", text: tunnelFile, file: true},
		"":             {name: "standard input", text: tunnelFile},
		"n":            {name: "list.txt", text: "socks://h:1#n", file: true},
	} {
		body, err := readBody(s)
		if err != nil || body.Entries[0].Link.Name != want {
			t.Errorf("%q: %v, %v", s.name, body.Entries, err)
		}
	}
	if body, _ := readBody(source{name: "list.txt", text: "socks://h:1", file: true}); body.Entries[0].Link.Name != "" {
		t.Errorf("%v", body.Entries)
	}
	if body, _ := readBody(source{name: "two.conf", text: tunnelFile + tunnelFile, file: true}); len(body.Entries) != 2 || body.Entries[0].Link.Name != "" {
		t.Errorf("%v", body.Entries)
	}
}

func TestPrintImport(t *testing.T) {
	var out strings.Builder
	printImport(&out, importResult{
		Errors: []importError{
			{"a.yaml", ipc.ImportErrorPayload{Entry: 9, Name: "x\x1b[2J", Message: "bad"}}, {"list", ipc.ImportErrorPayload{Line: 3, Message: "bad"}},
			{"b.yaml", ipc.ImportErrorPayload{Message: "all bad"}}, {"b.yaml", ipc.ImportErrorPayload{Entry: 1, Message: "left out", Kept: true}},
		},
		Notices: []string{"3 GB left\x07"},
	})
	const want = "a.yaml, entry 9 (x·[2J): bad\nlist, line 3: bad\nb.yaml: all bad\nb.yaml, entry 1: left out\nthe provider says: 3 GB left·\n0 added, 0 there already, 3 not understood.\n"
	if out.String() != want {
		t.Errorf("got  %q\nwant %q", out.String(), want)
	}
}
