package subscription

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Check reports whether address can be the address of a subscription: nil, or an *Error with
// CodeBadURL. It contacts nobody.
func Check(address string) error {
	_, err := parseURL(address)
	return err
}

// Local reports whether address says literally that it is in a private network or on this machine,
// as an IP address or as localhost. Through a proxy such an address would lead into somebody else's
// network.
func Local(address string) bool {
	u, err := parseURL(address)
	return err == nil && typedLocal(u.Hostname())
}

// LocalName reports whether the name in address is one that only a private network knows, such as
// "nas" or "nas.lan". Nobody beyond it could look it up.
func LocalName(address string) bool {
	u, err := parseURL(address)
	return err == nil && (!publicName(u.Hostname()) || !strings.ContainsAny(u.Hostname(), ".:"))
}

// typedLocal reports whether a host says literally that it is in a private network or this machine.
func typedLocal(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && !ip.Is4In6() && isLocal(ip)
}

// Redact returns the part of an address that is not secret, for display: "https://example.org/…".
func Redact(address string) string {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return "the address"
	}
	redacted := u.Scheme + "://" + cleanHost(u.Host)
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		redacted += "/…"
	}
	return redacted
}

// cleanHost makes a host fit for display; a redirect may have brought it.
func cleanHost(host string) string {
	clean := strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f {
			return r
		}
		return '?'
	}, host)
	return clean[:min(len(clean), 260)]
}

func parseURL(text string) (*url.URL, error) {
	text = strings.TrimSpace(text)
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, fail(CodeBadURL, "the address of the subscription is not a valid web address; copy it again from the provider")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, fail(CodeBadURL, "the address of the subscription does not begin with http:// or https://; nothing else is fetched")
	case u.Hostname() == "":
		return nil, fail(CodeBadURL, "the address of the subscription has no host; copy it again from the provider")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, fail(CodeBadURL, "the port in the address of the subscription is not a number from 1 to 65535")
		}
	}
	u.Fragment, u.RawFragment = "", ""
	return u, nil
}
