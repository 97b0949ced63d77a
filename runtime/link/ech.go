package link

import (
	"encoding/base64"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// parseECH reads the configuration of Encrypted Client Hello: a list in base64, or where the core
// can ask the DNS for one. Of anything else servers work without.
func parseECH(q *query, serverName string) string {
	text := q.get("ech")
	switch {
	case text == "" || isNo(text):
		return ""
	case strings.Contains(text, "://"):
		where, ok := parseLookup(text, serverName)
		if !ok {
			q.leave("Encrypted Client Hello (ech), because the core cannot ask for its configuration there; the name of the server is sent in the clear")
		}
		return where
	}
	list, ok := decodeBase64(text)
	if !ok {
		q.leave("Encrypted Client Hello (ech), because its configuration is neither in base64 nor the address of a resolver; the name of the server is sent in the clear")
		return ""
	}
	return base64.StdEncoding.EncodeToString(list)
}

// parseLookup checks the address of a resolver, which the name to ask for may precede:
// "example.org+https://192.0.2.1/dns-query". Without one, it is serverName.
func parseLookup(text, serverName string) (string, bool) {
	name, address, named := strings.Cut(text, "+")
	if !named {
		name, address = "", text
		if _, err := netip.ParseAddr(serverName); err == nil || !isDomain(serverName) {
			return "", false
		}
	} else if name = strings.ToLower(name); !isDomain(name) || !strings.Contains(name, ".") {
		return "", false
	} else {
		name += "+"
	}
	scheme, rest, _ := strings.Cut(address, "://")
	rest, path, _ := strings.Cut(rest, "/")
	usual := uint16(443)
	switch scheme = strings.ToLower(scheme); scheme {
	case "https", "h2c":
	case "udp":
		usual = 53
	default:
		return "", false
	}
	host, port, err := parseAddress(rest, usual)
	if err != nil || strings.Contains(rest, "%") || !isPath(path) || scheme == "udp" && path != "" {
		return "", false
	}
	authority := net.JoinHostPort(host, strconv.Itoa(int(port)))
	if port == usual && (scheme != "udp" || !strings.Contains(host, ":")) {
		authority = strings.TrimSuffix(authority, ":"+strconv.Itoa(int(port)))
	}
	if scheme == "udp" {
		return name + "udp://" + authority, true
	}
	return name + scheme + "://" + authority + "/" + path, true
}

// lookupHost returns the host of what parseLookup returned, or "" for a list in base64.
func lookupHost(ech string) string {
	_, address, found := strings.Cut(ech, "://")
	if !found {
		return ""
	}
	authority, _, _ := strings.Cut(address, "/")
	host, _, _ := parseAddress(authority, 443)
	return host
}

// isPath reports whether s is the path of a resolver: nothing in it needs an escape.
func isPath(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("/-._~", s[i]) < 0 {
			return false
		}
	}
	return len(s) <= 256
}
