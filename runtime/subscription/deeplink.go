package subscription

import (
	"net/url"
	"strings"
)

// wrappings are the schemes by which pages of panels hand an address to a client. What comes after
// them has the same few forms everywhere.
var wrappings = wordSet("hiddify hiddifynext v2raytun clash clashmeta clash-meta clashx clash-verge flclash flclashx koala-clash stash " +
	"surfboard surge loon egern sing-box singbox v2rayng v2rayn streisand happ v2box karing sub shadowrocket foxray incy throne nekobox ssconf")

// isWrapping reports whether what a scheme begins with rest is an address for another client.
func isWrapping(scheme, rest string) bool {
	switch scheme {
	case "sn", "exclave", "husi", "nekoray": // which also begin links of servers
		return strings.HasPrefix(strings.TrimLeft(rest, "/"), "subscription?")
	}
	return wrappings[scheme]
}

// Unwrap takes the address, or the link, out of one that pages make for another client, such as
// "clash://install-config?url=https%3A%2F%2Fexample.org%2Fsub&name=example". The name that it may
// have becomes the fragment of the address. Any other text is not ok.
func Unwrap(text string) (inner string, ok bool) {
	const deepest = 3
	inner = strings.TrimSpace(text)
	for range deepest {
		scheme, rest, found := strings.Cut(inner, "://")
		if scheme = strings.ToLower(scheme); !found || !isWrapping(scheme, rest) {
			break
		}
		if inner, ok = unwrap(scheme, strings.TrimLeft(rest, "/")); !ok {
			return "", false
		}
	}
	return inner, ok && !wrappings[schemeOf(inner)] && !strings.ContainsAny(inner, "\r\n")
}

func unwrap(scheme, rest string) (string, bool) {
	if scheme == "ssconf" {
		return "https://" + rest, true
	}
	if scheme != "sub" {
		// The action: install-config, import, add and so on.
		action := strings.IndexAny(rest, "/?")
		if action < 0 || strings.HasPrefix(rest, "crypt") {
			return "", false
		}
		if rest[action] == '/' && !strings.HasPrefix(rest[action:], "/?") && !strings.Contains(rest[:action], ".") {
			return unwrapPath(rest[action+1:])
		}
		_, query, _ := strings.Cut(rest, "?")
		return unwrapQuery(query)
	}
	return unwrapPath(rest)
}

// unwrapPath reads an address that stands there as it is, escaped, or in base64.
func unwrapPath(text string) (string, bool) {
	if schemeOf(text) != "" {
		return text, true
	}
	address, name, _ := strings.Cut(text, "#")
	if plain, err := url.PathUnescape(address); err == nil {
		address = plain
	}
	if address, query, found := strings.Cut(address, "?"); found {
		if inner, ok := unwrapQuery(query); ok {
			return inner, ok
		}
		values, _ := url.ParseQuery(query)
		inner, ok := decodeAddress(address)
		return withName(inner, nameOf(values, name)), ok
	}
	inner, ok := decodeAddress(address)
	return withName(inner, name), ok
}

// unwrapQuery reads an address that is a parameter.
func unwrapQuery(query string) (string, bool) {
	for _, key := range []string{"url=", "sub=", "nodelist="} {
		at := strings.Index("&"+query, "&"+key)
		if at < 0 {
			continue
		}
		value := query[at+len(key):]
		if schemeOf(value) != "" {
			// It is not escaped, so that its own parameters cannot be told from those beside it.
			if i := strings.LastIndex(value, "&name="); i >= 0 {
				address, after := value[:i], value[i+len("&name="):]
				name, _, _ := strings.Cut(after, "&")
				return withName(address, name), true
			}
			return value, true
		}
		query, fragment, _ := strings.Cut(query, "#")
		values, err := url.ParseQuery(query)
		if err != nil {
			return "", false
		}
		inner, ok := decodeAddress(values.Get(key[:len(key)-1]))
		return withName(inner, nameOf(values, fragment)), ok
	}
	return "", false
}

// nameOf returns the name that stands beside an address, escaped.
func nameOf(values url.Values, fragment string) string {
	for _, key := range []string{"name", "remarks", "remark", "tag"} {
		if name := values.Get(key); name != "" {
			return escape(name)
		}
	}
	return fragment
}

func withName(address, name string) string {
	if name == "" || strings.Contains(address, "#") {
		return address
	}
	return address + "#" + name
}

// decodeAddress reads an address that stands there as it is, or in base64.
func decodeAddress(text string) (string, bool) {
	if schemeOf(text) == "" {
		decoded, _, ok := decodeBase64([]byte(text))
		if !ok {
			return "", false
		}
		text = strings.TrimSpace(string(decoded))
	}
	return text, schemeOf(text) != ""
}

// schemeOf returns the scheme with which an address or a link begins, in lower case, or "".
func schemeOf(text string) string {
	scheme, _, found := strings.Cut(text, "://")
	if scheme = strings.ToLower(scheme); found && (isPage(scheme+"://") || proxySchemes[scheme] || wrappings[scheme]) {
		return scheme
	}
	return ""
}

// Named takes the fragment off the address of a subscription: it is a name for people, cleaned for
// display.
func Named(address string) (bare, name string) {
	bare, fragment, _ := strings.Cut(strings.TrimSpace(address), "#")
	return bare, cleanName(fragment)
}
