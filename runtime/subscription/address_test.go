package subscription

import (
	"errors"
	"testing"
)

func TestAddresses(t *testing.T) {
	for address, want := range map[string]struct{ good, local bool }{
		"https://provider.example/token":     {true, false},
		" http://provider.example:8080/x ":   {true, false},
		"http://127.0.0.1:8080/sub":          {true, true},
		"http://LOCALHOST/sub":               {true, true},
		"http://192.168.1.2/sub":             {true, true},
		"http://[fd00::1]/sub":               {true, true},
		"http://localhost./sub":              {true, false}, // a name like any other, to be looked up
		"http://169.254.169.254/latest":      {true, false},
		"file:///etc/passwd":                 {false, false},
		"vless://secret@host:1":              {false, false},
		"https:///path":                      {false, false},
		"http://host:0/":                     {false, false},
		"http://host:\x7f/secret":            {false, false},
		"ftp://127.0.0.1/secret":             {false, false},
		"https://user:secret@127.0.0.1/path": {true, true},
	} {
		err := Check(address)
		var e *Error
		if (err == nil) != want.good || err != nil && (!errors.As(err, &e) || e.Code != CodeBadURL) {
			t.Errorf("Check(%q) = %v", address, err)
		}
		if got := Local(address); got != want.local {
			t.Errorf("Local(%q) = %v", address, got)
		}
	}
}

func TestRedact(t *testing.T) {
	for address, want := range map[string]string{
		"https://u:p@a.org:8443/x?y#z":  "https://a.org:8443/…",
		"https://a.org":                 "https://a.org",
		"http://a.org/":                 "http://a.org",
		"file:///x":                     "the address",
		"https://a.org\x1b[31m/x":       "the address",
		"https://\u202ea.org/x":         "https://?a.org/…",
		"vless://" + uuid + "@a.org:1/": "the address",
	} {
		if got := Redact(address); got != want {
			t.Errorf("%q: %q, want %q", address, got, want)
		}
	}
}
