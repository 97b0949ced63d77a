package main

import (
	"context"
	"strings"
	"testing"
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
