package link

import (
	"slices"
	"testing"
)

func TestECH(t *testing.T) {
	named := "vless://" + testUUID + "@example.org:443?security=tls&ech="
	address := "vless://" + testUUID + "@192.0.2.1:443?security=tls&ech="
	tests := []struct{ name, in, want, other string }{
		{"a list", named + "AAECAw", "AAECAw==", ""},
		{"HTTPS", named + "https://192.0.2.1/dns-query", "https://192.0.2.1/dns-query", "192.0.2.1"},
		{"a name to ask for", address + "Ech.Example.org+https%3A%2F%2FDNS.example.org:8443/q", "ech.example.org+https://dns.example.org:8443/q", "dns.example.org"},
		{"UDP", address + "e.example.org+udp://8.8.8.8", "e.example.org+udp://8.8.8.8", "8.8.8.8"},
		{"IPv6", named + "h2c://[2001:db8::1]:8080/q", "h2c://[2001:db8::1]:8080/q", "2001:db8::1"},
		{"IPv6 over UDP", named + "udp://[2001:db8::1]", "udp://[2001:db8::1]:53", "2001:db8::1"},
		{"a server name to ask for", address + "udp://8.8.8.8&sni=s.example.org", "udp://8.8.8.8", "8.8.8.8"},
		{"no", named + "none", "", ""},
		{"nothing to ask for", address + "udp://8.8.8.8", "", "left"},
		{"an IP address to ask for", named + "1.1.1.1+udp://8.8.8.8", "", "left"},
		{"this machine's resolver", named + "https+local://8.8.8.8/q", "", "left"},
		{"two names", named + "a.org+b.org+udp://8.8.8.8", "", "left"},
		{"a query", named + "https://dns.example.org/q?a=env:HOME", "", "left"},
		{"a user", named + "https://u:p@dns.example.org/q", "", "left"},
		{"a file", named + "file:///etc/passwd", "", "left"},
		{"text", named + "on!", "", "left"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, left, err := Read(tt.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Secure.(TLS).ECH; got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
			others := l.Others()
			if tt.other == "left" {
				if len(left) != 1 || len(others) != 0 {
					t.Errorf("left out: %q, others %q", left, others)
				}
			} else if len(left) != 0 || !slices.Equal(others, slices.DeleteFunc([]string{tt.other}, func(s string) bool { return s == "" })) {
				t.Errorf("left out: %q, others %q", left, others)
			}
			checkRoundTrip(t, l)
		})
	}
	l, err := Parse(named + "udp://8.8.8.8&echForceQuery=half")
	if err != nil || l.Secure.(TLS).ECHQuery != "half" {
		t.Errorf("%v (%v)", l.URI(), err)
	}
	checkRoundTrip(t, l)
}
